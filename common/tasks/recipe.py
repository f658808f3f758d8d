"""The recipe: how an image becomes the array that a network sees.

Only settings; `client.preprocess` carries them out, and undoes them.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from common.settings import Frozen

PerAxis: TypeAlias = tuple[Annotated[int, Field(ge=1)], ...]

_LETTERS = ("LR", "PA", "SI")


class ZScore(Frozen):
    """Mean 0 and standard deviation 1 over the voxels of the image."""

    kind: Literal["zscore"] = "zscore"
    over: Literal["image", "nonzero"] = Field(
        "image", description="nonzero: background that was set to 0 stays out of it"
    )


class Percentile(Frozen):
    """Two percentiles of the image become -1 and 1; what lies outside is clipped."""

    kind: Literal["percentile"] = "percentile"
    low: float = Field(0.5, ge=0, lt=100)
    high: float = Field(99.5, gt=0, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_ordered(self.low, self.high)
        return self


class Window(Frozen):
    """Two fixed grey levels become -1 and 1; what lies outside is clipped. For CT."""

    kind: Literal["hu_window"] = "hu_window"
    low: float = -160.0
    high: float = 240.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_ordered(self.low, self.high)
        return self


Normalise: TypeAlias = Annotated[ZScore | Percentile | Window, Field(discriminator="kind")]


class Recipe(Frozen):
    """Orientation, voxel size, part of the image and grey levels.

    Axes are in array order: (z, y, x) in 3D; (y, x) in 2D, where a network sees
    single slices and the distance between slices stays as it is.
    """

    orientation: str = Field(
        "RAS",
        description="three letters, where x, y and z run to; as_stored: not turned",
    )
    spacing_mm: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="voxel size to resample to; nothing: as stored"
    )
    size: PerAxis | None = Field(
        None, description="voxels that the middle of the image is cropped or padded to"
    )
    patch: PerAxis | None = Field(
        None, description="voxels of the parts a network sees; nothing: all at once"
    )
    overlap: float = Field(
        0.5, ge=0, lt=1, description="of neighbouring patches in prediction, a share"
    )
    foreground: float = Field(
        0.5, ge=0, le=1, description="share of patches in training on a labelled voxel"
    )
    normalise: Normalise = ZScore()
    normalise_image: dict[str, Normalise] = Field(
        {}, description="for single images, by name, instead of normalise"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.orientation != "as_stored" and not is_orientation(self.orientation):
            raise ValueError(
                'orientation: expected "as_stored" or one letter each of L/R, P/A and '
                f'S/I, such as "RAS", got "{self.orientation}"'
            )
        if self.size is None and self.patch is None:
            raise ValueError("expected size, or patch, or both")
        return self


def is_orientation(letters: str) -> bool:
    """Tell whether three letters name a direction an axis, such as "RAS"."""
    return len(letters) == 3 and all(
        sum(letter in pair for letter in letters) == 1 for pair in _LETTERS
    )


def _check_ordered(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"expected low < high, got {low:g} and {high:g}")


def axes_in_words(n: int, value: Sequence[float]) -> str:
    """Return what is wrong with a value of another number of axes than the task's."""
    axes = "(z, y, x)" if n == 3 else "(y, x)"
    other = f"`dimensions: {len(value)}` makes it a {len(value)}D task"
    tip = f"; {other}" if len(value) in (2, 3) else ""
    return f"expected {axes} in {n}D, got {list(value)}{tip}"
