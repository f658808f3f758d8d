"""The shape of distributions: skewness, kurtosis, and a test of normality."""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.correction import Correction, adjusted
from common.analyses.few import HIDDEN_ALONE, without_few
from common.analyses.plain import floats, plain
from common.analyses.rare_levels import RARE_VALUE, rare_binary
from common.analyses.spread import (
    centre_of,
    deviations,
    deviations_schema,
    spread_of,
    totals,
    totals_schema,
)
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Schema, Sums, count, real
from common.table import Table

Contract = Mapping[str, Column]


class Moments(Step):
    """Mean, SD, skewness and kurtosis of columns, and whether they are normal.

    Normality by K2 of D'Agostino and Pearson (Biometrika 60:613, 1973; D'Agostino,
    Belanger, D'Agostino, Am Stat 44:316, 1990), from 20 cases on: unlike Shapiro and
    Wilk's test it needs no order statistics. Third and fourth powers are of z-scores.

    Rounds: 3.
    """

    kind: Literal["moments"] = "moments"
    of: tuple[str, ...] = Field(min_length=1, description="columns of numbers")
    correction: Correction = "none"

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return self.of

    def expand(self, known: tuple[str, ...]) -> "Moments":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        return self.model_copy(update={"of": expand_patterns(self.of, known)})

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: totals, deviations, third and fourth powers."""
        p = len(self.of)
        if ask.phase == "totals":
            return {"n": count(), **totals_schema(1, p)}
        if ask.phase == "deviations":
            return deviations_schema(1, p)
        powers = real(p, behind="valid")
        return {"valid": count(p, behind="valid"), "z3": powers, "z4": powers}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums."""
        values = without_few(table, table.matrix(self.of))
        codes = np.zeros(table.n, np.int64)
        if ask.phase == "totals":
            return {"n": np.array(table.n), **totals(values, codes, 1)}
        centre, scale = floats(ask.arrays["centre"]), floats(ask.arrays["scale"])
        if ask.phase == "deviations":
            return deviations(values, codes, centre, scale)
        there = ~np.isnan(values)
        z = np.where(there, (values - centre) / scale, 0.0)
        return {
            "valid": there.sum(axis=0),
            "z3": (z**3).sum(axis=0),
            "z4": (z**4).sum(axis=0),
        }

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for means, spreads and higher powers, each in units of the one before."""
        categories = [c for c in self.of if contract[c].type == "category"]
        if categories:
            raise ValueError(f"expected columns of numbers, got categories: {categories}")
        first = yield Ask("totals")
        arrays = centre_of(first)
        total = yield Ask("deviations", {}, arrays)
        spread = spread_of(arrays["centre"], arrays["scale"], total)
        n, mean, squares = spread.n[0], spread.mean[0], spread.squares[0]
        unit = np.sqrt(squares / np.maximum(n, 1))
        varies = unit > 0
        centre, scale = np.nan_to_num(mean), np.where(varies, unit, 1.0)
        powers = yield Ask("powers", {}, {"centre": centre, "scale": scale})
        safe = np.where(varies, n, np.nan)
        # What the centre, one double, lacks of the mean; its square is nothing.
        lost = (spread.origin - centre + spread.off[0]) / scale
        skew = floats(powers["z3"]) / safe - 3 * lost
        kurtosis = floats(powers["z4"]) / safe - 4 * lost * skew
        tests = [k_squared(*map(float, args)) for args in zip(n, skew, kurtosis, strict=True)]
        p = adjusted([test[1] for test in tests], self.correction)
        columns: dict[str, dict[str, Json]] = {}
        rare = rare_binary(self.of, contract, n, n * np.nan_to_num(mean))
        for i, name in enumerate(self.of):
            columns[name] = {
                "n": int(n[i]),
                "missing": int(first["n"]) - int(n[i]),
                "mean": plain(mean[i]),
                "sd": plain(spread.sd[0, i]),
                "skewness": plain(skew[i]),
                "excess_kurtosis": plain(kurtosis[i] - 3),
                "k_squared": tests[i][0],
                "p": tests[i][1],
                "p_adjusted": p[i],
            }
            if alone and int(first["n"]) and not n[i]:
                columns[name] = {**dict.fromkeys(columns[name]), "note": HIDDEN_ALONE}
            elif rare[i]:
                kept = {key: columns[name][key] for key in ("n", "missing")}
                columns[name] = {**dict.fromkeys(columns[name]), **kept, "note": RARE_VALUE}
        values: dict[str, Json] = {"n": int(first["n"]), "correction": self.correction}
        return Answer({**values, "mode": "exact", "columns": dict(columns)})


def k_squared(n: float, skew: float, kurtosis: float) -> tuple[float | None, float | None]:
    """Return K2 and its p; None below 20 cases or without spread.

    Args:
        n: cases.
        skew: third standardised moment.
        kurtosis: fourth standardised moment, 3 for a normal distribution.
    """
    from scipy.special import chdtrc

    if n < 20 or math.isnan(skew):
        return None, None
    k2 = _z_skew(n, skew) ** 2 + _z_kurtosis(n, kurtosis) ** 2
    return k2, float(chdtrc(2, k2))


def _z_skew(n: float, skew: float) -> float:
    """D'Agostino, Biometrika 57:679 (1970)."""
    y = skew * math.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    beta = 3 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3)
    beta /= (n - 2) * (n + 5) * (n + 7) * (n + 9)
    w2 = math.sqrt(2 * (beta - 1)) - 1
    return math.asinh(y / math.sqrt(2 / (w2 - 1))) / math.sqrt(math.log(w2) / 2)


def _z_kurtosis(n: float, kurtosis: float) -> float:
    """Anscombe and Glynn, Biometrika 70:227 (1983)."""
    variance = 24 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    x = (kurtosis - 3 * (n - 1) / (n + 1)) / math.sqrt(variance)
    root = math.sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    b = 6 * (n**2 - 5 * n + 2) / ((n + 7) * (n + 9)) * root
    a = 6 + 8 / b * (2 / b + math.sqrt(1 + 4 / b**2))
    low = (1 - 2 / a) / (1 + x * math.sqrt(2 / (a - 4)))
    return (1 - 2 / (9 * a) - math.copysign(abs(low) ** (1 / 3), low)) / math.sqrt(2 / (9 * a))
