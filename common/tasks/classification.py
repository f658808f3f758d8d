"""The task of telling what a case is: a column's levels, from images and other columns.

Plain settings from a study file. Torch is imported only where a network is built.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from common.cohort import Column, Image, ImageRef, MaskRef
from common.holdings import Holdings
from common.salvage import Path, refuse_all
from common.settings import Frozen, nearest
from common.step import Said
from common.sums import Array, Schema, Sums, cells, count, real
from common.sums import Field as SumField
from common.tasks.augmentation import Augmentation
from common.tasks.classifier_network import ResidualClassifierSettings
from common.tasks.encoded import Encoding, encoding_of
from common.tasks.recipe import Recipe, axes_in_words
from common.tasks.section import wrong_slices

if TYPE_CHECKING:
    from common.networks.residual_classifier import ResidualClassifier

MOST_CLASSES = 20


class Region(Frozen):
    """A mask that says where to look."""

    name: MaskRef
    use: Literal["crop", "channel", "both"] = Field(
        "crop", description="the window lies around it; it is one more channel; or both"
    )


class ClassLoss(Frozen):
    """Cross-entropy with weights of the classes and smoothed labels."""

    weights: Literal["none", "balanced"] | tuple[Annotated[float, Field(gt=0)], ...] = Field(
        "none",
        description="balanced: each class counts alike over all sites; or one number a class",
    )
    smoothing: float = Field(0.0, ge=0, lt=1, description="of the labels")


class Classification(Frozen):
    """Tell the level of an outcome; the first level is the reference."""

    kind: Literal["classification"] = "classification"
    outcome: str = Field(description="a category, or an integer with a range")
    images: tuple[ImageRef, ...] = Field(
        min_length=1, description="all are brought onto the grid of the first one"
    )
    mask: Region | None = Field(None, description="where to look; a case without it is left out")
    clinical: tuple[str, ...] = Field((), description="columns joined before the head")
    standardise: Literal["moments", "range"] = Field(
        "moments", description="of columns: mean and deviation over all sites, or declared ranges"
    )
    dimensions: Literal[2, 3] = Field(
        3, description="2: slices along z, of which a case's probability is the mean"
    )
    recipe: Recipe
    network: ResidualClassifierSettings = ResidualClassifierSettings()
    loss: ClassLoss = ClassLoss()
    augmentation: Augmentation | None = Augmentation()
    calibrate: bool = Field(
        True, description="fit a temperature on validation cases (with folds: on those left out)"
    )
    saliency: bool = Field(
        False, description="predict also writes maps of what the network looked at (Grad-CAM)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse_all([*self._wrong_axes(), *self._wrong_names()])
        return self

    def _wrong_axes(self) -> Iterator[tuple[Path, str]]:
        n, recipe = self.dimensions, self.recipe
        if recipe.patch is not None:
            yield ("recipe", "patch"), "a classifier sees a whole window; give recipe.size alone"
        for name in ("spacing_mm", "size"):
            value = getattr(recipe, name)
            if value is not None and len(value) != n:
                yield ("recipe", name), axes_in_words(n, value)
        try:
            self.network.steps(n)
        except ValueError as error:
            yield ("network", "strides"), str(error).removeprefix("strides: ")

    def _wrong_names(self) -> Iterator[tuple[Path, str]]:
        for name in self.recipe.normalise_image:
            if name not in self.images:
                near = nearest(name, list(self.images))
                yield ("recipe", "normalise_image", name), f'unknown image "{name}"{near}'
        if self.outcome in self.clinical:
            yield ("clinical",), f'"{self.outcome}" is the outcome'
        if len(set(self.clinical)) < len(self.clinical):
            yield ("clinical",), f"expected distinct names, got {list(self.clinical)}"

    @property
    def window(self) -> tuple[int, ...]:
        """Shape of what the network sees."""
        return self.recipe.size or ()

    # -- what stands in the study --------------------------------------------------------

    def reads(self) -> tuple[str, ...]:
        """Return the images, and the mask where there is one."""
        return (*self.images, *([self.mask.name] if self.mask else []))

    def columns(self) -> tuple[str, ...]:
        """Return the outcome and the clinical columns."""
        return (self.outcome, *self.clinical)

    def purpose(self, known: Holdings) -> str:
        """Return what is told from what."""
        seen = _listed([*self.images, *(self._title(known, c) for c in self.clinical)])
        return f"tells {self._title(known, self.outcome)} from {seen}"

    def problems(self, known: Holdings) -> Iterator[Said]:
        """Yield, in words, what does not fit the cohort."""
        outcome = known.columns[self.outcome]
        levels = levels_of(outcome)
        if not levels:
            yield (
                f'outcome "{self.outcome}": expected a category, or an integer with a range of '
                f"2 to {MOST_CLASSES} values, got {_kind(outcome)}"
            )
        elif isinstance(self.loss.weights, tuple) and len(self.loss.weights) != len(levels):
            yield (
                f"loss.weights: expected one for each of the {len(levels)} classes "
                f"({', '.join(levels)}), got {len(self.loss.weights)}"
            )
        names = [probability_name(level) for level in levels]
        if len(set(names)) < len(names):
            yield f'outcome "{self.outcome}": levels {list(levels)} share a name of a column'
        for name in self.clinical:
            if self.standardise == "range" and _without_range(known.columns[name]):
                yield f'standardise: range: column "{name}" has no range in the study'
        turned, mask = self.recipe.orientation, ("mask", self.mask.name) if self.mask else None
        yield from wrong_slices(self.images, mask, self.dimensions, turned, known)

    @property
    def _extra(self) -> int:
        return int(self.mask is not None and self.mask.use != "crop")

    # -- the network ---------------------------------------------------------------------

    def classes(self, known: Holdings) -> tuple[str, ...]:
        """Return the classes in order, the reference first."""
        return levels_of(known.columns[self.outcome])

    def encoding(self, known: Holdings) -> Encoding:
        """Return how clinical columns become numbers."""
        return encoding_of(self.clinical, known.columns)

    def network_for(self, known: Holdings) -> "ResidualClassifier":
        """Return the network; its weights are still to be set."""
        n_in, n_columns = len(self.images) + self._extra, self.encoding(known).size
        return self.network.build(n_in, n_columns, len(self.classes(known)), self.dimensions)

    # -- before the first round ----------------------------------------------------------

    def prepare_schema(self, known: Holdings) -> Schema:
        """Return what a site sums over its training cases before the first round."""
        q = self.encoding(known).size
        schema: dict[str, SumField] = {"n": count(), "classes": cells(len(self.classes(known)))}
        if q:
            moments = {"sum": real(q), "squares": real(q)}
            schema |= {"present": count(q), **moments}
        return schema

    def prepared(self, known: Holdings, total: Sums) -> dict[str, Array]:
        """Return the network's buffers that the sites' sums decide.

        Raises:
            ValueError: a class has no training case.
        """
        classes, n_of = self.classes(known), np.asarray(total["classes"], np.float64)
        empty = [level for level, n in zip(classes, n_of, strict=True) if n == 0]
        if empty:
            raise ValueError(
                f'no training case in which "{self.outcome}" is {" or ".join(empty)}: '
                "nothing to tell apart"
            )
        start = {"class_weights": self._class_weights(n_of)}
        if self.clinical:
            centre, scale = self.encoding(known).standard(self.standardise, total)
            start |= {"clinical.centre": centre, "clinical.scale": scale}
        return {name: value.astype(np.float32) for name, value in start.items()}

    @property
    def needs_sums(self) -> bool:
        """Whether weights of classes or the scale of columns come from the cases."""
        moments = bool(self.clinical) and self.standardise == "moments"
        return moments or self.loss.weights == "balanced"

    def declared(self, known: Holdings) -> dict[str, Array]:
        """Return the buffers of `prepared` as far as the study itself says them."""
        n = len(self.classes(known))
        given = self.loss.weights if isinstance(self.loss.weights, tuple) else (1.0,) * n
        start = {"class_weights": np.array(given)}
        if self.clinical:
            centre, scale = self.encoding(known).standard("range", {})
            start |= {"clinical.centre": centre, "clinical.scale": scale}
        return {name: value.astype(np.float32) for name, value in start.items()}

    def _class_weights(self, n_of: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.loss.weights == "balanced":
            return np.asarray(n_of.sum() / (n_of.size * n_of))
        if self.loss.weights == "none":
            return np.ones(n_of.size)
        return np.array(self.loss.weights)

    # -- what a prediction adds ----------------------------------------------------------

    def score_names(self, known: Holdings) -> tuple[str, ...]:
        """Return the mean logarithm of the probability given to what was true."""
        del known
        return ("log_likelihood",)

    def made(self, known: Holdings) -> Holdings:
        """Return probabilities, the likeliest class, and maps where they are wanted."""
        outcome = known.columns.get(self.outcome)
        levels = levels_of(outcome) if outcome else ()
        columns = {probability_name(level): Column(type="number", range=(0, 1)) for level in levels}
        if len(levels) == 2:
            columns["logit"] = Column(type="number", range=(-30, 30))
        if levels:
            columns["predicted"] = Column(type="category", levels=levels)
            columns["log_likelihood"] = Column(type="number", range=(-30, 0))
        like = known.images.get(self.images[0], Image(modality="other"))
        map_ = like.model_copy(update={"modality": "other", "unit": "", "required": False})
        images = {"saliency": map_} if self.saliency else {}
        return Holdings(columns, images)

    def _title(self, known: Holdings, name: str) -> str:
        column = known.columns.get(name)
        return column.title.lower() if column and column.title else name


def levels_of(column: Column) -> tuple[str, ...]:
    """Return a column's possible values in order; none where they cannot be classes."""
    if column.type == "category":
        return column.levels if len(column.levels) <= MOST_CLASSES else ()
    if column.type != "integer" or column.range is None:
        return ()
    low, high = (int(end) for end in column.range)
    n = high - low + 1
    return tuple(str(low + i) for i in range(n)) if 2 <= n <= MOST_CLASSES else ()


def probability_name(level: str) -> str:
    """Return the column of a class's probability, such as probability_stage_ii."""
    return "probability_" + (re.sub(r"[^a-z0-9]+", "_", level.lower()).strip("_") or "other")


def class_of(column: Column, value: float) -> int | None:
    """Return the class of a value; None where it is missing."""
    if value != value:
        return None
    first = 0.0 if column.type == "category" or column.range is None else column.range[0]
    return int(value - first)


def _without_range(column: Column) -> bool:
    return column.type != "category" and column.range is None


def _kind(column: Column) -> str:
    if column.type == "category":
        return f"a category of {len(column.levels)} levels"
    return f"{'an' if column.type == 'integer' else 'a'} {column.type}"


def _listed(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
