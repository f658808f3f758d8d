"""Cox regression stratified by site: hazard ratios without any event time leaving."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.concordance_grid import (
    N_SCORES,
    N_TIMES,
    cells_of,
    concordance,
    score_edges,
)
from common.analyses.design import (
    Contract,
    Scale,
    matrix_of,
    read_sizes,
    refuse_saturated,
    rough_scale,
    sizes,
    sizes_schema,
)
from common.analyses.effects import likelihood_ratio
from common.analyses.levels import level_codes, levels_of
from common.analyses.nested import (
    Climbing,
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
from common.analyses.newton import CONVERGED, Fit, Ints, climb, maximise
from common.analyses.outcome import complete, event_level, events
from common.analyses.partial_likelihood import (
    concordant,
    derivatives,
    order,
    separation,
)
from common.analyses.plain import floats, plain, whole
from common.analyses.publish import shown_counts
from common.analyses.rare_levels import merged_matrix, unseen_levels
from common.cohort import Column, Name
from common.step import Step, expand_models
from common.sums import Array, Schema, Sums, cells, count, fine_grid
from common.table import Floats, Table

_BEHIND = "n_patients"
_NUMBER = Column(type="number")


class Cox(Step):
    """Fit one or several Cox models, stratified by site, on the same complete cases.

    Each site computes the partial likelihood of its own patients with Efron's ties
    (`partial_likelihood`); the sum is that of a Cox model with the site as stratum: sites
    share hazard ratios, not baseline hazards. More strata, such as a stage, lie within
    sites. Newton's method; Wald's intervals and p; likelihood-ratio tests against no
    model and between nested models. A model whose likelihood rises for ever is said to
    be separated. The unstratified model would let rows be read off (rule R10); its
    substitute is `piecewise_exponential`.

    `concordance` is Harrell's index over pairs of the same stratum and site, exact;
    `concordance_across_sites` that over all pairs, from counts on a grid of days and
    score (`concordance_grid`), where the time has a range and the sum is masked.

    `linear_predictor` becomes a column, which `concordance`, `kaplan_meier` or a cut-off
    may read at other sites.

    Rounds: 7 to 8, one for the scale of the columns, one for the concordance.
    Message: q (q + 1) / 2 + q + 3 reals a running model and round.
    """

    kind: Literal["cox"] = "cox"
    time: str = Field(description="a number, from the same start for everybody")
    event: str = Field(description="a category, or an integer of range 0 to 1")
    positive: str = Field(default="", description="level that is the event")
    models: dict[Name, tuple[str, ...]] = Field(
        min_length=1, description="columns of each model, by the model's name"
    )
    strata: tuple[str, ...] = Field(
        default=(), description="categories that divide each site further"
    )
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_models(self.models, self.time, self.event)
        for name, of in self.models.items():
            for stratum in self.strata:
                if stratum in of:
                    raise ValueError(f'model "{name}": "{stratum}" is a stratum')
        return self

    def expand(self, known: tuple[str, ...]) -> "Cox":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        models = expand_models(self.models, known, (self.time, self.event, *self.strata))
        return self.model_copy(update={"models": models})

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        of = [c for columns in self.models.values() for c in columns]
        return tuple(dict.fromkeys([self.time, self.event, *self.strata, *of]))

    def produces(self) -> Mapping[str, Column]:
        """Return each model's linear predictor: the log hazard against the mean case's."""
        return {f"{self._prefix(name)}linear_predictor": _NUMBER for name in self.models}

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return the linear predictors; NaN where a covariate is missing."""
        made = {name: np.full(table.n, np.nan) for name in self.produces()}
        if "coefficients" not in answer.arrays:
            return made
        models = models_of(self.models, table.contract)
        x = matrix_of(table, models.terms) - floats(answer.arrays["centre"])
        for m, name in enumerate(self.models):
            used = models.used[m]
            beta = floats(answer.arrays["coefficients"])[m, used]
            made[f"{self._prefix(name)}linear_predictor"] = x[:, used] @ beta
        return made

    def _prefix(self, model: str) -> str:
        return "" if len(self.models) == 1 else f"{model}_"

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts and sizes, then derivatives, then pairs."""
        counts = {"n": count(), "n_patients": count()}
        if ask.phase == "scale":
            more = {"n_cases": count(), "classes": cells(2)}
            n_terms = len(models_of(self.models, contract).terms)
            return {**counts, **more, **sizes_schema(n_terms)}
        if ask.phase == "climb":
            return {**counts, **derivatives_schema(ask)}
        a = len(ask.arrays["problems"])
        pairs = count(a, behind=_BEHIND)
        schema = {**counts, "right": pairs, "tied": pairs, "pairs": pairs}
        if "score_edges" in ask.arrays:
            shape = (a, 2, N_TIMES, N_SCORES)
            return {**schema, "grid": fine_grid(*shape, behind=_BEHIND)}
        return schema

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        models = models_of(self.models, table.contract)
        here = complete(table, self.columns())
        died = events(here, self.event, self.positive)
        x = merged_matrix(here, models.terms)
        counts = {"n": np.array(here.n), "n_patients": np.array(here.n_patients)}
        if ask.phase == "scale":
            refuse_saturated(here, models.most)
            return counts | {
                "n_cases": np.array(table.n),
                "classes": np.bincount(died.astype(np.int64), minlength=2),
                **sizes(x),
            }
        strata = order(here.columns[self.time], died, self._strata(here))
        scale = Scale(floats(ask.arrays["centre"]), floats(ask.arrays["spread"]))
        z = [scale.apply(x) * models.used[m] for m in ask.arrays["problems"]]
        if ask.phase == "climb":
            return counts | _at_points(ask, z, died, strata)
        return counts | _pairs(ask, z, (here.columns[self.time], died), strata)

    def _strata(self, table: Table) -> Ints:
        stratum = np.zeros(table.n, np.int64)
        for name in self.strata:
            n_levels = len(levels_of(name, table.contract))
            stratum = stratum * n_levels + level_codes(table, name)
        return stratum

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for the scale, climb, then count concordant pairs."""
        event_level(contract, self.event, self.positive)
        for name in self.strata:
            levels_of(name, contract)
        models = models_of(self.models, contract)
        first = yield Ask("scale")
        n_events = int(first["classes"][1])
        note = unfittable(models, first, n_events)
        if note:
            empty = unfitted(self.models, note)
            return Answer({**_counts(first), "models": empty, "tests": []})
        n, (total, size) = int(first["n"]), read_sizes(first)
        unseen = unseen_levels(models.terms, contract, (n, total), alone=alone)
        scale = rough_scale(n, total, size).without(unseen.among(models.terms))
        climbing = Climbing({"centre": scale.centre, "spread": scale.spread})
        start = np.zeros(models.used.shape)
        cases = np.full(len(start), float(n_events))
        steps = maximise(start, models.used, cases)
        fit = yield from climb(steps, climbing.ask, climbing.read)
        arrays = {"problems": np.arange(len(start)), "beta": fit.beta}
        last = 0.0 if alone else _last_day(contract, self.time)
        if last:
            arrays |= {"score_edges": _edges(fit, climbing.metric / n_events)}
            arrays |= {"last_day": np.array(last)}
        pairs = yield Ask("concordance", {}, {**arrays, **climbing.constants})
        slopes, tables = slopes_of(fit, scale.spread), dict[str, Json]()
        for m, name in enumerate(self.models):
            table = table_of(models, slopes, m, unseen, self.level)
            if fit.state[m] == CONVERGED:
                df, value = int(fit.free[m].sum()), float(fit.value[m])
                test = likelihood_ratio(float(climbing.null[m]), value, df)
                table |= {"against_null": test, **_concordance(pairs, m)}
            tables[name] = table
        return Answer(
            {
                **_counts(first),
                "strata": ["site", *self.strata],
                "ties": "Efron",
                "models": tables,
                "tests": tests_of(models, slopes),
                "mode": "exact",
            },
            {"coefficients": _known(fit, slopes.beta), "centre": scale.centre},
        )


def _known(fit: Fit, beta: Floats) -> Floats:
    """Return the slopes, NaN of models that have none."""
    return np.where((fit.state == CONVERGED)[:, None], beta, np.nan)


def _last_day(contract: Contract, time: str) -> float:
    """Return the end of the declared range, 0 without one."""
    bounds = contract[time].range
    return float(bounds[1]) if bounds else 0.0


def _edges(fit: Fit, covariance: Floats) -> Floats:
    """Return where each model's scores are divided, by their SD within risk sets."""
    variance = np.einsum("mi,mij,mj->m", fit.beta, covariance, fit.beta)
    return np.array([score_edges(float(np.sqrt(max(v, 0.0)))) for v in variance])


def _at_points(
    ask: Ask, designs: list[Floats], died: Floats, strata: list[tuple[Ints, Floats]]
) -> dict[str, Array]:
    """Return the running models' derivatives, each of its own columns."""
    rows: list[tuple[Array | float, ...]] = []
    beta, steps = floats(ask.arrays["beta"]), floats(ask.arrays["step"])
    for x, b, step in zip(designs, beta, steps, strict=True):
        apart = separation(x, died, strata, step)
        rows.append((*derivatives(x, died, strata, b), *apart))
    return stacked(rows)


def _pairs(
    ask: Ask,
    designs: list[Floats],
    outcome: tuple[Floats, Floats],
    strata: list[tuple[Ints, Floats]],
) -> dict[str, Array]:
    """Return concordant, tied and comparable pairs of each model, and its grid."""
    beta = floats(ask.arrays["beta"])
    scores = [x @ b for x, b in zip(designs, beta, strict=True)]
    found = np.array([concordant(score, outcome[1], strata) for score in scores])
    sums: dict[str, Array] = dict(zip(("right", "tied", "pairs"), found.T, strict=True))
    if "score_edges" in ask.arrays:
        last = float(ask.arrays["last_day"])
        sums["grid"] = np.array(
            [
                cells_of(*outcome, score, (edges, last))
                for score, edges in zip(scores, floats(ask.arrays["score_edges"]), strict=True)
            ]
        )
    return sums


def _counts(first: Sums) -> dict[str, Json]:
    n = int(first["n"])
    _, n_events = shown_counts([int(c) for c in first["classes"]])
    return {
        "n": n,
        "n_excluded": int(first["n_cases"]) - n,
        "n_patients": int(first["n_patients"]),
        "events": n_events,
    }


def _concordance(total: Sums, m: int) -> dict[str, Json]:
    pairs = int(total["pairs"][m])
    right = float(total["right"][m]) + float(total["tied"][m]) / 2.0
    out: dict[str, Json] = {
        "concordance": plain(right / pairs) if pairs else None,
        "comparable_pairs": pairs,
    }
    grid = concordance(whole(total["grid"][m])) if "grid" in total else None
    if grid is None:
        return out
    across: dict[str, Json] = {"estimate": grid[0], "mode": "binned", "bound": grid[1]}
    return out | {"concordance_across_sites": across}
