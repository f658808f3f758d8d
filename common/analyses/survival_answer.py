"""Survival by groups as an answer prints it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Json
from common.analyses.correction import Correction, adjusted
from common.analyses.delong import wald
from common.analyses.hidden_cells import LEVELS, below
from common.analyses.publish import SMALLEST_CELL, hidden_cells
from common.analyses.survival import chi_square
from common.analyses.survival_table import (
    DAY,
    FOLLOWED,
    HIGH,
    LOW,
    SURVIVAL,
    columns_of,
    crossing,
    marks_of,
)
from common.table import Floats

Tests = Mapping[str, Floats]
"""O - E and its covariance, `off` and `spread`; of pairs `pair_off`, `pair_spread`."""


@dataclass(frozen=True)
class Hidden:
    """What must not be told of groups (R3): each of shape (strata, groups), or (groups,).

    Attributes:
        sizes: nothing; one to four are in the group, or in one that would follow from it.
        curves: neither events nor curve, whose steps tell them; one to four have the event,
            or have not, in the group or in one that would follow from it.
    """

    sizes: NDArray[np.bool_]
    curves: NDArray[np.bool_]

    def of(self, stratum: int) -> "Hidden":
        """Return that of the groups of one stratum."""
        return Hidden(self.sizes[stratum], self.curves[stratum])


def hidden_groups(
    sizes: NDArray[np.int64], n_events: NDArray[np.int64], smallest: int = SMALLEST_CELL
) -> Hidden:
    """Return what to hide, by cases and events of each stratum and group."""
    kinds = (sizes, n_events, sizes - n_events)
    return Hidden(hidden_cells([sizes], smallest), hidden_cells(kinds, smallest))


def group_answer(
    mine: Mapping[str, Floats],
    marks: Sequence[int],
    level: float,
    *,
    shown: bool = True,
    curve: bool = True,
) -> dict[str, Json]:
    """Return what is published of one group.

    Args:
        mine: `sizes`, `events`, `rows` padded with zeros, and `means`: tau, mean and
            its variance.
        marks: days of the table of patients at risk.
        level: of the intervals.
        shown: whether anything is, see `Hidden`.
        curve: whether its events and curve are.
    """
    n, n_events = int(mine["sizes"]), int(mine["events"])
    if n < SMALLEST_CELL:
        return {"n": None, "note": f"nobody, or fewer than {SMALLEST_CELL} of a kind"}
    if not shown:
        return {"n": None, "note": "not shown: a smaller group would follow from it"}
    if not curve:
        return {"n": n, "events": None, "note": _NO_CURVE}
    rows = mine["rows"][mine["rows"].any(axis=1)]
    days = rows[:, DAY]
    early = crossing(days, rows[:, LOW], 0.5)["low"]
    late = crossing(days, rows[:, HIGH], 0.5)["high"]  # shown days: never narrower
    median = crossing(days, rows[:, SURVIVAL], 0.5)
    return {
        "n": n,
        "events": n_events,
        "median": {**median, "ci_low": early, "ci_high": late, "mode": "binned"},
        "median_follow_up": {**crossing(days, rows[:, FOLLOWED], 0.5), "mode": "binned"},
        "restricted_mean": _mean(mine["means"], level),
        "curve": columns_of(rows, n),
        "at_risk": marks_of(rows, marks, n),
    }


def log_rank_answer(tests: Tests, hidden: Hidden) -> dict[str, Json]:
    """Return the log-rank test of all groups of a stratum.

    Of a group of few it would tell when they left; where few have the event, how many could
    be had from it by trying, so that of the test is told below which level p lies (R11).
    """
    from scipy.stats import chi2

    if hidden.sizes.any():
        return {"chi2": None, "df": 0, "p": None, "note": "not shown: a group is too small"}
    statistic, df = chi_square(tests["off"], tests["spread"])
    p = None if statistic is None else float(chi2.sf(statistic, df))
    if hidden.curves.any():
        return {"chi2": None, "df": df, **p_beside_hidden(p), "hidden": _BELOW}
    return {"chi2": statistic, "df": df, "p": p}


def p_beside_hidden(p: float | None, suffix: str = "") -> dict[str, Json]:
    """Return what is told of p beside hidden counts: below which usual level it lies."""
    told: dict[str, Json] = {} if p is None else {f"p_below{suffix}": below(p, LEVELS[0])}
    return {f"p{suffix}": None, **told}


def pair_answers(
    groups: Sequence[str],
    tests: tuple[Tests, Tests],
    means: Floats,
    rules: tuple[float, Correction],
    hidden: Hidden,
) -> list[Json]:
    """Return the tests of every two groups, and how their means differ.

    Args:
        groups: their names.
        tests: as of one cohort, and stratified by site.
        means: tau, mean and variance of each group, shape (G, 3).
        rules: level of the intervals, and correction of p over the pairs.
        hidden: nothing is told of pairs with a group that is, and of those with a group
            whose curve is, below which level p lies.
    """
    level, how = rules
    pairs = list(combinations(range(len(groups)), 2))
    coarse = [bool(hidden.curves[[i, j]].any()) for i, j in pairs]
    found = [[_pair(t, k) for k in range(len(pairs))] for t in tests]
    # A hidden p counts as its upper end: that of another, corrected, could be it.
    most = [[_most(p) if c else p for (_, p), c in zip(of, coarse, strict=True)] for of in found]
    fair = [adjusted(p, how) for p in most]
    out: list[Json] = []
    for k, (i, j) in enumerate(pairs):
        pair: dict[str, Json] = {"a": groups[i], "b": groups[j]}
        gone = bool(hidden.sizes[[i, j]].any())
        for suffix, of, p in zip(("", "_by_site"), found, fair, strict=True):
            chi2, own = of[k]
            pair[f"chi2{suffix}"] = None if gone or coarse[k] else chi2
            pair[f"p_adjusted{suffix}"] = None if gone or coarse[k] else p[k]
            if gone or not coarse[k]:
                pair[f"p{suffix}"] = None if gone else own
            else:
                pair |= p_beside_hidden(own, suffix)
        difference = None if coarse[k] else _difference(means[i], means[j], level)
        pair["restricted_mean_difference"] = difference
        out.append(pair)
    return out


def _pair(tests: Tests, k: int) -> tuple[float | None, float | None]:
    from scipy.stats import chi2

    spread = float(tests["pair_spread"][k])
    if spread < 1e-12:
        return None, None
    statistic = float(tests["pair_off"][k]) ** 2 / spread
    return statistic, float(chi2.sf(statistic, 1))


def _most(p: float | None) -> float | None:
    return None if p is None else below(p, LEVELS[0]) or 1.0


_FEW = f"a group has fewer than {SMALLEST_CELL} cases with or without the event"
_NO_CURVE = f"not shown: {_FEW}, or one that has would follow from this one"
_BELOW = f"of p is told below which level it lies: {_FEW}"


def _mean(mean: Floats, level: float) -> dict[str, Json]:
    tau, estimate, variance = mean.tolist()
    if tau == 0:
        return dict.fromkeys(("tau", "estimate", "se", "ci_low", "ci_high"))
    found = wald(estimate, variance, level, 0.0)._asdict()
    found.pop("p")
    return {"tau": int(tau), "estimate": estimate, **found}


def _difference(a: Floats, b: Floats, level: float) -> dict[str, Json] | None:
    if 0 in (a[0], b[0]):
        return None
    difference = float(a[1] - b[1])
    found = wald(difference, float(a[2] + b[2]), level, 0.0)
    return {"estimate": difference, **found._asdict()}
