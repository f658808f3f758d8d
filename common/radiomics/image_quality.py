"""The step `image_quality`: what of every region might spoil its features.

Figures become columns of the site's table, for `describe` or `histogram`; what leaves a
site are counts of regions beyond the study's limits.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.cohort import Column, ImageRef, MaskRef, Name
from common.holdings import Holdings
from common.radiomics.faults import Fault
from common.radiomics.regions import Pick, Region, regions_of, wrong_regions
from common.step import Over, Said, Step
from common.sums import Schema, cells, count

FIGURES = {
    "volume_ml": Column(type="number", unit="ml", range=(0, 10_000), title="Volume"),
    "parts": Column(type="integer", range=(0, 100_000), title="Connected parts"),
    "single_voxels": Column(type="integer", range=(0, 100_000), title="Voxels with no neighbour"),
    "slices": Column(type="integer", range=(0, 10_000), title="Slices"),
    "touches_border": Column(type="integer", range=(0, 1), title="Touches the image's border"),
    "saturated": Column(type="number", range=(0, 1), title="Share of voxels at the lowest or "
                        "highest grey level of the image"),
}  # fmt: skip

FLAGS = ("too_small", "many_parts", "single_voxels", "one_slice", "touches_border", "saturated")
COUNTS = ("n_regions", "n_flagged", "n_failed")


class ImageQuality(Step):
    """Measure regions and count those that a person should look at.

    A voxel counts as connected to the 26 around it. Saturated are the voxels at the
    largest or smallest grey level that the whole image holds.

    Rounds: 1.
    """

    elastic: ClassVar[bool] = True

    kind: Literal["image_quality"] = "image_quality"
    of: tuple[ImageRef, ...] = Field(min_length=1, description="images")
    masks: tuple[MaskRef, ...] = Field(min_length=1)
    labels: tuple[Name, ...] = ()
    merge: bool = False
    smallest_ml: float = Field(0.1, ge=0, description="a smaller region is counted")
    most_parts: int = Field(1, ge=1, description="a region of more parts is counted")
    most_saturated: float = Field(0.01, ge=0, le=1, description="a larger share is counted")
    over: tuple[Over, ...] = ("all",)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.over) > 1 or self.over[0] == "each":
            raise ValueError('over: expected one of "all", "development", "external"')
        return self

    def images(self) -> tuple[str, ...]:
        """Return the images and masks it reads."""
        return (*self.of, *self.masks)

    def regions(self, known: Holdings) -> tuple[Region, ...]:
        """Return what is looked at."""
        return regions_of(self.of, self.masks, Pick(self.labels, self.merge), known)

    def makes(self, before: Holdings, steps: Mapping[str, Step]) -> Holdings:
        """Return the figures of every region."""
        del steps
        return Holdings(
            columns={
                region.prefix + name: column
                for region in self.regions(before)
                for name, column in FIGURES.items()
            }
        )

    def problems(self, before: Holdings, steps: Mapping[str, Step]) -> Iterator[Said]:
        """Yield labels that none of the masks has."""
        del steps
        pick = Pick(self.labels, self.merge)
        yield from wrong_regions(self.of, self.masks, pick, before)

    def flags(self, figures: Mapping[str, float]) -> dict[str, bool]:
        """Return which limits a region's figures are beyond."""
        return {
            "too_small": figures["volume_ml"] < self.smallest_ml,
            "many_parts": figures["parts"] > self.most_parts,
            "single_voxels": figures["single_voxels"] > 0,
            "one_slice": figures["slices"] < 2,
            "touches_border": figures["touches_border"] > 0,
            "saturated": figures["saturated"] > self.most_saturated,
        }

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return counts of regions, in masked sums also by image and limit."""
        del contract
        schema = {name: count() for name in COUNTS}
        if not ask.values["alone"]:
            schema["flags"] = cells(len(self.of), len(FLAGS))
            schema["reasons"] = cells(len(Fault))
        return schema

    def solve(self, contract: Mapping[str, Column], *, alone: bool = False) -> Solve:
        """Ask once."""
        del contract
        total = yield Ask("quality", {"alone": alone})
        found: dict[str, Json] = {name: int(total[name]) for name in COUNTS}
        if not alone:
            flags = np.asarray(total["flags"], np.int64)
            found["flags"] = {
                image: {name: int(n) for name, n in zip(FLAGS, row, strict=True)}
                for image, row in zip(self.of, flags, strict=True)
            }
            reasons = np.asarray(total["reasons"], np.int64)
            found["reasons"] = {str(f): int(n) for f, n in zip(Fault, reasons, strict=True) if n}
        return Answer(found)
