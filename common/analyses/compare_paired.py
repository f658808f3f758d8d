"""Compare two columns case by case: two models, two readers, before and after."""

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.analyses import paired_tests
from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.correction import Correction, adjusted
from common.analyses.few import HIDDEN_ALONE, behind_enough
from common.analyses.paired_tests import Pair, signed_rank_from, signed_ranks
from common.analyses.plain import floats, plain, whole
from common.analyses.publish import FEW_CASES, few
from common.analyses.spread import unit_of, without_rounding
from common.analyses.wide import read_wide, wide_schema, wide_sums
from common.cohort import Column
from common.step import Step
from common.sums import Array, Schema, Sums, count, fine_grid, real
from common.table import Floats, Table

Contract = Mapping[str, Column]

_MOST_CELLS = 2**20
_STEPS, _FINE = 10_000, 1000
_FINEST = 2**16  # steps of a grid that is not declared: half a MiB a sign and pair
_TOLD = (
    *("mean_a", "mean_b", "t_test", "wilcoxon", "limits_of_agreement", "concordance"),
    *("mean_absolute_difference", "root_mean_square"),
)
_COARSE = "the declared resolution is larger than the mean difference: declare a finer one"


class ComparePaired(Step):
    """Compare pairs of columns over the cases that have both; differences are a - b.

    Paired t-test and mean difference; Wilcoxon's signed-rank test on counts of |a - b|
    rounded to a resolution, which is part of the test and printed; limits of agreement (Bland and
    Altman, Stat Methods Med Res 8:135, 1999); Lin's concordance (Biometrics 45:255,
    1989); mean absolute difference and root mean square. No signed-rank test for
    columns without a declared range. Without a `resolution` whole numbers have 1, others a
    ten-thousandth of the largest possible difference or, where differences are far smaller,
    about a thousandth of their mean magnitude; the few above 65 times that mean, of 65 one at
    most, are then ranked equal. No p where a declared resolution exceeds that mean.

    From one site alone a pair that fewer than five patients have both columns of counts as
    missing.

    Rounds: 2, for any number of pairs.
    """

    kind: Literal["compare_paired"] = "compare_paired"
    pairs: tuple[tuple[str, str], ...] = Field(min_length=1, description="two columns each")
    resolution: float | None = Field(
        default=None,
        gt=0,
        description="differences are rounded to it to be ranked; default: 1 for whole "
        "numbers, else chosen by how large differences are",
    )
    correction: Correction = "none"
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return tuple(dict.fromkeys(name for pair in self.pairs for name in pair))

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: sums of both columns, then their squares."""
        m = len(self.pairs)
        schema = {"n": count(), "valid": count(m, behind="valid")}
        if ask.phase == "totals":
            return {**schema, **wide_schema("sum", (3, m), (3, m))}
        schema |= {
            "d": real(3, m, behind="valid"),
            "d2": real(3, m, behind="valid"),
            "ab": real(m, behind="valid"),
        }
        for i, (_, n_cells) in self._grids(contract, ask).items():
            if ask.values.get("alone"):
                schema[f"signed.{i}"] = real(3, behind="valid")
            else:
                schema[f"above.{i}"] = fine_grid(n_cells, behind="valid")
                schema[f"below.{i}"] = fine_grid(n_cells, behind="valid")
        return schema

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over the cases that have both columns of a pair."""
        a, b = (table.matrix([pair[side] for pair in self.pairs]) for side in (0, 1))
        both = behind_enough(table, ~np.isnan(a) & ~np.isnan(b))
        sums: dict[str, Array] = {"n": np.array(table.n), "valid": both.sum(axis=0)}
        x = np.where(both, np.stack([a, b, a - b]), 0.0)
        if ask.phase == "totals":
            return {**sums, **wide_sums("sum", x.sum(axis=1), np.abs(x).sum(axis=1))}
        sums |= _squares(x, both, ask)
        for i, (step, n_cells) in self._grids(table.contract, ask).items():
            d = np.rint(x[2, both[:, i], i] / step)
            d = np.clip(d, 1 - n_cells, n_cells - 1).astype(np.int64)
            above = np.bincount(d[d > 0], minlength=n_cells)
            below = np.bincount(-d[d < 0], minlength=n_cells)
            if ask.values.get("alone"):
                sums[f"signed.{i}"] = np.array(signed_ranks(above, below), np.float64)
            else:
                sums |= {f"above.{i}": above, f"below.{i}": below}
        return sums

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for means, then for squares around them and ranked differences."""
        self._check(contract)
        first = yield Ask("totals")
        n = floats(first["valid"])
        sums, size = read_wide("sum", first)
        centre = sums / np.maximum(n, 1)
        # Each column's unit, and that of the differences, which may be far smaller.
        steps = self._steps(contract, size[2] / np.maximum(n, 1))
        arrays = {"centre": centre, "scale": unit_of(size), "step": steps}
        ask = Ask("squares", {"alone": alone}, arrays)
        total = yield ask
        pairs = _pairs(n, centre, arrays["scale"], total)
        found = [
            self._report(pair, float(apart), self._signed_rank(i, ask, total, contract))
            for i, (pair, apart) in enumerate(zip(pairs, size[2], strict=True))
        ]
        for name in ("t_test", "wilcoxon"):
            tests = [one[name] for one in found]
            p = [t["p"] if isinstance(t, dict) else None for t in tests]
            known = [x if isinstance(x, float) else None for x in p]
            for test, value in zip(tests, adjusted(known, self.correction), strict=True):
                if isinstance(test, dict):
                    test["p_adjusted"] = value
        for (a, b), one in zip(self.pairs, found, strict=True):
            one |= {"a": a, "b": b}
            if isinstance(one["n"], int):
                one["missing"] = int(first["n"]) - one["n"]
            if alone and int(first["n"]) and not one["n"]:
                one |= {"n": None, "missing": None, "note": HIDDEN_ALONE}
        values: dict[str, Json] = {"n": int(first["n"]), "correction": self.correction}
        return Answer({**values, "mode": "exact", "pairs": [*found]})

    def _check(self, contract: Contract) -> None:
        categories = [c for c in self.columns() if contract[c].type == "category"]
        if categories:
            raise ValueError(f"expected columns of numbers, got categories: {categories}")
        for i, widest in self._widest(contract).items():
            step = self._fixed(i, contract)
            if step and widest / step > _MOST_CELLS:
                raise ValueError(
                    f"resolution: {step:g} cuts the differences of {self.pairs[i]} into "
                    f"more than {_MOST_CELLS} steps"
                )

    def _fixed(self, i: int, contract: Contract) -> float | None:
        counted = all(contract[c].type == "integer" for c in self.pairs[i])
        return self.resolution or (1.0 if counted else None)

    def _widest(self, contract: Contract) -> dict[int, float]:
        """Return, by index of a pair with declared ranges, the largest possible |a - b|."""
        ranges = [(contract[a].range, contract[b].range) for a, b in self.pairs]
        return {
            i: max(one[1] - other[0], other[1] - one[0])
            for i, (one, other) in enumerate(ranges)
            if one is not None and other is not None
        }

    def _steps(self, contract: Contract, size: Floats) -> Floats:
        """Return the resolution of each pair by the mean |a - b|; 0 where no test can be."""
        steps = np.zeros(len(self.pairs))
        for i, widest in self._widest(contract).items():
            fixed = self._fixed(i, contract)
            step = fixed or min(widest / _STEPS, _round(size[i] / _FINE))
            coarse = self.resolution is not None and 0 < size[i] < step
            steps[i] = 0.0 if coarse else step
        return steps

    def _grids(self, contract: Contract, ask: Ask) -> dict[int, tuple[float, int]]:
        """Return, by index of a pair, the step of |a - b| and how many, 0 included."""
        grids: dict[int, tuple[float, int]] = {}
        steps = floats(ask.arrays["step"])
        for i, widest in self._widest(contract).items():
            step = float(steps[i])
            if step and not 0 < step < math.inf:
                raise ValueError(f"a resolution of {step:g}")
            if step:
                most = _MOST_CELLS if self._fixed(i, contract) else _FINEST
                grids[i] = step, min(round(widest / step), most) + 1
        return grids

    def _signed_rank(
        self, i: int, ask: Ask, total: Sums, contract: Contract
    ) -> dict[str, Json] | None:
        step = float(ask.arrays["step"][i])
        if f"signed.{i}" in total:
            rank_sum, n, ties = (float(x) for x in total[f"signed.{i}"])
            return signed_rank_from(rank_sum, round(n), ties) | {"resolution": step}
        if f"above.{i}" in total:
            above, below = whole(total[f"above.{i}"]), whole(total[f"below.{i}"])
            return signed_rank_from(*signed_ranks(above, below)) | {"resolution": step}
        return {"p": None, "note": _COARSE} if i in self._widest(contract) else None

    def _report(
        self, pair: Pair, apart: float, wilcoxon: dict[str, Json] | None
    ) -> dict[str, Json]:
        n = pair.n
        if few(n):
            return {"n": None, "missing": None, **dict.fromkeys(_TOLD), "note": FEW_CASES}
        rms = math.sqrt(pair.dd / n + pair.difference**2) if n else None
        return {
            "n": n,
            "mean_a": plain(pair.mean_a) if n else None,
            "mean_b": plain(pair.mean_b) if n else None,
            "t_test": paired_tests.paired_t(pair, self.level),
            "wilcoxon": wilcoxon,
            "limits_of_agreement": paired_tests.limits_of_agreement(pair, self.level),
            "concordance": paired_tests.concordance(pair, self.level),
            "mean_absolute_difference": apart / n if n else None,
            "root_mean_square": rms,
        }


def _round(size: float) -> float:
    """Return the next lower of 1, 2, 5 times a power of ten; infinity for 0."""
    if size <= 0:
        return math.inf
    power = 10.0 ** math.floor(math.log10(size))
    return max(m * power for m in (1, 2, 5) if m * power <= size * (1 + 1e-9))


def _squares(x: Floats, both: NDArray[np.bool_], ask: Ask) -> dict[str, Array]:
    """Return sums of deviations of a, b and a - b, of their squares, and of a times b."""
    centre, scale = floats(ask.arrays["centre"]), floats(ask.arrays["scale"])
    z = np.where(both, (x - centre[:, None, :]) / scale[:, None, :], 0.0)
    return {
        "d": z.sum(axis=1),
        "d2": (z**2).sum(axis=1),
        "ab": (z[0] * z[1]).sum(axis=0),
    }


def _pairs(n: Floats, centre: Floats, scale: Floats, total: Sums) -> list[Pair]:
    safe = np.maximum(n, 1)
    d = floats(total["d"])
    mean = centre + d / safe * scale
    # The rounding of a difference is that of its larger column.
    size = np.maximum(np.abs(mean), np.abs(mean[:2]).max(axis=0) * [[0], [0], [1]])
    squares = (floats(total["d2"]) - d**2 / safe) * scale**2
    squares = without_rounding(np.maximum(squares, 0.0), n, size)
    ab = (floats(total["ab"]) - d[0] * d[1] / safe) * scale[0] * scale[1]
    return [
        Pair(int(n[i]), *(float(v) for v in (*mean[:2, i], *squares[:2, i], ab[i], squares[2, i])))
        for i in range(len(n))
    ]
