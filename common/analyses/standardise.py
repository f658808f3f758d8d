"""z-scores as columns: each number in standard deviations from the mean of all sites."""

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.few import HIDDEN_ALONE, without_few
from common.analyses.plain import floats, plain
from common.analyses.publish import SMALLEST_CELL
from common.analyses.spread import (
    centre_of,
    deviations,
    deviations_schema,
    spread_of,
    together,
    totals,
    totals_schema,
)
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Schema, Sums, count
from common.table import Floats, Table

Contract = Mapping[str, Column]


class Standardise(Step):
    """Make z-scores: (x - mean) / SD, with n - 1, over the cases that have a value.

    With `folds`, `<step>.fold0.<column>` are all cases by mean and SD of the others than
    fold 0, for a model that is evaluated on it. A column without spread becomes 0.

    Rounds: 2, whatever the folds.
    """

    kind: Literal["standardise"] = "standardise"
    of: tuple[str, ...] = Field(min_length=1, description="columns to standardise")
    folds: int = Field(default=0, ge=0, le=50)

    @model_validator(mode="after")
    def _two_folds(self) -> Self:
        if self.folds == 1:
            raise ValueError("folds: expected 0 or at least 2, got 1")
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return self.of

    def expand(self, known: tuple[str, ...]) -> "Standardise":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        return self.model_copy(update={"of": expand_patterns(self.of, known)})

    def produces(self) -> Mapping[str, Column]:
        """Return the z-scores, of all cases and of those outside each fold."""
        number = Column(type="number")
        return {prefix + name: number for prefix in self._prefixes for name in self.of}

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: totals, then deviations, by fold."""
        shape = max(self.folds, 1), len(self.of)
        if ask.phase == "totals":
            return {"n": count(), **totals_schema(*shape)}
        return deviations_schema(*shape)

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums."""
        n_groups = max(self.folds, 1)
        folds = table.folds(n_groups)
        values = without_few(table, table.matrix(self.of), folds)
        if ask.phase == "totals":
            return {"n": np.array(table.n), **totals(values, folds, n_groups)}
        centre, scale = floats(ask.arrays["centre"]), floats(ask.arrays["scale"])
        return deviations(values, folds, centre, scale)

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for means and spreads of each fold; put them together."""
        categories = [c for c in self.of if contract[c].type == "category"]
        if categories:
            raise ValueError(f"expected columns of numbers, got categories: {categories}")
        first = yield Ask("totals")
        arrays = centre_of(first)
        total = yield Ask("deviations", {}, arrays)
        by_fold = spread_of(arrays["centre"], arrays["scale"], total)
        fold = np.arange(len(by_fold.n))
        left_out = [fold >= 0, *(fold != f for f in range(self.folds))]
        fits = [together(by_fold, groups) for groups in left_out]
        mean = np.concatenate([fit.mean for fit in fits])
        sd = np.concatenate([fit.sd for fit in fits])
        n = np.concatenate([fit.n for fit in fits])
        # Of a column that one to four have no z-score tells the mean: it is 0.
        enough = n >= SMALLEST_CELL
        mean, sd = np.where(enough, mean, np.nan), np.where(enough, sd, np.nan)
        columns: dict[str, Json] = {
            name: {
                "n": int(fits[0].n[0, i]),
                "mean": plain(mean[0, i]),
                "sd": plain(sd[0, i]),
            }
            for i, name in enumerate(self.of)
        }
        gone = [name for i, name in enumerate(self.of) if not fits[0].n[0, i]]
        for name in gone if alone and int(first["n"]) else ():
            columns[name] = {"n": None, "mean": None, "sd": None, "note": HIDDEN_ALONE}
        values: dict[str, Json] = {"n": int(first["n"]), "mode": "exact", "columns": columns}
        found = {"mean": np.nan_to_num(mean), "sd": np.nan_to_num(sd)}
        return Answer(values, found)

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return z-scores of this site's rows, NaN where a value is missing."""
        values = table.matrix(self.of)
        mean, sd = floats(answer.arrays["mean"]), floats(answer.arrays["sd"])
        columns: dict[str, Floats] = {}
        for f, prefix in enumerate(self._prefixes):
            z = (values - mean[f]) / np.where(sd[f] > 0, sd[f], 1.0)
            z = np.where((sd[f] > 0) | np.isnan(values), z, 0.0)
            columns |= {prefix + name: z[:, i] for i, name in enumerate(self.of)}
        return columns

    @property
    def _prefixes(self) -> tuple[str, ...]:
        return ("", *(f"fold{f}." for f in range(self.folds)))
