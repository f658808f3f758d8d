"""Survival by groups as an answer prints it."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Json
from common.analyses.correction import Correction, adjusted
from common.analyses.delong import wald
from common.analyses.publish import SMALLEST_CELL, shown_counts
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


def shown_groups(sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which groups may be shown, shape of `sizes`, (strata, groups).

    A group of one to four is not, nor one more where it would follow from the total (R3);
    its curve goes too, as the heights of steps tell how many are at risk.
    """
    shown = shown_counts([int(n) for n in sizes.ravel()], SMALLEST_CELL)
    return np.array([n is not None and n >= SMALLEST_CELL for n in shown]).reshape(sizes.shape)


def group_answer(
    mine: Mapping[str, Floats], marks: Sequence[int], level: float, *, shown: bool = True
) -> dict[str, Json]:
    """Return what is published of one group.

    Args:
        mine: `sizes`, `events`, `rows` padded with zeros, and `means`: tau, mean and
            its variance.
        marks: days of the table of patients at risk.
        level: of the intervals.
        shown: see `shown_groups`.
    """
    n, n_events = int(mine["sizes"]), int(mine["events"])
    if n < SMALLEST_CELL:
        return {"n": None, "note": f"nobody, or fewer than {SMALLEST_CELL} of a kind"}
    if not shown:
        return {"n": None, "note": "not shown: a smaller group would follow from it"}
    few = any(0 < k < SMALLEST_CELL for k in (n_events, n - n_events))
    rows = mine["rows"][mine["rows"].any(axis=1)]
    days = rows[:, DAY]
    early = crossing(days, rows[:, LOW], 0.5)["low"]
    late = crossing(days, rows[:, HIGH], 0.5)["high"]  # shown days: never narrower
    median = crossing(days, rows[:, SURVIVAL], 0.5)
    return {
        "n": n,
        "events": None if few else n_events,
        "median": {**median, "ci_low": early, "ci_high": late, "mode": "binned"},
        "median_follow_up": {**crossing(days, rows[:, FOLLOWED], 0.5), "mode": "binned"},
        "restricted_mean": _mean(mine["means"], level),
        "curve": columns_of(rows, n),
        "at_risk": marks_of(rows, marks, n),
    }


def log_rank_answer(tests: Tests, *, hidden: bool) -> dict[str, Json]:
    """Return the log-rank test of all groups; of hidden ones it would tell when they left."""
    from scipy.stats import chi2

    if hidden:
        return {"chi2": None, "df": 0, "p": None, "note": "not shown: a group is too small"}
    statistic, df = chi_square(tests["off"], tests["spread"])
    p = None if statistic is None else float(chi2.sf(statistic, df))
    return {"chi2": statistic, "df": df, "p": p}


def pair_answers(
    groups: Sequence[str],
    tests: tuple[Tests, Tests],
    means: Floats,
    level: float,
    how: Correction,
) -> list[Json]:
    """Return the tests of every two groups, and how their means differ.

    Args:
        groups: their names.
        tests: as of one cohort, and stratified by site.
        means: tau, mean and variance of each group, shape (G, 3).
        level: of the intervals.
        how: correction of p over the pairs.
    """
    pairs = list(combinations(range(len(groups)), 2))
    found = [[_pair(t, k) for k in range(len(pairs))] for t in tests]
    fair = [adjusted([p for _, p in of], how) for of in found]
    out: list[Json] = []
    for k, (i, j) in enumerate(pairs):
        pair: dict[str, Json] = {"a": groups[i], "b": groups[j]}
        for suffix, of, p in zip(("", "_by_site"), found, fair, strict=True):
            pair[f"chi2{suffix}"], pair[f"p{suffix}"] = of[k]
            pair[f"p_adjusted{suffix}"] = p[k]
        pair["restricted_mean_difference"] = _difference(means[i], means[j], level)
        out.append(pair)
    return out


def without_hidden(
    pairs: Sequence[Json], groups: Sequence[str], shown: NDArray[np.bool_]
) -> list[Json]:
    """Return the pairs with nothing told of those with a group that is not shown."""
    seen = {name for name, of in zip(groups, shown, strict=True) if of}
    out: list[Json] = []
    for pair in pairs:
        if isinstance(pair, dict) and not {pair["a"], pair["b"]} <= seen:
            out.append({**dict.fromkeys(pair), "a": pair["a"], "b": pair["b"]})
        else:
            out.append(pair)
    return out


def _pair(tests: Tests, k: int) -> tuple[float | None, float | None]:
    from scipy.stats import chi2

    spread = float(tests["pair_spread"][k])
    if spread < 1e-12:
        return None, None
    statistic = float(tests["pair_off"][k]) ** 2 / spread
    return statistic, float(chi2.sf(statistic, 1))


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
