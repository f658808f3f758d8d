"""A residual network that tells classes of a case from images and clinical columns.

In 2D and 3D, and written so that per-sample gradients work (Opacus): no in-place
operations, no module used twice. What it needs beside its parameters (the scale of the
columns, the weights of the classes, the temperature) are buffers, so that they travel
with the weights and are never trained.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from common.networks.residual_unet import Block, Dropout, Kit, Stride

Pool: TypeAlias = Literal["mean", "max", "both"]

_SLOPE = 0.01


class Encoder(nn.Module):
    """Levels of residual blocks: an image becomes a coarse map of features.

    Args:
        n_in: channels of the input.
        channels: features of each level, the finest first.
        blocks: residual blocks of each level.
        strides: of each level, how much coarser it is than the one before.
        kit: the layers.
    """

    def __init__(
        self,
        n_in: int,
        *,
        channels: Sequence[int],
        blocks: Sequence[int],
        strides: Sequence[Stride],
        kit: Kit,
    ) -> None:
        super().__init__()
        made: list[nn.Module] = []
        for (a, b), n, stride in zip(pairwise([n_in, *channels]), blocks, strides, strict=True):
            for i in range(n):
                step = stride if i == 0 else (1,) * len(stride)
                made.append(Block(a if i == 0 else b, b, stride=step, n_convs=2, kit=kit))
        self.levels = nn.Sequential(*made)
        self.n_out = channels[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, channels, ...)."""
        found: Tensor = self.levels(x)
        return found


class Clinical(nn.Module):
    """Columns as features: standardised, missing ones as the mean with a flag.

    Attributes:
        centre: of each column, shape (columns,).
        scale: by which each is divided.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, n_columns: int, n_out: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_columns))
        self.register_buffer("scale", torch.ones(n_columns))
        self.mix = nn.Linear(2 * n_columns, n_out)
        self.bend = nn.LeakyReLU(_SLOPE)
        self.drop = Dropout(dropout)
        self.n_out = n_out

    def forward(self, columns: Tensor) -> Tensor:
        """Return features (N, n_out) of columns (N, columns), where NaN means missing."""
        missing = columns.isnan()
        z = (torch.where(missing, self.centre, columns) - self.centre) / self.scale
        both = torch.cat([z, missing.to(z.dtype)], dim=1)
        found: Tensor = self.drop(self.bend(self.mix(both)))
        return found


class ResidualClassifier(nn.Module):
    """Encoders of the images, columns beside them, and one linear head.

    Args:
        encoders: one for all channels together, or one a channel.
        clinical: features of columns; None without columns.
        n_classes: two or more.
        pool: how a map of features becomes one number a feature.
        dropout: share of features before the head.

    Attributes:
        temperature: what logits are divided by outside of training (Guo et al., ICML 2017).
        class_weights: of the loss, shape (classes,).
    """

    temperature: Tensor
    class_weights: Tensor

    def __init__(
        self,
        encoders: Sequence[Encoder],
        *,
        clinical: Clinical | None,
        n_classes: int,
        pool: Pool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.clinical = clinical
        self.pool = pool
        n_pooled = sum(e.n_out for e in encoders) * (2 if pool == "both" else 1)
        self.drop = Dropout(dropout)
        self.head = nn.Linear(n_pooled + (clinical.n_out if clinical else 0), n_classes)
        self.register_buffer("temperature", torch.ones(1))
        self.register_buffer("class_weights", torch.ones(n_classes))

    def forward(self, images: Tensor, columns: Tensor) -> Tensor:
        """Return a number a class, (N, classes); outside of training calibrated.

        Args:
            images: (N, C, ...).
            columns: (N, columns), NaN where missing; not read without columns.
        """
        return self.tell(self.maps(images), columns)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return each encoder's last map of features, (N, features, ...)."""
        if len(self.encoders) == 1:
            return [self.encoders[0](images)]
        return [encoder(images[:, i : i + 1]) for i, encoder in enumerate(self.encoders)]

    def tell(self, maps: Sequence[Tensor], columns: Tensor) -> Tensor:
        """Return a number a class from the maps of features, in full precision.

        In bfloat16 many cases would share a score, which ROC curves count as ties.
        """
        with torch.autocast(maps[0].device.type, enabled=False):
            found = [part for x in maps for part in self._pooled(x.float())]
            if self.clinical is not None:
                found.append(self.clinical(columns))
            logits: Tensor = self.head(self.drop(torch.cat(found, dim=1)))
            return logits if self.training else logits / self.temperature

    def _pooled(self, x: Tensor) -> list[Tensor]:
        flat = x.flatten(2)
        mean, most = flat.mean(2), flat.amax(2)
        return {"mean": [mean], "max": [most], "both": [mean, most]}[self.pool]
