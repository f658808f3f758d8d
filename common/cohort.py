"""The data contract: what a study expects of each site's cohort.

A site has a folder with `cohort.csv`, one row a case: `case_id`, `patient_id`,
one column an image or mask (a path relative to the folder), clinical and outcome
columns, optionally `split` (train, validation or test). A second reader's mask is a
column of its own, `tumour@fellow`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from common.salvage import Path, refuse_all
from common.settings import Frozen, nearest

CASE_ID = "case_id"
PATIENT_ID = "patient_id"
SPLIT = "split"
RESERVED = frozenset({CASE_ID, PATIENT_ID, SPLIT, "session"})
SPLITS = ("train", "validation", "test")

MISSING = ("", "NA", "na", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None")
"""What spreadsheets, R, Python and databases write where there is nothing."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MASK_NAME = re.compile(r"[a-z][a-z0-9_]*(@[a-z][a-z0-9_]*)?")
_MADE = r"([a-z][a-z0-9_]*\.)*"
_IMAGE_REF = re.compile(_MADE + _NAME.pattern)
_MASK_REF = re.compile(_MADE + _MASK_NAME.pattern)


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f'expected a name like "tumour_2" (a-z, 0-9, _), got "{value}"')
    if value in RESERVED:
        raise ValueError(f'"{value}" is reserved for the cohort\'s own columns')
    return value


def _mask_name(value: str) -> str:
    if not _MASK_NAME.fullmatch(value):
        raise ValueError(f'expected a name like "tumour" or "tumour@reader", got "{value}"')
    return value


def _image_ref(value: str) -> str:
    if not _IMAGE_REF.fullmatch(value):
        raise ValueError(f'expected an image like "t1" or "step.t1", got "{value}"')
    return value


def _mask_ref(value: str) -> str:
    if not _MASK_REF.fullmatch(value):
        raise ValueError(f'expected a mask like "tumour" or "step.tumour", got "{value}"')
    return value


@dataclass(frozen=True)
class Sort:
    """What a name in a field stands for; see `common.named`."""

    word: Literal["image", "mask"]


Name = Annotated[str, AfterValidator(_name)]
MaskName = Annotated[str, AfterValidator(_mask_name)]
ImageRef = Annotated[str, AfterValidator(_image_ref), Sort("image")]
"""An image of the cohort, or `<step>.<name>`, made by an earlier step."""
MaskRef = Annotated[str, AfterValidator(_mask_ref), Sort("mask")]
"""A mask of the cohort, or `<step>.<name>`, made by an earlier step."""


Plane = Literal["axial", "coronal", "sagittal"]


class Image(Frozen):
    """One image of a case."""

    modality: Literal["MR", "CT", "PT", "US", "other"]
    required: bool = Field(True, description="a case without it is left out")
    unit: str = Field("", description="unit of the grey levels, such as HU or mm2/s")
    plane: Plane | None = Field(
        None, description="of an image of one slice, or of a few neighbours"
    )


class Mask(Frozen):
    """One segmentation of a case, on the grid of one of its images."""

    on: ImageRef = Field(description="the image whose grid it shares")
    labels: dict[Name, Annotated[int, Field(ge=1, le=65535)]] = Field(min_length=1)
    required: bool = Field(True, description="a case without it is left out")
    ignored: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="value of voxels whose label nobody knows; learning passes over them"
    )
    truth: MaskRef | None = Field(
        None,
        description="the reader's mask of the same labels that scores are against; "
        "nothing: this one",
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.labels.values())) < len(self.labels):
            raise ValueError(f"two labels share a value: {self.labels}")
        if self.ignored in self.labels.values():
            raise ValueError(f"ignored: {self.ignored} is a label: {self.labels}")
        return self


class Column(Frozen):
    """One column of the table: clinical, outcome, or made by a step."""

    type: Literal["number", "integer", "category"]
    unit: str = ""
    range: tuple[float, float] | None = Field(
        None, description="lowest and highest possible value; public, not taken from data"
    )
    levels: tuple[str, ...] = Field((), description="of a category, first is the reference")
    missing: tuple[str, ...] = Field(
        MISSING, description="texts that mean missing; a declared level never does"
    )
    required: bool = Field(False, description="a case without a value is left out")
    title: str = Field("", description="how tables and figures name it")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.type == "category":
            if len(self.levels) < 2 or len(set(self.levels)) < len(self.levels):
                raise ValueError(f"a category needs two or more distinct levels, got {self.levels}")
            if self.range is not None:
                raise ValueError("a category has levels, not a range")
            both = sorted(set(self.missing) & set(self.levels))
            if both and "missing" in self.model_fields_set:
                raise ValueError(f"both a level and a text that means missing: {both}")
        elif self.levels:
            raise ValueError(f"a {self.type} has a range, not levels")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"range: expected lowest < highest, got {list(self.range)}")
        return self


class Cohort(Frozen):
    """What every case of a study must or may have."""

    images: dict[Name, Image] = Field({})
    masks: dict[MaskName, Mask] = Field({})
    columns: dict[Name, Column] = Field({})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse_all(self._unknown_images())
        refuse_all(self._names_used_twice())
        return self

    def _unknown_images(self) -> Iterator[tuple[Path, str]]:
        for name, mask in self.masks.items():
            if mask.on not in self.images:
                kind = f'"{mask.on}" is a mask, expected an image'
                unknown = kind if mask.on in self.masks else f'unknown image "{mask.on}"'
                yield ("masks", name, "on"), f"{unknown}{nearest(mask.on, list(self.images))}"
            if mask.truth is not None and mask.truth not in self.masks:
                kind = f'"{mask.truth}" is an image, expected a mask'
                unknown = kind if mask.truth in self.images else f'unknown mask "{mask.truth}"'
                yield ("masks", name, "truth"), f"{unknown}{nearest(mask.truth, list(self.masks))}"
            elif mask.truth is not None and self.masks[mask.truth].labels != mask.labels:
                yield ("masks", name, "truth"), f'"{mask.truth}" has other labels'

    def _names_used_twice(self) -> Iterator[tuple[Path, str]]:
        kinds: tuple[tuple[str, Mapping[str, object]], ...] = (
            ("images", self.images),
            ("masks", self.masks),
            ("columns", self.columns),
        )
        first: dict[str, str] = {}
        for kind, named in kinds:
            for name in named:
                if name in first:
                    yield (kind, name), f'"{name}" is among the {first[name]} too'
                first[name] = kind
