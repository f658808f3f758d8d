"""The step `check_cohort`: how many cases came in, and why others did not. Counts only."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import numpy as np

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.cohort import SPLITS, Column
from common.step import Over, Step
from common.sums import Schema, Sums, cells, count


class Code(StrEnum):
    """What is the matter with a case. A fixed list: its counts may leave a site."""

    NO_PATIENT = "no_patient"
    PATIENT_IN_TWO_SPLITS = "patient_in_two_splits"
    VALUE_MISSING = "value_missing"
    VALUE_WRONG_TYPE = "value_wrong_type"
    VALUE_OUT_OF_RANGE = "value_out_of_range"
    VALUE_UNKNOWN_LEVEL = "value_unknown_level"
    IMAGE_MISSING = "image_missing"
    IMAGE_UNREADABLE = "image_unreadable"
    IMAGE_NOT_FINITE = "image_not_finite"
    IMAGE_CONSTANT = "image_constant"
    IMAGE_SINGLE_SLICE = "image_single_slice"
    IMAGE_TWICE = "image_twice"
    MASK_MISSING = "mask_missing"
    MASK_UNREADABLE = "mask_unreadable"
    MASK_OTHER_GRID = "mask_other_grid"
    MASK_UNKNOWN_LABEL = "mask_unknown_label"
    MASK_EMPTY = "mask_empty"
    RARE_GAP = "rare_gap"


class CheckCohort(Step):
    """Check every site's cohort against the study and count what becomes of its cases.

    A site alone sends no counts by reason: small cells would tell of single patients.

    Rounds: 1.
    """

    kind: Literal["check_cohort"] = "check_cohort"
    over: tuple[Over, ...] = ("all",)

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return counts of cases screened, included, excluded by reason, and by split."""
        del contract
        schema = {name: count() for name in ("n_screened", "n_included", "n_patients")}
        schema["splits"] = count(len(SPLITS) + 1)
        if not ask.values["alone"]:
            schema["excluded"] = cells(len(Code))
        return schema

    def solve(self, contract: Mapping[str, Column], *, alone: bool = False) -> Solve:
        """Ask once."""
        del contract
        total = yield Ask("flow", {"alone": alone})
        counts: dict[str, Json] = {
            n: int(total[n]) for n in ("n_screened", "n_included", "n_patients")
        }
        names = (*SPLITS, "none")
        counts["splits"] = dict(zip(names, map(int, total["splits"]), strict=True))
        if not alone:
            counts["excluded"] = _by_reason(total)
        return Answer(counts)


def _by_reason(total: Sums) -> dict[str, Json]:
    excluded = np.asarray(total["excluded"], np.int64)
    return {str(c): int(n) for c, n in zip(Code, excluded, strict=True) if n}
