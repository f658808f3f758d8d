"""Logistic regression of an outcome on each of many columns, all in the same rounds."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Ask, Solve
from common.analyses.correction import Correction, with_significant
from common.analyses.design import (
    MOST_COEFFICIENTS_A_CASE,
    Contract,
    Scale,
    read_sizes,
    refuse_saturated,
    rough_scale,
    sizes,
    sizes_schema,
    terms_of,
)
from common.analyses.logit_asks import (
    At,
    Likelihood,
    Penalised,
    logit_schema,
    logit_sums,
)
from common.analyses.newton import SEPARATED, Ints, Point, climb, maximise
from common.analyses.outcome import complete, event_level, events
from common.analyses.plain import floats, whole
from common.analyses.publish import SMALLEST_CELL
from common.analyses.rare_levels import (
    merged_matrix,
    rare_binary,
    unseen_levels,
    without_rare_columns,
)
from common.analyses.univariable_answer import SATURATED, Screened, answer_of, nothing_yet
from common.step import Step, expand_patterns
from common.sums import Array, Schema, Sums, cells, count
from common.table import Floats, Table

_CHUNK = 64  # columns a site works on at a time


class UnivariableLogistic(Step):
    """Screen columns by the odds ratio of each alone, or adjusted for a few others.

    One model a column, over the cases that have it, at least five of each class:
    intercept, `adjust`, column. Newton's method for all columns at once, a separated one
    again by Firth's penalised likelihood (see `logistic`). Per unit and per standard
    deviation of the column; Wald's intervals and p, but Firth's p by its likelihood ratio.

    Rounds: 7 to 9, one of them for the scale of the columns; where a column is separated,
    about 10 more.
    Message: q (q + 1) / 2 + q + 3 reals a running column and round, q = 2 + adjusted.
    """

    kind: Literal["univariable_logistic"] = "univariable_logistic"
    outcome: str = Field(description="a category, or an integer of range 0 to 1")
    positive: str = Field(default="", description="level that is the event")
    of: tuple[str, ...] = Field(
        min_length=1, description="numbers or categories of two levels, each tested"
    )
    adjust: tuple[str, ...] = Field(default=(), description="columns in every model")
    firth: Literal["auto", "never"] = "auto"
    correction: Correction = "fdr_bh"
    select_p: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="list the columns whose corrected p is below it; a later step reads them "
        "as @<step>.significant",
    )
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in (*self.of, *self.adjust):
            if name == self.outcome:
                raise ValueError(f'"{name}" is the outcome')
            if name in self.of and name in self.adjust:
                raise ValueError(f'"{name}" is tested and adjusted for')
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.outcome, *self.adjust, *self.of)

    def expand(self, known: tuple[str, ...]) -> "UnivariableLogistic":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        adjust = expand_patterns(self.adjust, tuple(c for c in known if c != self.outcome))
        own = {self.outcome, *adjust}
        names = [c for c in expand_patterns(self.of, known) if c not in own]
        return self.model_copy(update={"of": tuple(names), "adjust": adjust})

    def chooses(self) -> Mapping[str, tuple[str, ...]]:
        """Return the columns, of which `significant` names some."""
        return {} if self.select_p is None else {"significant": self.of}

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts and sizes, then derivatives."""
        p, a = len(self.of), len(terms_of(self.adjust, contract))
        counts = {"n": count(), "n_patients": count()}
        if ask.phase != "scale":
            return {**counts, **logit_schema(ask)}
        return {
            "n_cases": count(),
            **counts,
            "classes": cells(p, 2),
            **sizes_schema(p + a),
        }

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over the cases with outcome and adjusting columns."""
        here = without_rare_columns(complete(table, (self.outcome, *self.adjust)), self.of)
        y = events(here, self.outcome, self.positive)
        z = merged_matrix(here, terms_of(self.adjust, table.contract))
        counts = {"n": np.array(here.n), "n_patients": np.array(here.n_patients)}
        if ask.phase != "scale":
            return counts | self._derivatives(here, ask, z, y)
        x = here.matrix(self.of)
        refuse_saturated(here, 2 + z.shape[1])
        has = ~np.isnan(x)
        both = np.column_stack([np.where(has, x, 0.0), z])
        return counts | {
            "n_cases": np.array(table.n),
            "classes": np.column_stack([has[y == c].sum(0) for c in (0, 1)]),
            **sizes(both),
        }

    def _derivatives(self, here: Table, ask: Ask, z: Floats, y: Floats) -> dict[str, Array]:
        adjust = Scale(floats(ask.arrays["adjust_centre"]), floats(ask.arrays["adjust_spread"]))
        common = np.column_stack([np.ones(here.n), adjust.apply(z)])
        parts: dict[str, list[Array]] = {}
        for which, x in self._chunks(here, ask):
            has = ~np.isnan(x)
            lines = np.empty((len(x), common.shape[1] + 1, here.n))
            lines[:, :-1] = common.T * has[:, None]
            lines[:, -1] = np.where(has, x, 0.0)
            design = lines.swapaxes(1, 2)  # a column's values one after the other
            for name, sums in logit_sums(ask, design, y, which).items():
                parts.setdefault(name, []).append(sums)
        return {name: np.concatenate(of) for name, of in parts.items()}

    def _chunks(self, here: Table, ask: Ask) -> Iterator[tuple[slice, Floats]]:
        """Give scaled columns of the running problems, shape (A, n), a few at a time."""
        columns = [self.of[j] for j in ask.arrays["columns"].tolist()]
        scale = Scale(floats(ask.arrays["centre"]), floats(ask.arrays["spread"]))
        for start in range(0, len(columns), _CHUNK):
            which = slice(start, start + _CHUNK)
            part = Scale(scale.centre[which, None], scale.spread[which, None])
            yield which, part.apply(here.by_column(columns[which]))

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for counts and scale, then climb; separated columns with a penalty."""
        event_level(contract, self.outcome, self.positive)
        for name in self.of:
            if len(contract[name].levels) > 2:
                raise ValueError(f'"{name}" has more than two levels: use a step of kind logistic')
        first = yield Ask("scale")
        screened = yield from self._screen(first, contract, alone=alone)
        answer = answer_of(self.of, screened, first, (self.correction, self.level))
        return with_significant(answer, self.select_p)

    def _screen(
        self, first: Sums, contract: Contract, *, alone: bool
    ) -> Generator[Ask, Sums, Screened]:
        """Fit every column that five cases of both classes have, and of both its values."""
        classes, q = whole(first["classes"]), 2 + len(terms_of(self.adjust, contract))
        total, p = read_sizes(first)[0], len(self.of)
        rare = rare_binary(self.of, contract, classes.sum(1), total[:p])
        screened = nothing_yet(classes, rare, alone=alone)
        # By cases, as each column has its own; of patients with several there are fewer.
        enough = q <= MOST_COEFFICIENTS_A_CASE * classes.sum(1)
        sound = (classes >= SMALLEST_CELL).all(1) & ~rare
        screened.state[sound & ~enough] = SATURATED
        rows = np.flatnonzero(sound & enough)
        if not rows.size:
            return screened
        share = classes[rows, 1] / classes[rows].sum(1)
        start = np.zeros((len(rows), q))
        start[:, 0] = np.log(share / (1.0 - share))
        scales = _scales(first, classes.sum(1), int(first["n"]))
        adjust = terms_of(self.adjust, contract)
        unseen = unseen_levels(adjust, contract, (int(first["n"]), total[p:]), alone=alone)
        scales = replace(scales, adjust=scales.adjust.without(unseen.among(adjust)))
        screened.left_out = unseen.words(adjust)
        likelihood = Likelihood(_at(scales, rows), 0.0, share * (1.0 - share))
        free = np.ones(start.shape, bool)
        fit = yield from climb(maximise(start, free), likelihood.ask, likelihood.read)
        screened.take(rows, fit, likelihood.gram, scales.tested.spread[rows])
        apart = np.flatnonzero(fit.state == SEPARATED)
        if self.firth == "auto" and apart.size:
            yield from _penalise(scales, rows[apart], start[apart], screened)
        return screened


@dataclass(frozen=True, slots=True)
class Scales:
    """Constants of the tested columns and of those adjusted for."""

    tested: Scale
    adjust: Scale


def _scales(first: Sums, n: Ints, n_all: int) -> Scales:
    """Return means and mean magnitudes, each over the cases that have the column."""
    total, size = read_sizes(first)
    safe, p = np.maximum(n, 1), len(n)
    spread = np.where(size[:p] > 0, size[:p] / safe, 1.0)
    adjust = rough_scale(n_all, total[p:], size[p:])
    return Scales(Scale(total[:p] / safe, spread), adjust)


def _at(scales: Scales, rows: Ints) -> At:
    """Return what names fits to the sites: columns, their scale, coefficients."""

    def arrays(point: Point) -> dict[str, Array]:
        columns = rows[point.problems]
        return {
            "columns": columns,
            "centre": scales.tested.centre[columns],
            "spread": scales.tested.spread[columns],
            "adjust_centre": scales.adjust.centre,
            "adjust_spread": scales.adjust.spread,
            "beta": point.beta,
        }

    return arrays


def _penalise(
    scales: Scales, columns: Ints, start: Floats, screened: Screened
) -> Generator[Ask, Sums, None]:
    """Fit separated columns by Firth's likelihood, with and without their slope."""
    n, q = start.shape
    rows, used = np.tile(columns, 2), np.ones((2 * n, q), bool)
    free = used.copy()
    free[n:, -1] = False
    model = Penalised(_at(scales, rows), used, np.zeros((2 * n, q, q)))
    climbing = maximise(np.tile(start, (2, 1)), free)
    fit = yield from climb(climbing, model.ask, model.read)
    screened.take_penalised(columns, fit, model.inverse, scales.tested.spread[columns])
