"""Kaplan-Meier curves of groups, their medians and means, and log-rank tests."""

from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.correction import Correction
from common.analyses.outcome import complete, event_level, events
from common.analyses.survival import leaving, log_rank, restricted_mean
from common.analyses.survival_answer import (
    group_answer,
    hidden_groups,
    log_rank_answer,
    pair_answers,
)
from common.analyses.survival_table import DAY, MOST_ROWS, published
from common.cohort import Column
from common.step import Step
from common.sums import Array, Schema, Sums, cells, count, fine_grid, real
from common.sums import Field as SumField
from common.table import Floats, Table

Contract = Mapping[str, Column]
Ints = NDArray[np.int64]


class KaplanMeier(Step):
    """Survival by groups: curves, medians, restricted means, log-rank tests.

    Time is whole days within a declared range; counts a day add over sites, so curves
    and tests are exact (formulas: `common.analyses.survival`). Published are the exact
    values at days between which five patients have the event, or none, and five are
    censored, or none, as long as ten are left; a median is binned: known to lie between
    two of these, and read off the line between them. Tests are given as of one cohort
    (`log_rank`) and stratified by site (`log_rank_by_site`). Cases that miss time, event,
    group or stratum are left out.

    Rounds: 1.
    """

    kind: Literal["kaplan_meier"] = "kaplan_meier"
    time: str = Field(description="whole days, with a range from 0")
    event: str
    positive: str = Field("", description="the level of the event that is one")
    group: str = Field("", description="category, or a number with `cut`; none: one curve")
    cut: float | dict[str, float] | None = Field(
        None, description="where to part a number, as one value or by level of `by`"
    )
    cut_chosen_in: str = Field(
        "", description="earlier cutoff_scan, by the same column, whose best cuts hold"
    )
    by: str = Field("", description="category: a picture for each of its levels")
    at: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), description="days of the table of patients at risk; none: five even steps"
    )
    tau: int | None = Field(None, gt=0, description="end of the restricted mean, days")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    correction: Correction = "holm"

    _chosen: Mapping[str, float] = {}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.cut is not None or self.cut_chosen_in) and not self.group:
            raise ValueError("cut: expected a group that it parts")
        if self.cut is not None and self.cut_chosen_in:
            raise ValueError("expected either cut or cut_chosen_in")
        if isinstance(self.cut, dict) and not self.by:
            raise ValueError("cut: expected one value, as there is no `by`")
        return self

    def needs(self) -> tuple[str, ...]:
        """Return the step that chose the cuts."""
        return (self.cut_chosen_in,) if self.cut_chosen_in else ()

    def given(self, answers: Mapping[str, Answer]) -> Self:
        """Return the step with the best cuts of the step it needs.

        Args:
            answers: of the steps in `needs`, over the developing sites.
        """
        if not self.cut_chosen_in:
            return self
        strata = answers[self.cut_chosen_in].values["strata"]
        bound = self.model_copy()
        bound._chosen = best_cuts(strata)
        return bound

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        named = (self.time, self.event, self.group, self.by)
        return tuple(name for name in named if name)

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: leavers a day, log-rank sums of its own."""
        b, g = len(self._strata(contract)), len(self._groups(contract))
        pairs, behind = g * (g - 1) // 2, "n_patients"
        schema: dict[str, SumField] = {
            "n": count(),
            "n_patients": count(),
            "missing": count(),
            "off": real(b, g, behind=behind),
            "spread": real(b, g, g, behind=behind),
            "pair_off": real(b, pairs, behind=behind),
            "pair_spread": real(b, pairs, behind=behind),
        }
        if not ask.values["alone"]:
            n_days = n_days_of(contract, self.time)
            return schema | {"leaving": fine_grid(b, g, 2, n_days, behind=behind)}
        return schema | {
            "sizes": cells(b, g),
            "events": count(b, g),
            "rows": real(b, g, MOST_ROWS, 6, behind=behind),
            "means": real(b, g, 3, behind=behind),
        }

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums."""
        rows = complete(table, self.columns())
        cuts = ask.arrays.get("cuts")
        counts = self._leaving(rows, None if cuts is None else np.asarray(cuts, np.float64))
        sums: dict[str, Array] = {
            "n": np.array(rows.n),
            "n_patients": np.array(rows.n_patients),
            "missing": np.array(table.n - rows.n),
        }
        if not ask.values["alone"]:
            return sums | {"leaving": counts} | _tests(counts)
        sizes, n_events = counts.sum(axis=(2, 3)), counts[:, :, 0].sum(axis=2)
        gone = hidden_groups(sizes, n_events, table.smallest_cell).curves.any(axis=1)
        shown = np.where(gone.reshape(-1, 1, 1, 1), 0, counts)
        finished = self._finished(shown, table.contract, table.smallest_cell)
        hidden = {"sizes": shown.sum(axis=(2, 3)), "events": shown[:, :, 0].sum(axis=2)}
        return sums | hidden | finished | _tests(shown)

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask once; add up, then look for days that may be published."""
        event_level(contract, self.event, self.positive)
        cuts = self._cuts(contract)
        n_days_of(contract, self.time)
        arrays = {} if cuts is None else {"cuts": cuts}
        total = yield Ask("leaving", {"alone": alone}, arrays)
        if alone:
            return Answer(self._answer(contract, total, total, total))
        counts = np.asarray(total["leaving"], np.int64)
        finished = self._finished(counts, contract, 0)
        sizes = {
            "sizes": counts.sum(axis=(2, 3)),
            "events": counts[:, :, 0].sum(axis=2),
        }
        answer = self._answer(contract, total, finished | sizes, _tests(counts))
        return Answer(answer)

    def _strata(self, contract: Contract) -> tuple[str, ...]:
        return contract[self.by].levels if self.by else ("all",)

    def _groups(self, contract: Contract) -> tuple[str, ...]:
        if not self.group:
            return ("all",)
        return contract[self.group].levels or ("below", "at or above")

    def _cuts(self, contract: Contract) -> Floats | None:
        """Return the cut of each stratum, or None where groups are categories."""
        if not self.group:
            return None
        strata, cut = self._strata(contract), self.cut
        wanted = cut is not None or bool(self.cut_chosen_in)
        if wanted == bool(contract[self.group].levels):
            raise ValueError(f'group "{self.group}": expected a category, or a cut')
        if cut is None and not self.cut_chosen_in:
            return None
        by = dict.fromkeys(strata, cut) if isinstance(cut, float) else cut or self._chosen
        missing = [level for level in strata if level not in by]
        if missing:
            raise ValueError(f"cut: none for {', '.join(missing)}")
        return np.array([by[level] for level in strata], np.float64)

    def _leaving(self, rows: Table, cuts: Floats | None) -> Ints:
        """Return leavers by stratum, group, way and day."""
        strata, groups = self._strata(rows.contract), self._groups(rows.contract)
        n_days = n_days_of(rows.contract, self.time)
        by = rows.columns[self.by] if self.by else np.zeros(rows.n)
        y, time = events(rows, self.event, self.positive), rows.columns[self.time]
        out = np.zeros((len(strata), len(groups), 2, n_days), np.int64)
        group = rows.columns[self.group] if self.group else np.zeros(rows.n)
        for b in range(len(strata)):
            if cuts is not None:
                group = (rows.columns[self.group] >= cuts[b]).astype(np.float64)
            for g in range(len(groups)):
                of = (by == b) & (group == g)
                out[b, g] = leaving(time[of], y[of], n_days)
        return out

    def _finished(self, counts: Ints, contract: Contract, smallest: int) -> dict[str, Array]:
        """Return published rows, and tau, mean and variance, by stratum and group."""
        b, g = counts.shape[:2]
        rows, means = np.zeros((b, g, MOST_ROWS, 6)), np.zeros((b, g, 3))
        marks = self._marks(contract)
        for i in range(b):
            last: list[float] = []
            for j in range(g):
                found = published(counts[i, j], marks, smallest, self.confidence)
                rows[i, j, : len(found)] = found
                last.append(found[-1, DAY] if len(found) else 0.0)
            tau = int(min(last)) if self.tau is None else self.tau
            for j in range(g):
                if 0 < tau <= last[j]:
                    means[i, j] = tau, *restricted_mean(counts[i, j], tau)
        return {"rows": rows, "means": means}

    def _marks(self, contract: Contract) -> tuple[int, ...]:
        if self.at:
            return self.at
        last = n_days_of(contract, self.time) - 1
        return tuple(last * k // 5 for k in range(5))

    def _answer(
        self,
        contract: Contract,
        total: Sums,
        finished: Sums,
        tests: Mapping[str, Array],
    ) -> dict[str, Json]:
        groups, strata = self._groups(contract), self._strata(contract)
        answer: dict[str, Json] = {k: int(total[k]) for k in ("n", "n_patients", "missing")}
        pictures: dict[str, Json] = {}
        marks, level = self._marks(contract), self.confidence
        sizes, n_events = (np.asarray(finished[k], np.int64) for k in ("sizes", "events"))
        every = hidden_groups(sizes, n_events)
        for b, stratum in enumerate(strata):
            hidden = every.of(b)
            mine = {k: np.asarray(finished[k], np.float64)[b] for k in _FINISHED}
            curves: dict[str, Json] = {}
            for g, name in enumerate(groups):
                of = {k: a[g] for k, a in mine.items()}
                seen, told = (not gone[g] for gone in (hidden.sizes, hidden.curves))
                curves[name] = group_answer(of, marks, level, shown=seen, curve=told)
            exact = {k: np.asarray(tests[k], np.float64)[b] for k in _TESTS}
            by_site = {k: np.asarray(total[k], np.float64)[b] for k in _TESTS}
            both, rules = (exact, by_site), (level, self.correction)
            pictures[stratum] = {
                "groups": curves,
                "log_rank": log_rank_answer(exact, hidden),
                "log_rank_by_site": log_rank_answer(by_site, hidden),
                "pairs": pair_answers(groups, both, mine["means"], rules, hidden),
            }
        return answer | {"mode": "exact", "strata": pictures}


_FINISHED = ("rows", "means", "sizes", "events")
_TESTS = ("off", "spread", "pair_off", "pair_spread")


def n_days_of(contract: Contract, time: str) -> int:
    """Return how many days the range of a time spans.

    Raises:
        ValueError: it is not a column of whole days with a range from 0.
    """
    column = contract[time]
    if column.type != "integer" or column.range is None or column.range[0] < 0:
        raise ValueError(f'time "{time}": expected whole days, type "integer" with a range from 0')
    return int(column.range[1]) + 1


def best_cuts(strata: Json) -> dict[str, float]:
    """Return the best cut-off of each stratum in the answer of a cutoff_scan."""
    found: dict[str, float] = {}
    for level, scan in strata.items() if isinstance(strata, dict) else ():
        best = scan.get("best") if isinstance(scan, dict) else None
        cut = best.get("cutoff") if isinstance(best, dict) else None
        if cut is None or not isinstance(cut, float):
            raise ValueError(f'the earlier step found no cut-off for "{level}"')
        found[level] = cut
    return found


def _tests(counts: Ints) -> dict[str, Array]:
    """Return the log-rank sums of every stratum, for all groups and for pairs."""
    b, g = counts.shape[:2]
    pairs = list(combinations(range(g), 2))
    out = {"off": np.zeros((b, g)), "spread": np.zeros((b, g, g))}
    out |= {name: np.zeros((b, len(pairs))) for name in ("pair_off", "pair_spread")}
    for i in range(b):
        out["off"][i], out["spread"][i] = log_rank(counts[i])
        for k, pair in enumerate(pairs):
            off, spread = log_rank(counts[i, list(pair)])
            out["pair_off"][i, k], out["pair_spread"][i, k] = off[0], spread[0, 0]
    return dict(out)
