"""The task of drawing masks: what a segmentation network reads, is and is scored by.

Plain settings from a study file. Torch is imported only where a network is built.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from common.cohort import Column, ImageRef, Mask, MaskRef
from common.holdings import Holdings
from common.salvage import Path, refuse_all
from common.settings import Frozen, nearest
from common.step import Said
from common.tasks.augmentation import Augmentation
from common.tasks.loss import Loss
from common.tasks.recipe import Recipe, axes_in_words
from common.tasks.section import wrong_slices
from common.tasks.strides import steps_of

if TYPE_CHECKING:
    from common.networks.loss import DiceCrossEntropy
    from common.networks.residual_unet import ResidualUNet

_MOST_LABELS = 254  # classes are kept in a byte, and one value means that nobody knows

Count = Annotated[int, Field(ge=1, le=4096)]


class ResidualUNetSettings(Frozen):
    """A U-Net of residual blocks; one of its levels for each of `channels`."""

    kind: Literal["residual_unet"] = "residual_unet"
    channels: tuple[Count, ...] = Field(
        (16, 32, 64, 128), min_length=2, description="of each level, the finest first"
    )
    strides: tuple[Count | tuple[Count, ...], ...] | None = Field(
        None,
        description="how much coarser each level is than the one before, one number or "
        "one an axis; nothing: 1, 2, 2, ...",
    )
    residual_units: tuple[Count, Count] = Field(
        (2, 1), description="convolutions of a block, on the way down and on the way up"
    )
    norm: Literal["instance", "group", "batch"] = Field(
        "instance", description="batch: averaged over sites, and not with privacy noise"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of channels in training")
    deep_supervision: int = Field(
        1, ge=1, description="levels with an output that is trained, the finest first"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        n = len(self.channels)
        if self.strides is not None and len(self.strides) != n:
            raise ValueError(
                f"strides: expected one for each of the {n} channels, got {len(self.strides)}"
            )
        if self.deep_supervision > n:
            raise ValueError(
                f"deep_supervision: expected at most {n}, the number of levels, "
                f"got {self.deep_supervision}"
            )
        return self

    def steps(self, dimensions: int) -> list[tuple[int, ...]]:
        """Return the stride of every level for every axis.

        Raises:
            ValueError: a level has another number of axes.
        """
        return steps_of(self.strides, len(self.channels), dimensions)

    def build(self, n_in: int, n_classes: int, dimensions: Literal[2, 3]) -> "ResidualUNet":
        """Return the network; its weights are still to be set."""
        from common.networks.residual_unet import (
            Kit,
            ResidualUNet,
        )

        kit = Kit(
            dimensions,
            norm=self.norm,
            dropout=self.dropout,
            n_convs=self.residual_units,
        )
        return ResidualUNet(
            n_in,
            n_classes,
            channels=self.channels,
            strides=self.steps(dimensions),
            n_heads=self.deep_supervision,
            kit=kit,
        )


# With a second kind of network: a union, told apart by `kind`.
Network: TypeAlias = ResidualUNetSettings


class Consistency(Frozen):
    """Learning from cases without a mask: a mean teacher (Tarvainen, Valpola, NIPS 2017).

    The teacher is a moving average of the network over the steps of a round and begins
    with the weights the site received. Both see the same image with other noise; squared
    differences of their probabilities are added to the loss.
    """

    weight: float = Field(1.0, gt=0, description="of the mean squared difference")
    decay: float = Field(0.99, ge=0, lt=1, description="of the moving average, a step")
    noise: float = Field(0.1, ge=0, description="standard deviation of the teacher's noise")


class Scores(Frozen):
    """How predicted masks are scored, beside Dice, HD95 and the error in volume."""

    tolerance_mm: float = Field(
        1.0, gt=0, description="of the surface Dice: distance that does not count"
    )
    largest_mm: float = Field(
        500.0, gt=0, description="public bound of a distance, for searching quantiles"
    )
    largest_ml: float = Field(5000.0, gt=0, description="the same of a volume error")


class Segmentation(Frozen):
    """Find the labels of a mask in the images of a case."""

    kind: Literal["segmentation"] = "segmentation"
    images: tuple[ImageRef, ...] = Field(
        min_length=1,
        description="channels; all are brought onto the grid of the first one",
    )
    mask: MaskRef = Field(description="the mask to find; each of its labels is a class")
    dimensions: Literal[2, 3] = Field(3, description="2: slice by slice along z")
    recipe: Recipe
    network: Network = ResidualUNetSettings()
    loss: Loss = Loss()
    augmentation: Augmentation | None = Augmentation()
    scores: Scores = Scores()
    consistency: Consistency | None = Field(
        None, description="also learn from cases without a mask, at every site"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse_all([*self._wrong_axes(), *self._wrong_sizes(), *self._wrong_names()])
        return self

    def _wrong_axes(self) -> Iterator[tuple[Path, str]]:
        n = self.dimensions
        for name in ("spacing_mm", "size", "patch"):
            value = getattr(self.recipe, name)
            if value is not None and len(value) != n:
                yield ("recipe", name), axes_in_words(n, value)

    def _wrong_sizes(self) -> Iterator[tuple[Path, str]]:
        if next(iter(self._wrong_axes()), None):
            return
        divisor = self.divisor
        for size, by in zip(self.window, divisor, strict=True):
            if size % by:
                yield (
                    ("recipe", "patch" if self.recipe.patch else "size"),
                    f"expected multiples of {list(divisor)}, the product of the network's "
                    f"strides, got {list(self.window)}",
                )
                return

    def _wrong_names(self) -> Iterator[tuple[Path, str]]:
        for name in self.recipe.normalise_image:
            if name not in self.images:
                near = nearest(name, list(self.images))
                yield ("recipe", "normalise_image", name), f'unknown image "{name}"{near}'

    @property
    def window(self) -> tuple[int, ...]:
        """Shape of what the network sees at once in training."""
        return self.recipe.patch or self.recipe.size or ()

    @property
    def divisor(self) -> tuple[int, ...]:
        """What the axes of the network's input must be multiples of."""
        steps = self.network.steps(self.dimensions)
        return tuple(prod(step[axis] for step in steps) for axis in range(self.dimensions))

    def reads(self) -> tuple[str, ...]:
        """Return the images and the mask."""
        return (*self.images, self.mask)

    def columns(self) -> tuple[str, ...]:
        """Return nothing: it reads no column."""
        return ()

    def purpose(self, known: Holdings) -> str:
        """Return what is found where."""
        return f"finds {_listed(known.masks[self.mask].labels)} in {_listed(self.images)}"

    def problems(self, known: Holdings) -> Iterator[Said]:
        """Yield where there are more labels than fit a byte, and slices that are not alike."""
        n = len(known.masks[self.mask].labels)
        if n > _MOST_LABELS:
            yield ("mask",), f'"{self.mask}": expected at most {_MOST_LABELS} labels, got {n}'
        turned, mask = self.recipe.orientation, ("mask", self.mask)
        yield from wrong_slices(self.images, mask, self.dimensions, turned, known)

    def score_names(self, known: Holdings) -> tuple[str, ...]:
        """Return the labels: the Dice of each is its score."""
        return tuple(known.masks[self.mask].labels)

    def made(self, known: Holdings) -> Holdings:
        """Return the scores of a case and its predicted mask, named as the true one."""
        mask = known.masks.get(self.mask)
        if mask is None:
            return Holdings()
        found = Mask(on=mask.on, labels=mask.labels, required=False)
        return Holdings(self.score_columns(mask.labels), masks={self.mask_name: found})

    @property
    def mask_name(self) -> str:
        """Name of the predicted mask: of the true one, without a step."""
        return self.mask.rpartition(".")[2]

    def network_for(self, known: Holdings) -> "ResidualUNet":
        """Return the network; its weights are still to be set."""
        return self.build(len(known.masks[self.mask].labels))

    def build(self, n_labels: int) -> "ResidualUNet":
        """Return the network for `n_labels` labels and the background."""
        return self.network.build(len(self.images), n_labels + 1, self.dimensions)

    def build_loss(self) -> "DiceCrossEntropy":
        """Return what is minimised."""
        from common.networks.loss import DiceCrossEntropy

        return DiceCrossEntropy(**self.loss.model_dump())

    def score_columns(self, labels: Iterable[str]) -> dict[str, Column]:
        """Return the columns that a prediction adds to a case, a value a label."""
        mm, ml = self.scores.largest_mm, self.scores.largest_ml
        kinds = {
            "dice": Column(type="number", range=(0, 1)),
            "hd95_mm": Column(type="number", unit="mm", range=(0, mm)),
            "surface_dice": Column(type="number", range=(0, 1)),
            "volume_error_ml": Column(type="number", unit="ml", range=(-ml, ml)),
        }
        return {f"{kind}_{label}": kinds[kind] for label, kind in product(labels, kinds)}


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
