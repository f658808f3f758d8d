"""The step `pseudo_label`: a network draws the masks that nobody drew, where it is sure.

Each site does so with its own cases, on its own disk. The result is one mask a case: the
true one where there is one, else the network's, where voxels it is not sure of are marked
as known to nobody and cases it is not sure of get none. Only counts leave, and how many
cases it was how sure of.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Solve
from common.cohort import Column, Mask
from common.holdings import Holdings
from common.step import Cases, Step
from common.sums import Schema, cells, count
from common.tasks.predict import Networks, ask_with
from common.tasks.segmentation import Segmentation
from common.tasks.train import Train

N_BINS = 10
COUNTS = ("true", "accepted", "rejected", "failed")

_HIGHEST = 65535


class PseudoLabel(Step):
    """Label cases without a mask by the network of a `train` step, where it is sure.

    Probabilities are the mean over the image and its mirror images, mapped back. A voxel
    below `voxel_confidence` is ignored by whatever learns from the mask. A case counts by
    the mean probability of the voxels that are not background, or by the Dice of what is
    found in the image and in its mirror images; one with no such voxel, or below
    `case_confidence`, is rejected (Lee, ICML workshop 2013; thresholds as in Sohn et al.,
    FixMatch, NeurIPS 2020). True masks are taken over as they are.

    Rounds: 1.
    """

    elastic: ClassVar[bool] = True

    kind: Literal["pseudo_label"] = "pseudo_label"
    network: str = Field(description="the step that trained it")
    voxel_confidence: float = Field(
        0.75, ge=0, le=1, description="smallest probability of a voxel that is not ignored"
    )
    case_confidence: float = Field(
        0.8, ge=0, le=1, description="smallest probability or agreement of a case that is accepted"
    )
    case_judged_by: Literal["probability", "agreement"] = Field(
        "probability",
        description="mean probability of its voxels that are not background, or the Dice of "
        "what is found in the image and in its mirror images",
    )
    flips: tuple[Literal["z", "y", "x"], ...] = Field(
        ("x",), description="mirrored axes, in the recipe's orientation; nothing: none"
    )
    cases: Cases = Cases(split=("train",))

    @model_validator(mode="after")
    def _has_views(self) -> Self:
        if self.case_judged_by == "agreement" and not self.flips:
            raise ValueError("case_judged_by: agreement needs a mirror image; name axes in flips")
        return self

    def needs(self) -> tuple[str, ...]:
        """Return the step that trained the network."""
        return (self.network,)

    def makes(self, before: Holdings, steps: Mapping[str, Step]) -> Holdings:
        """Return the mask, and how sure the network was of a case it labelled."""
        task = _task(steps.get(self.network))
        mask = before.masks.get(task.mask) if task else None
        if task is None or mask is None:
            return Holdings()
        made = Mask(
            on=mask.on,
            labels=mask.labels,
            required=False,
            ignored=unused_value(mask),
            truth=mask.truth or task.mask,
        )
        share = Column(type="number", range=(0, 1))
        return Holdings({"confidence": share, "ignored": share}, masks={task.mask_name: made})

    def problems(self, before: Holdings, steps: Mapping[str, Step]) -> Iterator[str]:
        """Yield where the network finds no mask, or learnt from one that nobody drew."""
        task = _task(steps.get(self.network))
        if task is None:
            yield f'network: "{self.network}" trains no network that draws masks'
            return
        truth = before.masks[task.mask].truth or task.mask
        if "." in truth and before.masks[truth].truth is None and _made_by_network(truth, steps):
            yield f'network: "{self.network}" learns from "{truth}", which no reader drew'

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return counts of cases by what became of them, and by confidence."""
        del ask, contract
        return {name: count() for name in COUNTS} | {"confidence": cells(N_BINS)}

    def solve_with(self, networks: Networks, *, alone: bool = False) -> Solve:
        """Send the network of all sites together, count what was accepted."""
        del alone
        main = replace(networks, variants={"": networks.variants[""]})
        total = yield ask_with(main)
        n = {name: int(total[name]) for name in COUNTS}
        bins = [int(k) for k in np.asarray(total["confidence"], np.int64)]
        return Answer({**n, "confidence": [*bins]})


def unused_value(mask: Mask) -> int:
    """Return the value that marks what nobody knows: one that is no label."""
    if mask.ignored is not None:
        return mask.ignored
    free = (v for v in (255, *range(_HIGHEST, 0, -1)) if v not in mask.labels.values())
    return int(next(free))


def _task(step: object) -> Segmentation | None:
    task = step.task if isinstance(step, Train) else None
    return task if isinstance(task, Segmentation) else None


def _made_by_network(mask: str, steps: Mapping[str, Step]) -> bool:
    step = steps.get(mask.split(".", maxsplit=1)[0])
    return getattr(step, "kind", "") == "predict"
