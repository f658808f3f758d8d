"""Meta-analysis over sites: each site's own effect, put together without showing it."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.outcome import complete, event_level, events
from common.analyses.random_effects import Weighed, summary, summary_of_few
from common.analyses.score_grid import grid_of
from common.analyses.site_effect import Effect, effect_of
from common.analyses.wide import read_wide, wide_schema, wide_sums
from common.cohort import Column
from common.step import Step
from common.sums import Array, Schema, Sums, count
from common.table import Table

Contract = Mapping[str, Column]
# A variance below it is none: of a column whose range is declared, the squared range is 1.
_LEAST_VARIANCE = 1e-16
_FEWEST_SITES, _FEWEST_IN_FULL = 3, 5
_TOO_FEW_SITES = (
    "needs three sites or more with an effect; a site has none where fewer than five of its "
    "cases are of a class of the outcome, or its values do not vary"
)


class Meta(Step):
    """Fixed and random effects over sites, Q, I^2 and tau^2, from sums over sites.

    A site computes its effect (`common.analyses.site_effect`) on its complete cases; one
    with fewer than five in a class, or no variance, is left out and counted; so is one
    whose values differ by less than 10^-8 of their declared range. Formulas:
    `common.analyses.random_effects`. No site's effect is shown; a forest plot needs
    per-site answers. So that none follows either, two sites are told nothing, and three or
    four the random-effects mean and I^2 only, rounded.

    Rounds: 2.
    """

    kind: Literal["meta"] = "meta"
    effect: Effect
    of: str = Field("", description="the column the effect is of; none for a proportion")
    outcome: str = Field("", description="two classes; none for a mean")
    positive: str = Field("", description="the level that is the event")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if bool(self.of) == (self.effect == "proportion"):
            raise ValueError(f"of: expected {_wanted(not self.of)} for a {self.effect}")
        if bool(self.outcome) == (self.effect == "mean"):
            what = _wanted(not self.outcome)
            raise ValueError(f"outcome: expected {what} for a {self.effect}")
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return tuple(name for name in (self.of, self.outcome) if name)

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: its weight, and its weighted effect."""
        behind = "n_patients"
        return {
            "n": count(),
            "n_patients": count(),
            "sites": count(),
            "left_out": count(),
            **wide_schema("weighed", (4,), (4,), behind),
        }

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums."""
        rows = complete(table, self.columns())
        found = self._effect(rows)
        weighed = np.zeros(4)
        if found is not None:
            value, variance = found
            centre, tau2 = (float(str(ask.values[k])) for k in ("centre", "tau2"))
            w, t = 1 / (variance + tau2), value - centre
            weighed[:] = w, w * w, w * t, w * t * t
        used = found is not None
        sums: dict[str, Array] = {
            "n": np.array(rows.n if used else 0),
            "n_patients": np.array(rows.n_patients if used else 0),
            "sites": np.array(int(used)),
            "left_out": np.array(int(not used)),
        }
        return {**sums, **wide_sums("weighed", weighed, np.abs(weighed))}

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Weigh by the variance within sites, then by that between them too."""
        if self.outcome:
            event_level(contract, self.outcome, self.positive)
        scale = self._scale(contract)
        total = yield Ask("weigh", {"centre": 0.0, "tau2": 0.0})
        head: dict[str, Json] = {k: int(total[k]) for k in ("n", "n_patients", "left_out")}
        head |= {"effect": self.effect, "k": int(total["sites"])}
        fixed = _weighed(total, 0.0)
        if fixed.k < _FEWEST_SITES:
            return Answer(head | {"note": _TOO_FEW_SITES})
        tau2 = fixed.tau2
        total = yield Ask("weigh", {"centre": fixed.mean, "tau2": tau2})
        random = _weighed(total, fixed.mean)
        tell = summary if fixed.k >= _FEWEST_IN_FULL else summary_of_few
        found = tell(_rescaled(fixed, scale), _rescaled(random, scale), self.confidence)
        return Answer(head | {"mode": "exact"} | found)

    def _effect(self, rows: Table) -> tuple[float, float] | None:
        y = events(rows, self.outcome, self.positive) if self.outcome else np.zeros(rows.n)
        x = rows.columns[self.of] if self.of else y
        grid = grid_of(rows.contract[self.of], self.of) if self.effect == "auc" else None
        found = effect_of(self.effect, y, x, grid)
        if found is None:
            return None
        scale = self._scale(rows.contract)
        variance = found[1] / scale**2
        return (found[0] / scale, variance) if variance > _LEAST_VARIANCE else None

    def _scale(self, contract: Contract) -> float:
        """Return the unit effects are sent in: means in units of their column's range."""
        if self.effect == "auc":
            grid_of(contract[self.of], self.of)
        if self.effect == "log_odds_ratio" and len(contract[self.of].levels) not in (0, 2):
            raise ValueError(f'column "{self.of}": expected two levels for an odds ratio')
        if self.effect not in ("mean", "mean_difference"):
            return 1.0
        limits = contract[self.of].range
        if limits is None:
            raise ValueError(f'column "{self.of}": expected a declared range')
        return limits[1] - limits[0]


def _wanted(missing: bool) -> str:
    return "a column" if missing else "none"


def _weighed(total: Sums, centre: float) -> Weighed:
    """Return the sums over sites of effects, given those of effects less a centre."""
    w, w2, wt, wt2 = (float(x) for x in read_wide("weighed", total)[0])
    k = int(total["sites"])
    back = wt + w * centre
    return Weighed(k, w, w2, back, wt2 + centre * (back + wt))


def _rescaled(sums: Weighed, scale: float) -> Weighed:
    """Return the sums of effects that are `scale` times as large."""
    w = sums.w / scale**2
    return Weighed(sums.k, w, sums.w2 / scale**4, sums.wt / scale, sums.wt2)
