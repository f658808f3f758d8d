"""Cox regression stratified by site: hazard ratios without any event time leaving."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.design import (
    Contract,
    Scale,
    matrix_of,
    refuse_saturated,
    rough_scale,
)
from common.analyses.effects import likelihood_ratio
from common.analyses.levels import level_codes, levels_of
from common.analyses.nested import (
    Slopes,
    check_models,
    models_of,
    table_of,
    tests_of,
    unfitted,
)
from common.analyses.newton import (
    CONVERGED,
    Ints,
    Local,
    Point,
    climb,
    inverse_of,
    maximise,
    n_packed,
    pack,
    unpack,
)
from common.analyses.outcome import complete, event_level, events
from common.analyses.partial_likelihood import (
    concordant,
    derivatives,
    order,
    separation,
)
from common.analyses.plain import floats, plain
from common.analyses.publish import shown_counts
from common.cohort import Name
from common.step import Step
from common.sums import Array, Schema, Sums, cells, count, real
from common.table import Floats, Table

_BEHIND = "n_patients"


class Cox(Step):
    """Fit one or several Cox models, stratified by site, on the same complete cases.

    Each site computes the partial likelihood of its own patients with Efron's ties
    (`partial_likelihood`); the sum is that of a Cox model with the site as stratum: sites
    share hazard ratios, not baseline hazards. More strata, such as a stage, lie within
    sites. Newton's method; Wald's intervals and p; likelihood-ratio tests against no
    model and between nested models. A model whose likelihood rises for ever is said to
    be separated. The unstratified model would let rows be read off (rule R10); its
    substitute is `piecewise_exponential`.

    `concordance`: Harrell's index over pairs of the same stratum and site.

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

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        of = [c for columns in self.models.values() for c in columns]
        return tuple(dict.fromkeys([self.time, self.event, *self.strata, *of]))

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts and sizes, then derivatives, then pairs."""
        counts = {"n": count(), "n_patients": count()}
        if ask.phase == "scale":
            size = real(len(models_of(self.models, contract).terms), behind=_BEHIND)
            more = {"n_cases": count(), "classes": cells(2)}
            return {**counts, **more, "sum": size, "sum_abs": size}
        a, q = ask.arrays["beta"].shape
        if ask.phase == "concordance":
            pairs = count(a, behind=_BEHIND)
            return {**counts, "right": pairs, "tied": pairs, "pairs": pairs}
        each = real(a, behind=_BEHIND)
        return {
            **counts,
            "value": each,
            "gradient": real(a, q, behind=_BEHIND),
            "curvature": real(a, n_packed(q), behind=_BEHIND),
            "against": each,
            "along": each,
        }

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        models = models_of(self.models, table.contract)
        here = complete(table, self.columns())
        died = events(here, self.event, self.positive)
        x = matrix_of(here, models.terms)
        counts = {"n": np.array(here.n), "n_patients": np.array(here.n_patients)}
        if ask.phase == "scale":
            refuse_saturated(here, int(models.used.sum(1).max()))
            return counts | {
                "n_cases": np.array(table.n),
                "classes": np.bincount(died.astype(np.int64), minlength=2),
                "sum": x.sum(0),
                "sum_abs": np.abs(x).sum(0),
            }
        strata = order(here.columns[self.time], died, self._strata(here))
        scale = Scale(floats(ask.arrays["centre"]), floats(ask.arrays["spread"]))
        z = [scale.apply(x) * models.used[m] for m in ask.arrays["problems"]]
        return counts | _at_points(ask, z, died, strata)

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
        if not n_events:
            empty = unfitted(self.models, "there are no events")
            return Answer({**_counts(first), "models": empty, "tests": []})
        scale = rough_scale(int(first["n"]), floats(first["sum"]), floats(first["sum_abs"]))
        partial = _Partial(scale)
        start = np.zeros(models.used.shape)
        climbing = maximise(start, models.used, np.full(len(start), float(n_events)))
        fit = yield from climb(climbing, partial.ask, partial.read)
        everyone = np.arange(len(start))
        arrays = {"problems": everyone, "beta": fit.beta, **partial.constants()}
        pairs = yield Ask("concordance", {}, arrays)
        covariance = inverse_of(fit.curvature, fit.free)
        slopes = Slopes(
            fit,
            fit.beta / scale.spread,
            covariance / (scale.spread[:, None] * scale.spread),
            fit.free,
        )
        tables: dict[str, Json] = {}
        for m, name in enumerate(self.models):
            table = table_of(models, slopes, m, "hazard_ratio", self.level)
            if fit.state[m] == CONVERGED:
                df, value = int(fit.free[m].sum()), float(fit.value[m])
                test = likelihood_ratio(float(partial.null[m]), value, df)
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
            }
        )


@dataclass
class _Partial:
    """Asks for the partial likelihood and reads the totals.

    Attributes:
        null: log-likelihood of each model without effects, from the first round.
    """

    scale: Scale
    null: Floats = field(default_factory=lambda: np.zeros(0))

    def constants(self) -> dict[str, Array]:
        return {"centre": self.scale.centre, "spread": self.scale.spread}

    def ask(self, point: Point) -> Ask:
        at = {"problems": point.problems, "beta": point.beta, "step": point.step}
        return Ask("climb", {}, {**at, **self.constants()})

    def read(self, point: Point, total: Sums) -> Local:
        value = floats(total["value"])
        if not self.null.size:
            self.null = value
        return Local(
            value,
            floats(total["gradient"]),
            unpack(floats(total["curvature"]), point.beta.shape[1]),
            floats(total["against"]),
            floats(total["along"]),
        )


def _at_points(
    ask: Ask, designs: list[Floats], died: Floats, strata: list[tuple[Ints, Floats]]
) -> dict[str, Array]:
    """Return the running models' sums, each of its own columns."""
    rows: list[tuple[Array | float | int, ...]] = []
    beta = floats(ask.arrays["beta"])
    if ask.phase == "concordance":
        names: tuple[str, ...] = ("right", "tied", "pairs")
        rows += [concordant(x @ b, died, strata) for x, b in zip(designs, beta, strict=True)]
    else:
        names = ("value", "gradient", "curvature", "against", "along")
        steps = floats(ask.arrays["step"])
        for x, b, step in zip(designs, beta, steps, strict=True):
            value, gradient, curvature = derivatives(x, died, strata, b)
            apart = separation(x, died, strata, step)
            rows.append((value, gradient, pack(curvature), *apart))
    return {name: np.array([row[i] for row in rows]) for i, name in enumerate(names)}


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
    return {
        "concordance": plain(right / pairs) if pairs else None,
        "comparable_pairs": pairs,
    }
