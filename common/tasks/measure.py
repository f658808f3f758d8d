"""The step `measure`: numbers, and slices, that follow from a mask, at each site."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from common.analyses.analysis import Answer, Ask, Solve
from common.cohort import Column, Image, ImageRef, MaskRef, Plane
from common.holdings import Holdings
from common.settings import Frozen, nearest
from common.step import Over, Said, Step
from common.sums import Schema, count
from common.tasks.section import Section, is_volume, place_of

Size = Literal["area_cm2", "volume_ml"]

_UNIT = {"area_cm2": "cm2", "volume_ml": "ml"}


class Slice(Frozen):
    """The slice in the middle of what a mask marks, cut out of images and masks.

    With `slices` above 1 its neighbours on both sides come along, as many as the image has.
    """

    label: str = Field("", description="of the mask; nothing: any label")
    plane: Plane = "axial"
    images: tuple[ImageRef, ...] = Field(min_length=1, description="to cut it out of")
    masks: tuple[MaskRef, ...] = Field((), description="the same; cases may lack them")
    slices: int = Field(
        1, ge=1, le=99, description="odd: the middle slice and as many on either side of it"
    )

    @field_validator("slices")
    @classmethod
    def _odd(cls, slices: int) -> int:
        if slices % 2 == 0:
            raise ValueError(f"expected an odd number, got {slices}")
        return slices


class Measure(Step):
    """Measure a mask, and cut out the slice in the middle of it.

    The middle slice is the one at which half of the marked volume lies below and half
    above: a few stray voxels do not move it. Slices are new images and masks named
    `<step>.<image>`; `position_mm` says where the slice lies in the patient, along its
    normal. An area is that of a mask of one slice, or the mean over a mask of several: where
    slices are thin, a reader's outline differs more from one to the next than patients'
    areas ask for, and the mean over a few is the steadier measure. A case whose mask is
    empty gets areas and volumes of 0 and no slice; a case without the mask gets nothing.

    Rounds: 1.
    """

    elastic: ClassVar[bool] = True

    kind: Literal["measure"] = "measure"
    mask: MaskRef
    slice: Slice | None = Field(None, description="the slice to cut out")
    sizes: tuple[Size, ...] = Field((), description="as columns, of each label and of all")
    largest: float = Field(5000.0, gt=0, description="public bound of a size, in its unit")
    over: tuple[Over, ...] = ("all",)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.slice is None and not self.sizes:
            raise ValueError("expected slice, or sizes, or both")
        return self

    def images(self) -> tuple[str, ...]:
        """Return the mask, and what is cut."""
        cut = (*self.slice.images, *self.slice.masks) if self.slice else ()
        return (self.mask, *cut)

    def makes(self, before: Holdings, steps: Mapping[str, Step]) -> Holdings:
        """Return sizes as columns, slices as images and masks."""
        del steps
        mask = before.masks.get(self.mask)
        if mask is None:
            return Holdings()
        names = [name for size in self.sizes for name in (size, *sized(size, mask.labels))]
        columns = {
            name: Column(type="number", unit=_UNIT[name[: len(size)]], range=(0, self.largest))
            for name in names
            for size in self.sizes
            if name.startswith(size)
        }
        return Holdings(columns) | self._slices(before)

    def _slices(self, before: Holdings) -> Holdings:
        cut = self.slice
        if cut is None:
            return Holdings()
        said = {"section": self._section(cut), "n_slices": cut.slices}
        made = {"plane": cut.plane, "required": False, **said}
        images: dict[str, Image] = {
            plain_name(name): Section.model_validate(before.images[name].model_dump() | made)
            for name in cut.images
            if name in before.images
        }
        masks = {
            plain_name(name): before.masks[name].model_copy(
                update={"on": plain_name(before.masks[name].on), "required": False, "truth": None}
            )
            for name in cut.masks
            if name in before.masks
        }
        place = Column(type="number", unit="mm", range=(-2000, 2000))
        return Holdings({"position_mm": place}, images, masks)

    def _section(self, cut: Slice) -> str:
        """Return in words which slice is cut out: two steps that cut alike say the same."""
        of = f"{self.mask} ({cut.label})" if cut.label else self.mask
        if cut.slices == 1:
            return f"the {cut.plane} slice in the middle of {of}"
        return f"the {cut.slices} {cut.plane} slices about the middle of {of}"

    def problems(self, before: Holdings, steps: Mapping[str, Step]) -> Iterator[Said]:
        """Yield unknown labels, and what cannot be cut or has no area."""
        del steps
        mask, cut = before.masks[self.mask], self.slice
        if "area_cm2" in self.sizes and is_volume(self.mask, before):
            why = f'"{self.mask}" is no mask of one slice or a few, which have an area'
            yield ("sizes",), why
        if cut is None:
            return
        if cut.label and cut.label not in mask.labels:
            near = nearest(cut.label, list(mask.labels))
            yield ("slice", "label"), f'"{self.mask}" has no "{cut.label}"{near}'
        for i, name in enumerate(cut.images):
            if before.images[name].plane not in (None, cut.plane):
                yield ("slice", "images", i), f'"{name}" is {place_of(name, before)} already'
        for name in cut.masks:
            if before.masks[name].on not in cut.images:
                why = f'expected "{before.masks[name].on}" too, as "{name}" is on it'
                yield ("slice", "images"), why

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return counts of cases measured, with an empty mask, and failed."""
        del ask, contract
        return {name: count() for name in ("done", "empty", "failed")}

    def solve(self, contract: Mapping[str, Column], *, alone: bool = False) -> Solve:
        """Ask once; count."""
        del contract, alone
        total = yield Ask("measure")
        return Answer({name: int(total[name]) for name in ("done", "empty", "failed")})


def sized(size: str, labels: Mapping[str, int]) -> tuple[str, ...]:
    """Return the columns of a size, one a label; none where there is but one label."""
    return tuple(f"{size}_{label}" for label in labels) if len(labels) > 1 else ()


def plain_name(name: str) -> str:
    """Return a product's name without the step that made it."""
    return name.rpartition(".")[2]
