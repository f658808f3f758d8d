"""A U-Net of residual blocks in 2D and 3D.

Written so that per-sample gradients work (Opacus): no in-place operations, no module
used twice. Dropout draws from a generator that its owner sets, never from the global
one.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

Norm: TypeAlias = Literal["instance", "group", "batch"]
Stride: TypeAlias = tuple[int, ...]

_SLOPE = 0.01


class Dropout(nn.Module):
    """Dropout of whole channels, drawn from a generator of its own."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with channels zeroed and the others scaled up, in training."""
        if not self.training or self.share == 0:
            return x
        shape = (*x.shape[:2], *(1 for _ in x.shape[2:]))
        draw = torch.rand(shape, generator=self.generator, device=x.device)
        return x * (draw >= self.share).to(x.dtype) / (1 - self.share)


class Block(nn.Module):
    """Convolutions of 3 voxels an axis, with a way around them all."""

    def __init__(self, n_in: int, n_out: int, *, stride: Stride, n_convs: int, kit: "Kit") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(n_convs):
            step = stride if i == 0 else (1,) * len(stride)
            layers.append(kit.conv(n_in if i == 0 else n_out, n_out, step))
            layers.append(kit.norm(n_out))
            if i < n_convs - 1:
                layers += [nn.LeakyReLU(_SLOPE), Dropout(kit.dropout)]
        self.body = nn.Sequential(*layers)
        same = n_in == n_out and max(stride) == 1
        self.around = nn.Identity() if same else kit.skip(n_in, n_out, stride)
        self.out = nn.Sequential(nn.LeakyReLU(_SLOPE), Dropout(kit.dropout))

    def forward(self, x: Tensor) -> Tensor:
        """Return features of `n_out` channels, each axis divided by its stride."""
        y: Tensor = self.out(self.body(x) + self.around(x))
        return y


class Kit:
    """The layers of a network in 2 or 3 dimensions.

    Attributes:
        n_convs: convolutions of a block, on the way down and on the way up.
        dropout: share of channels.
    """

    def __init__(
        self,
        dimensions: Literal[2, 3],
        *,
        norm: Norm,
        dropout: float,
        n_convs: tuple[int, int],
    ) -> None:
        self.n_convs = n_convs
        self.dropout = dropout
        self._norm = norm
        self._conv = nn.Conv3d if dimensions == 3 else nn.Conv2d
        self._up = nn.ConvTranspose3d if dimensions == 3 else nn.ConvTranspose2d
        self._batch = nn.BatchNorm3d if dimensions == 3 else nn.BatchNorm2d

    def conv(self, n_in: int, n_out: int, stride: Stride) -> nn.Module:
        """Return a convolution of 3 voxels; the norm that follows has its bias."""
        return self._conv(n_in, n_out, 3, stride, padding=1, bias=False)  # type: ignore[arg-type]

    def skip(self, n_in: int, n_out: int, stride: Stride) -> nn.Module:
        """Return the way around a block: averaged down, then mixed."""
        pool = nn.AvgPool3d if len(stride) == 3 else nn.AvgPool2d
        mix = self._conv(n_in, n_out, 1)
        if max(stride) == 1:
            return mix
        return nn.Sequential(pool(stride), mix)  # type: ignore[arg-type]

    def up(self, n_in: int, n_out: int, stride: Stride) -> nn.Module:
        """Return what enlarges every axis by its stride."""
        return self._up(n_in, n_out, stride, stride)  # type: ignore[arg-type]

    def head(self, n_in: int, n_out: int) -> nn.Module:
        """Return what turns features into one number a class."""
        return self._conv(n_in, n_out, 1)

    def norm(self, n: int) -> nn.Module:
        """Return a norm with a scale and a shift a channel.

        Instance norm is a group norm with a group a channel: the same numbers, and
        two to three times as fast on a CPU.
        """
        if self._norm == "batch":
            return self._batch(n)
        n_groups = n if self._norm == "instance" else max(1, n // 8)
        while n % n_groups:
            n_groups -= 1
        return nn.GroupNorm(n_groups, n)


class ResidualUNet(nn.Module):
    """Encoder and decoder of residual blocks, joined at every level.

    Args:
        n_in: channels of the input.
        n_classes: with the background.
        channels: features of each level, the finest first.
        strides: of each level, how much coarser it is than the one before; the first
            is that of the input.
        n_heads: levels with an output, the finest first; more than one is deep
            supervision.
        kit: the layers.
    """

    def __init__(
        self,
        n_in: int,
        n_classes: int,
        *,
        channels: Sequence[int],
        strides: Sequence[Stride],
        n_heads: int,
        kit: Kit,
    ) -> None:
        super().__init__()
        ones = (1,) * len(strides[0])
        n_down, n_up = kit.n_convs
        widths = [n_in, *channels]
        self.down = nn.ModuleList(
            Block(a, b, stride=s, n_convs=n_down, kit=kit)
            for a, b, s in zip(widths, channels, strides, strict=False)
        )
        pairs = list(zip(channels, channels[1:], strides[1:], strict=False))[::-1]
        self.up = nn.ModuleList(kit.up(b, a, s) for a, b, s in pairs)
        self.join = nn.ModuleList(
            Block(2 * a, a, stride=ones, n_convs=n_up, kit=kit) for a, _, _ in pairs
        )
        self.heads = nn.ModuleList(kit.head(n, n_classes) for n in channels[: max(1, n_heads)])
        coarse = max(strides[0]) > 1
        self.last = kit.up(n_classes, n_classes, strides[0]) if coarse else None

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return a number a class (N, classes, ...), and in training also coarser ones.

        The first has the shape of the input, whose axes must be multiples of the
        product of all strides.
        """
        found = []
        for block in self.down:
            x = block(x)
            found.append(x)
        levels = [found.pop()]
        for up, join in zip(self.up, self.join, strict=True):
            levels.append(join(torch.cat([up(levels[-1]), found.pop()], dim=1)))
        levels.reverse()
        wanted = len(self.heads) if self.training else 1
        logits = [head(y) for head, y in zip(self.heads, levels[:wanted], strict=False)]
        if self.last is not None:
            logits[0] = self.last(logits[0])
        return tuple(logits)
