"""Networks of super-resolution: the generator, and the discriminator that judges it.

Written so that per-sample gradients work (Opacus): no in-place operations, no module used
twice, no norm that mixes images.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Factors = tuple[int, int, int]

_SLOPE = 0.2
_LACKING = 0.1  # so that it begins near the interpolated image
_RESIDUAL = 0.2  # share of what is added, so that deep networks start calm


class Residual(nn.Module):
    """Two convolutions of 3 voxels and a way around them; no norm, as in EDSR."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(channels, channels, 3, padding=1),
            nn.LeakyReLU(_SLOPE),
            nn.Conv3d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        y: Tensor = x + _RESIDUAL * self.body(x)
        return y


class Generator(nn.Module):
    """Add to an interpolated image what it lacks, from the coarse one.

    All depth is at the coarse grid (Lim et al., CVPR Workshops 2017), where it is cheap;
    one transposed convolution leads to the fine grid.

    Args:
        channels: features at the coarse grid; half as many at the fine one.
        blocks: residual blocks.
        factors: fine voxels to a coarse one, (z, y, x).
    """

    def __init__(self, *, channels: int, blocks: int, factors: Factors) -> None:
        super().__init__()
        half = max(1, channels // 2)
        self.head = nn.Conv3d(1, channels, 3, padding=1)
        self.body = nn.Sequential(*(Residual(channels) for _ in range(blocks)))
        self.rise = nn.ConvTranspose3d(channels, half, factors, factors)
        self.bend = nn.LeakyReLU(_SLOPE)
        self.tail = nn.Conv3d(half + 1, 1, 3, padding=1)

    def forward(self, coarse: Tensor, interpolated: Tensor) -> Tensor:
        """Return the fine image (N, 1, Z, Y, X).

        Args:
            coarse: (N, 1, Z / fz, Y / fy, X / fx).
            interpolated: (N, 1, Z, Y, X), the same image by B-splines.
        """
        first = self.head(coarse)
        features = self.bend(self.rise(first + self.body(first)))
        lacking: Tensor = self.tail(torch.cat([features, interpolated], dim=1))
        return interpolated + _LACKING * lacking


class Discriminator(nn.Module):
    """Tell original images from made ones, patch by patch (Isola et al., CVPR 2017).

    It sees the interpolated image beside the one to judge, so that it judges the detail
    that was added and not the contents.

    Args:
        channels: features of each level; every level halves the axes.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        widths = [2, *channels]
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv3d(a, b, 3, stride=2, padding=1), nn.LeakyReLU(_SLOPE))
            for a, b in zip(widths, channels, strict=False)
        )
        self.verdict = nn.Conv3d(widths[-1], 1, 3, padding=1)

    def forward(self, image: Tensor, interpolated: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return a number a patch, high for originals, and the features of every level."""
        x, found = torch.cat([image, interpolated], dim=1), []
        for level in self.levels:
            x = level(x)
            found.append(x)
        return self.verdict(x), found


class Adversaries(nn.Module):
    """Generator and discriminator as one network, so that both can be exchanged."""

    def __init__(self, generator: Generator, discriminator: Discriminator | None) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator

    def forward(self, coarse: Tensor, interpolated: Tensor) -> Tensor:
        """Return the generator's fine image."""
        fine: Tensor = self.generator(coarse, interpolated)
        return fine
