"""The step `deep_features`: what a network's layers say of a region, as columns.

Features stay at the site; counts of cases done and failed by reason leave it.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.cohort import Column, ImageRef, MaskRef, Name
from common.holdings import Holdings
from common.radiomics.faults import Fault
from common.radiomics.regions import Pick, Region, regions_of, wrong_regions
from common.seeds import LARGEST_SEED
from common.step import Over, Said, Step
from common.sums import Array, Schema, Sums, cells, count
from common.tasks.section import of_other_slices
from common.tasks.train import Train

if TYPE_CHECKING:
    from common.tasks.predict import Networks

_COUNTS = ("n_cases", "done", "failed")


class DeepFeatures(Step):
    """Pool the layers of a convolutional network over a region.

    `network` names a `train` step of this study: its selected weights go to the sites, and
    of every convolution the mean and standard deviation of each channel over the region
    are taken, the coarsest layers first, until there are `features` of them.

    Without `network`, filters that come with the software are taken: random ones, the same
    at all sites for a seed, of 3 voxels a side at steps of 1, 2 and 4 times `spacing_mm`.
    Of each, the mean of its positive part over the region is a feature. They have learnt
    nothing and are a floor for features that have; weights from elsewhere cannot be
    named, for a site downloads nothing.

    Columns: `<step>.<image>_random_0000` or `<step>.network_0000`; names of masks and
    labels stand in front as in `extract`.

    Rounds: 1.
    """

    elastic: ClassVar[bool] = True

    kind: Literal["deep_features"] = "deep_features"
    network: str = Field("", description="the step that trained it; empty: random filters")
    of: tuple[ImageRef, ...] = Field((), description="images of random filters")
    masks: tuple[MaskRef, ...] = Field(min_length=1)
    labels: tuple[Name, ...] = ()
    merge: bool = False
    features: int = Field(1000, ge=1, le=10_000, description="of an image or network, and region")
    spacing_mm: float = Field(1.0, gt=0.1, le=10, description="voxel size for random filters")
    seed: int = Field(1, ge=0, le=LARGEST_SEED, description="of random filters")
    over: tuple[Over, ...] = ("all",)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.network) == bool(self.of):
            raise ValueError("expected either `network`, or `of` with images for random filters")
        if len(self.over) > 1 or self.over[0] == "each":
            raise ValueError('over: expected one of "all", "development", "external"')
        return self

    def needs(self) -> tuple[str, ...]:
        """Return the step that trained the network."""
        return (self.network,) if self.network else ()

    def images(self) -> tuple[str, ...]:
        """Return the images and masks it reads."""
        return (*self.of, *self.masks)

    def regions(self, known: Holdings) -> tuple[Region, ...]:
        """Return what is looked at; the image is "" for a trained network."""
        return regions_of(self.of, self.masks, Pick(self.labels, self.merge), known)

    def names(self, region: Region) -> tuple[str, ...]:
        """Return the columns of a region."""
        word = "random" if self.of else "network"
        return tuple(f"{region.prefix}{word}_{i:04d}" for i in range(self.features))

    def makes(self, before: Holdings, steps: Mapping[str, Step]) -> Holdings:
        """Return its columns."""
        del steps
        number = Column(type="number")
        return Holdings(
            columns={n: number for region in self.regions(before) for n in self.names(region)}
        )

    def problems(self, before: Holdings, steps: Mapping[str, Step]) -> Iterator[Said]:
        """Yield labels there are not, and a network that nothing trained."""
        pick = Pick(self.labels, self.merge)
        yield from wrong_regions(self.of, self.masks, pick, before)
        if not self.network:
            return
        trained = steps.get(self.network)
        if not isinstance(trained, Train):
            return  # told already
        if trained.folds or trained.stay_local:
            why = f'"{self.network}" must train one network, without folds or stay_local'
            yield ("network",), why
        seen = trained.task.reads()[0]
        for i, mask in enumerate(self.masks):
            if why := of_other_slices(seen, mask, before):
                yield ("masks", i), why

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return counts, by reason only in masked sums."""
        del contract
        schema = {name: count() for name in _COUNTS}
        if not ask.values["alone"]:
            schema["reasons"] = cells(len(Fault))
        return schema

    def solve(self, contract: Mapping[str, Column], *, alone: bool = False) -> Solve:
        """Ask for features of random filters."""
        del contract
        return (yield from self._ask({}, alone=alone))

    def solve_with(self, networks: "Networks", *, alone: bool = False) -> Solve:
        """Send the network of all sites; ask for its features."""
        weights = networks.variants[""][0][0]
        most = 2 * sum(w.shape[0] for w in weights.values() if w.ndim > 3)
        if self.features > most:
            raise ValueError(f"features: the network has at most {most}, got {self.features}")
        return (yield from self._ask(weights, alone=alone))

    def _ask(self, weights: Mapping[str, Array], *, alone: bool) -> Solve:
        total = yield Ask("features", {"alone": alone}, weights)
        return Answer({"n_features": self.features, **_read(total)})


def _read(total: Sums) -> dict[str, Json]:
    found: dict[str, Json] = {name: int(total[name]) for name in _COUNTS}
    if "reasons" in total:
        reasons = np.asarray(total["reasons"], np.int64)
        found["reasons"] = {str(f): int(n) for f, n in zip(Fault, reasons, strict=True) if n}
    return found
