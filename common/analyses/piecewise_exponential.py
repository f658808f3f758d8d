"""Hazard ratios of one cohort with one baseline hazard, constant between cut days."""

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.design import (
    Contract,
    Scale,
    read_sizes,
    refuse_saturated,
    rough_scale,
    sizes,
    sizes_schema,
)
from common.analyses.nested import (
    Climbing,
    Models,
    check_models,
    derivatives_schema,
    models_of,
    slopes_of,
    stacked,
    table_of,
    tests_of,
    unfittable,
    unfitted,
)
from common.analyses.newton import Bools, climb, maximise
from common.analyses.outcome import complete, event_level, events
from common.analyses.person_time import (
    cut_days,
    derivatives,
    design_of,
    separation,
    spells_of,
)
from common.analyses.plain import floats, whole
from common.analyses.publish import shown_counts
from common.analyses.rare_levels import merged_matrix, unseen_levels
from common.cohort import Name
from common.step import Step, expand_models
from common.sums import Array, Schema, Sums, count, fine_grid, real
from common.table import Table

_BEHIND = "n_patients"


class PiecewiseExponential(Step):
    """Fit survival models without strata: a substitute for Cox over all sites.

    All sites share one baseline hazard, constant within intervals that hold equal
    numbers of events; a Poisson model of events in person-time (`person_time`). With 20
    intervals coefficients lie about 0.05 standard errors from the unstratified Cox
    model's, whose sums would let rows be read off (rule R10). Wald's intervals and p;
    likelihood-ratio tests between nested models.

    Time is whole days within a declared range; events a day are added up to choose the
    intervals, in a masked sum only: a site alone should use `cox`.

    Rounds: 7 to 9, one of them for intervals and the scale of the columns.
    Message: events a day once; then q (q + 1) / 2 + q + 3 reals a running model and
    round, q = intervals + coefficients.
    """

    only_masked: ClassVar[bool] = True
    answers_alone: ClassVar[bool] = False

    kind: Literal["piecewise_exponential"] = "piecewise_exponential"
    time: str = Field(description="whole days, with a range from 0")
    event: str = Field(description="a category, or an integer of range 0 to 1")
    positive: str = Field(default="", description="level that is the event")
    models: dict[Name, tuple[str, ...]] = Field(
        min_length=1, description="columns of each model, by the model's name"
    )
    intervals: int = Field(default=20, ge=1, le=100, description="at most so many")
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_models(self.models, self.time, self.event)
        return self

    def expand(self, known: tuple[str, ...]) -> "PiecewiseExponential":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        models = expand_models(self.models, known, (self.time, self.event))
        return self.model_copy(update={"models": models})

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        of = [c for columns in self.models.values() for c in columns]
        return tuple(dict.fromkeys([self.time, self.event, *of]))

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: events a day and sizes, then derivatives."""
        counts = {"n": count(), "n_patients": count()}
        if ask.phase == "scale":
            return {
                "n_cases": count(),
                **counts,
                "events": fine_grid(_n_days(contract, self.time), behind=_BEHIND),
                "time": real(behind=_BEHIND),
                **sizes_schema(len(models_of(self.models, contract).terms)),
            }
        return {**counts, **derivatives_schema(ask)}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        models = models_of(self.models, table.contract)
        here = complete(table, self.columns())
        died, days = events(here, self.event, self.positive), here.columns[self.time]
        x = merged_matrix(here, models.terms)
        counts = {"n": np.array(here.n), "n_patients": np.array(here.n_patients)}
        if ask.phase == "scale":
            refuse_saturated(here, models.most)
            n_days = _n_days(table.contract, self.time)
            when = np.clip(days[died > 0], 0, n_days - 1).astype(np.int64)
            return counts | {
                "n_cases": np.array(table.n),
                "events": np.bincount(when, minlength=n_days),
                "time": np.array(days.sum()),
                **sizes(x),
            }
        cuts = floats(ask.arrays["cuts"])
        scale = Scale(floats(ask.arrays["centre"]), floats(ask.arrays["spread"]))
        spells = spells_of(days, died, cuts)
        design = design_of(spells, scale.apply(x), len(cuts) + 1)
        used = _used(models, len(cuts) + 1)
        rows: list[tuple[Array | float, ...]] = []
        beta, steps = floats(ask.arrays["beta"]), floats(ask.arrays["step"])
        for m, b, step in zip(ask.arrays["problems"], beta, steps, strict=True):
            z = design * used[m]
            apart = separation(z, spells, step)
            rows.append((*derivatives(z, spells, b), *apart))
        return counts | stacked(rows)

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for events a day and the scale, then climb."""
        event_level(contract, self.event, self.positive)
        _n_days(contract, self.time)
        models = models_of(self.models, contract)
        first = yield Ask("scale")
        n, n_events = int(first["n"]), int(first["events"].sum())
        counts: dict[str, Json] = {
            "n": n,
            "n_excluded": int(first["n_cases"]) - n,
            "n_patients": int(first["n_patients"]),
            "events": shown_counts([n - n_events, n_events])[1] or None,
        }
        note = unfittable(models, first, n_events)
        if note:
            empty = unfitted(self.models, note)
            return Answer({**counts, "models": empty, "tests": []})
        cuts = cut_days(whole(first["events"]), self.intervals)
        total, size = read_sizes(first)
        unseen = unseen_levels(models.terms, contract, (n, total), alone=alone)
        scale = rough_scale(n, total, size).without(unseen.among(models.terms))
        used = _used(models, len(cuts) + 1)
        start = np.zeros(used.shape)
        start[:, : len(cuts) + 1] = np.log(n_events / float(first["time"]))
        climbing = Climbing({"cuts": floats(cuts), "centre": scale.centre, "spread": scale.spread})
        steps = maximise(start, used, np.full(len(start), float(n_events)))
        fit = yield from climb(steps, climbing.ask, climbing.read)
        slopes, tables = slopes_of(fit, scale.spread), dict[str, Json]()
        for m, name in enumerate(self.models):
            tables[name] = table_of(models, slopes, m, unseen, self.level)
        counts |= {"n_intervals": len(cuts) + 1, "tests": tests_of(models, slopes)}
        return Answer({**counts, "models": tables, "mode": "exact"})


def _used(models: Models, n_intervals: int) -> Bools:
    """Return the coefficients of each model, the intervals' first."""
    every = np.ones((len(models.used), n_intervals), bool)
    return np.hstack([every, models.used])


def _n_days(contract: Contract, time: str) -> int:
    column = contract[time]
    if column.type != "integer" or column.range is None or column.range[0] < 0:
        raise ValueError(f'time "{time}": expected whole days with a range from 0')
    return int(column.range[1]) + 1
