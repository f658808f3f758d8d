"""Operating points: thresholds of scores, and how well they tell the classes apart."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.merging import counts_between, merged_at, shown_cuts
from common.analyses.outcome import FEW_OF_A_CLASS, complete, event_level, events, lacks_classes
from common.analyses.proportions import (
    Interval,
    accuracy_of,
    bounds_of,
    composites,
    has_small_cell,
    likelihood_ratios,
)
from common.analyses.publish import SMALLEST_CELL
from common.analyses.roc import MOST_POINTS, curve_cells
from common.analyses.score_grid import class_histogram, grid_of
from common.analyses.threshold_choice import AtLeast, Chosen, Rule, choose
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Array, Schema, Sums, cells, count, fine_grid, real
from common.sums import Field as SumField
from common.table import Floats, Table

Contract = Mapping[str, Column]
Ints = NDArray[np.int64]


class OperatingPoint(Step):
    """Sensitivity, specificity, PPV, NPV, accuracy, F1 and others at thresholds.

    A score at or above a threshold is a call of the event. Thresholds are fixed ones,
    or chosen on the sites that are asked, or those of an earlier step, so that
    developing sites choose and external ones only test. A chosen threshold lies between
    two cells of the published ROC curve and is nobody's score; `judged` of a point is how
    many such there are, its note where none beside it could be judged. Cases that miss the
    outcome or any of the scores are left out. Proportions have Wilson's or
    Clopper-Pearson's interval, F1 and the like one of draws from the two-by-two table.
    A table with a cell of one to four is not shown; its rates are given as bounds, the
    range that one to four patients there allow.

    Rounds: 1 for the tables, and 1 before it where thresholds are chosen.
    """

    kind: Literal["operating_point"] = "operating_point"
    outcome: str
    positive: str = Field("", description="the level that is the event")
    scores: tuple[str, ...] = Field(min_length=1, description="higher means event")
    at: tuple[Rule, ...] = Field(
        ("youden",), min_length=1, description="thresholds, or rules that choose them"
    )
    chosen_in: str = Field("", description="earlier operating_point whose thresholds hold")
    interval: Interval = "wilson"
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    bootstrap: int = Field(2000, ge=0, le=100_000)
    seed: int = Field(0, ge=0)

    _thresholds: Mapping[str, tuple[float | None, ...]] = {}

    def needs(self) -> tuple[str, ...]:
        """Return the step that chose the thresholds."""
        return (self.chosen_in,) if self.chosen_in else ()

    def given(self, answers: Mapping[str, Answer]) -> Self:
        """Return the step with the thresholds of the step it needs.

        Args:
            answers: of the steps in `needs`, over the developing sites.
        """
        if not self.chosen_in:
            return self
        chosen = answers[self.chosen_in].values["scores"]
        bound = self.model_copy()
        bound._thresholds = {s: _thresholds_of(chosen, s) for s in self.scores}
        return bound

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.outcome, *self.scores)

    def expand(self, known: tuple[str, ...]) -> Self:
        """Return the step with patterns such as "models.*" spelled out."""
        return self.model_copy(update={"scores": expand_patterns(self.scores, known)})

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts on the grids, or tables at thresholds."""
        schema: dict[str, SumField] = {"n": count(), "n_patients": count()}
        schema |= {"missing": count(), "classes": cells(2)}
        behind = "n_patients"
        for s in self.scores:
            if ask.phase == "tables":
                shape = (2, ask.arrays[f"thresholds.{s}"].size + 1)
                kind = cells if ask.values["alone"] else fine_grid
                schema[f"between.{s}"] = kind(*shape, behind=behind)
                schema[f"shown.{s}"] = count(shape[1] - 1)
            elif ask.values["alone"]:
                schema[f"curve.{s}"] = real(MOST_POINTS, 3, behind=behind)
            else:
                size = grid_of(contract[s], s).size
                schema[f"counts.{s}"] = fine_grid(2, size, behind=behind)
        return schema

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums."""
        rows = complete(table, self.columns())
        y = events(rows, self.outcome, self.positive)
        sums: dict[str, Array] = {
            "n": np.array(rows.n),
            "n_patients": np.array(rows.n_patients),
            "missing": np.array(table.n - rows.n),
            "classes": np.array([(y == 0).sum(), (y == 1).sum()]),
        }
        for s in self.scores:
            values = rows.columns[s]
            if ask.phase == "tables":
                cuts = np.asarray(ask.arrays[f"thresholds.{s}"], np.float64)
                least = table.smallest_cell if ask.values["alone"] else 0
                sums |= _between(values, y, cuts, s, least)
                continue
            grid = grid_of(table.contract[s], s)
            counts = class_histogram(grid, values, y)
            if not ask.values["alone"]:
                sums[f"counts.{s}"] = counts
                continue
            found = curve_cells(counts, grid, table.smallest_cell)
            sums[f"curve.{s}"] = np.pad(found, ((0, MOST_POINTS - len(found)), (0, 0)))
        return sums

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Choose thresholds where that is wanted, then ask for the tables at them."""
        event_level(contract, self.outcome, self.positive)
        if self.chosen_in and not self._thresholds:
            raise ValueError(f'the thresholds of "{self.chosen_in}" are not given')
        chosen = {s: tuple(map(Chosen, known)) for s, known in self._thresholds.items()}
        fixed = tuple(Chosen(rule) for rule in self.at if isinstance(rule, float))
        if not chosen and len(fixed) == len(self.at):
            chosen = dict.fromkeys(self.scores, fixed)
        if not chosen:
            total = yield Ask("choose", {"alone": alone})
            if _fewest(total) < SMALLEST_CELL:
                return Answer(
                    _head(total) | {"scores": {}, "note": lacks_classes(total["classes"])}
                )
            for s in self.scores:
                curve = self._curve(contract, total, s, alone=alone)
                chosen[s] = tuple(choose(curve, rule, in_full=not fixed) for rule in self.at)
        cuts = {s: _distinct(chosen[s]) for s in self.scores}
        arrays = {f"thresholds.{s}": c for s, c in cuts.items()}
        total = yield Ask("tables", {"alone": alone}, arrays)
        if 0 < _fewest(total) < SMALLEST_CELL:
            return Answer(_head(total) | {"scores": {}, "note": FEW_OF_A_CLASS})
        points: dict[str, Json] = {
            s: {"points": self._points(total, s, cuts[s], chosen[s], alone=alone)}
            for s in self.scores
        }
        return Answer(_head(total) | {"mode": "exact", "scores": points})

    def _curve(self, contract: Contract, total: Sums, s: str, *, alone: bool) -> Floats:
        if alone:
            return np.asarray(total[f"curve.{s}"], np.float64)
        return curve_cells(total[f"counts.{s}"], grid_of(contract[s], s), 0)

    def _points(
        self,
        total: Sums,
        s: str,
        cuts: Floats,
        chosen: tuple[Chosen, ...],
        *,
        alone: bool,
    ) -> list[Json]:
        between = np.asarray(total[f"between.{s}"], np.int64)
        if alone:
            shown = np.asarray(total[f"shown.{s}"], np.int64) > 0
        else:
            shown = shown_cuts(between, SMALLEST_CELL, each=True)
        points: list[Json] = []
        for i, one in enumerate(chosen):
            threshold = one.threshold
            point: dict[str, Json] = {"rule": self._rule(i), "threshold": threshold, **one.said}
            k = None if threshold is None else int(np.searchsorted(cuts, threshold))
            if k is None:
                point.setdefault("note", "no threshold keeps the rule")
            elif not shown[k]:
                bounds = self._bounds(between, k, alone=alone)
                notes = [str(of["note"]) for of in (point, bounds) if "note" in of]
                point |= bounds | {"note": "; ".join(notes)}
            else:
                below, above = between[:, : k + 1].sum(1), between[:, k + 1 :].sum(1)
                point |= self._measures(below, above)
            points.append(point)
        return points

    def _bounds(self, between: Ints, k: int, *, alone: bool) -> dict[str, Json]:
        """Return how far rates can be told without a small cell of the table."""
        below, above = between[:, : k + 1].sum(1), between[:, k + 1 :].sum(1)
        if alone or not has_small_cell(below, above):
            return {"note": f"a side of it holds fewer than {SMALLEST_CELL} of a class"}
        note = f"a cell of its table holds fewer than {SMALLEST_CELL}: rates as bounds"
        return {"note": note, **bounds_of(below, above)}

    def _measures(self, below: Ints, above: Ints) -> dict[str, Json]:
        (tn, fn), (fp, tp) = below.tolist(), above.tolist()
        table = np.array([tp, fp, fn, tn], np.float64)
        level = self.confidence
        if not table.any():
            return {"note": "nobody to test it on"}
        drawn = composites(table, level=level, n_draws=self.bootstrap, seed=self.seed)
        return {
            **accuracy_of(tp, fp, fn, tn, level=level, how=self.interval),
            **likelihood_ratios(tp, fp, fn, tn, level=level),
            **drawn,
        }

    def _rule(self, i: int) -> Json:
        if self.chosen_in:
            return f"{self.chosen_in} {i + 1}"
        rule = self.at[i]
        return rule.model_dump(exclude_none=True) if isinstance(rule, AtLeast) else rule


def _fewest(total: Sums) -> int:
    return int(np.min(total["classes"]))


def _head(total: Sums) -> dict[str, Json]:
    head: dict[str, Json] = {k: int(total[k]) for k in ("n", "n_patients", "missing")}
    non_events, n_events = (int(n) for n in total["classes"])
    small = 0 < min(non_events, n_events) < SMALLEST_CELL
    return head | {
        "non_events": None if small else non_events,
        "events": None if small else n_events,
    }


def _between(values: Floats, y: Floats, cuts: Floats, s: str, least: int) -> dict[str, Array]:
    """Count by class between cuts; alone, merged where a part is too small."""
    counts = counts_between(values, y, cuts)
    shown = np.ones(cuts.size, np.bool_)
    if least:
        shown = shown_cuts(counts, least, each=True)
        counts = merged_at(counts, shown)
    return {f"between.{s}": counts, f"shown.{s}": shown.astype(np.int64)}


def _distinct(chosen: tuple[Chosen, ...]) -> Floats:
    thresholds = [one.threshold for one in chosen if one.threshold is not None]
    return np.unique(np.array(thresholds, np.float64))


def _thresholds_of(scores: Json, name: str) -> tuple[float | None, ...]:
    """Return the thresholds of one score in an answer of an operating_point."""
    score = scores.get(name) if isinstance(scores, dict) else None
    points = score.get("points") if isinstance(score, dict) else None
    if points is None or not isinstance(points, list):
        raise ValueError(f'the earlier step chose no threshold of "{name}"')
    found = [p.get("threshold") if isinstance(p, dict) else None for p in points]
    return tuple(t if isinstance(t, float) else None for t in found)
