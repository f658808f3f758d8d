"""Calibration of predicted probabilities: intercept, slope, Brier score, deciles."""

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.analyses import newton
from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.calibration_answer import score_answer
from common.analyses.logit import derivatives, separation
from common.analyses.merging import run_sums, runs
from common.analyses.outcome import complete, event_level, events, lacks_classes
from common.analyses.publish import SMALLEST_CELL
from common.analyses.score_grid import Grid, class_histogram, grid_of
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Array, Schema, Sums, cells, count, fine_grid, real
from common.sums import Field as SumField
from common.table import Floats, Table

Contract = Mapping[str, Column]
Ints = NDArray[np.int64]
# A probability of 0 or 1 has no logit.
NEAREST = 1e-6


class Calibration(Step):
    """How predicted probabilities fit the outcome, several models side by side.

    Recalibration y ~ intercept + slope * logit p, and calibration in the large, y ~
    intercept + 1 * logit p (Cox, Biometrika 45:562, 1958); Brier score (Mon Weather Rev
    78:1, 1950), Spiegelhalter's z (Stat Med 5:421, 1986), Hosmer-Lemeshow and observed
    rates in bins of equal size, cut on the grid of the scores' range and merged until
    five patients are in each. Probabilities nearer than 1e-6 to 0 or 1 are moved there
    for the logit. Cases that miss the outcome or any of the scores are left out.

    Rounds: one an iteration of Newton's method, about 6; counts and bins ride along.
    """

    kind: Literal["calibration"] = "calibration"
    outcome: str
    positive: str = Field("", description="the level that is the event")
    scores: tuple[str, ...] = Field(min_length=1, description="predicted probabilities")
    bins: int = Field(10, ge=2, le=50)
    lost_df: int = Field(
        2, ge=0, description="of Hosmer-Lemeshow: 2 where the model was made, else 0"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.outcome, *self.scores)

    def expand(self, known: tuple[str, ...]) -> "Calibration":
        """Return the step with patterns such as "models.*" spelled out."""
        return self.model_copy(update={"scores": expand_patterns(self.scores, known)})

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: Newton's sums; once counts, once bins."""
        m, behind = len(self.scores), "n_patients"
        a = ask.arrays["problems"].size
        schema: dict[str, SumField] = {
            "n": count(),
            "n_patients": count(),
            "value": real(a, behind=behind),
            "gradient": real(a, 2, behind=behind),
            "curvature": real(a, 2, 2, behind=behind),
            "separation": real(a, 2, behind=behind),
        }
        if ask.values["first"]:
            schema |= {"missing": count(), "classes": cells(2)}
            schema["moments"] = real(m, 5, behind=behind)
            if ask.values["alone"]:
                schema["bins"] = real(m, self.bins, 3, behind=behind)
            else:
                schema |= {
                    f"counts.{s}": fine_grid(2, grid.size, behind=behind)
                    for s, grid in self._grids(contract).items()
                }
        if "ends" in ask.arrays:  # bins the coordinator chose: never in clear
            schema["bins"] = replace(real(m, self.bins, 3, behind=behind), alone="never")
        return schema

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums."""
        rows = complete(table, self.columns())
        y, p = events(rows, self.outcome, self.positive), rows.matrix(self.scores)
        sums: dict[str, Array] = {
            "n": np.array(rows.n),
            "n_patients": np.array(rows.n_patients),
        }
        sums |= _newton_sums(y, p, ask)
        grids = self._grids(table.contract)
        counts = {s: class_histogram(grids[s], rows.columns[s], y) for s in self.scores}
        if ask.values["first"]:
            sums["missing"] = np.array(table.n - rows.n)
            sums["classes"] = np.array([(y == 0).sum(), (y == 1).sum()])
            sums["moments"] = _moments(y, p)
            if ask.values["alone"]:
                ends = self._ends(counts, table.smallest_cell)
                sums["bins"] = self._bins(y, p, grids, ends)
            else:
                sums |= {f"counts.{s}": h for s, h in counts.items()}
        if "ends" in ask.arrays:
            ends = np.asarray(ask.arrays["ends"], np.int64)
            sums["bins"] = self._bins(y, p, grids, ends)
        return sums

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Climb to the recalibrations of all scores; count and bin beside it."""
        event_level(contract, self.outcome, self.positive)
        self._grids(contract)
        fit, first, bins = yield from self._climb(alone=alone)
        head: dict[str, Json] = {k: int(first[k]) for k in ("n", "n_patients", "missing")}
        classes = [int(n) for n in first["classes"]]
        note = lacks_classes(classes)
        if note:
            return Answer(head | {"scores": {}, "note": note})
        scores: dict[str, Json] = {
            s: score_answer(
                _one(fit, i),
                np.asarray(first["moments"], np.float64)[i],
                bins[i],
                (classes[0] + classes[1], classes[1]),
                (self.confidence, self.lost_df),
            )
            for i, s in enumerate(self.scores)
        }
        head |= {"mode": "exact", "non_events": classes[0], "events": classes[1]}
        return Answer(head | {"scores": scores})

    def _climb(self, *, alone: bool) -> Generator[Ask, Sums, tuple[newton.Fit, Sums, Floats]]:
        m = len(self.scores)
        start = np.tile([0.0, 1.0], (2 * m, 1))
        free = np.repeat([[True, True], [True, False]], m, axis=0)
        climbing = newton.maximise(start, free)
        point, arrays = next(climbing), dict[str, Array]()
        first: Sums = {}
        bins = np.zeros((m, self.bins, 3))
        while True:
            values: dict[str, Json] = {"first": not first, "alone": alone}
            total = yield Ask("climb", values, _arrays(point) | arrays)
            arrays = {}
            if "bins" in total:
                bins = np.asarray(total["bins"], np.float64)
            if not first:
                first = total
                if not alone:
                    arrays["ends"] = self._ends(_counts(total, self.scores), 0)
                if int(np.min(total["classes"])) < SMALLEST_CELL:
                    return _unfitted(2 * m), first, bins
            try:
                point = climbing.send(_local(total))
            except StopIteration as stop:
                if "ends" in arrays:  # it was there at once: the bins are still owed
                    values = {"first": False, "alone": alone}
                    total = yield Ask("climb", values, _arrays(_NOWHERE) | arrays)
                    bins = np.asarray(total["bins"], np.float64)
                return stop.value, first, bins

    def _grids(self, contract: Contract) -> dict[str, Grid]:
        grids = {s: grid_of(contract[s], s) for s in self.scores}
        for s in self.scores:
            low, high = contract[s].range or (0.0, 1.0)
            if low < 0 or high > 1:
                raise ValueError(f'score "{s}": expected a range within [0, 1]')
        return grids

    def _ends(self, counts: Mapping[str, Ints], smallest: int) -> Ints:
        """Return where the bins of each score end on its grid, shape (M, bins)."""
        ends = [_equal_bins(counts[s], self.bins, smallest) for s in self.scores]
        return np.array([np.pad(e, (0, self.bins - e.size), "edge") for e in ends])

    def _bins(self, y: Floats, p: Floats, grids: Mapping[str, Grid], ends: Ints) -> Floats:
        """Return patients, events and sum of p in each bin, shape (M, bins, 3)."""
        out = np.zeros((len(self.scores), self.bins, 3))
        for i, s in enumerate(self.scores):
            bin_ = np.searchsorted(ends[i], grids[s].index(p[:, i]), side="right")
            of_bin = bin_[:, None] == np.arange(self.bins)
            out[i] = np.stack([of_bin.sum(0), y @ of_bin, p[:, i] @ of_bin], axis=1)
        return out


def _equal_bins(counts: Ints, n_bins: int, smallest: int) -> Ints:
    """Return the ends of bins of equal size, merged until each may be shown."""
    below = counts.sum(axis=0).cumsum()
    wanted = np.ceil(below[-1] * np.arange(1, n_bins) / n_bins)
    ends = np.unique(np.append(np.searchsorted(below, wanted) + 1, below.size))
    least = max(SMALLEST_CELL, smallest)
    return np.asarray(ends[runs(run_sums(counts, ends), least, each=True) - 1], np.int64)


_NOWHERE = newton.Point(np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, 2)))


def _arrays(point: newton.Point) -> dict[str, Array]:
    return {"problems": point.problems, "beta": point.beta, "step": point.step}


def _newton_sums(y: Floats, p: Floats, ask: Ask) -> dict[str, Array]:
    """Return log-likelihoods and derivatives; problem i and i + M are of score i."""
    problems = np.asarray(ask.arrays["problems"], np.int64)
    beta, step = (np.asarray(ask.arrays[k], np.float64) for k in ("beta", "step"))
    a, m = problems.size, p.shape[1]
    value, gradient = np.zeros(a), np.zeros((a, 2))
    curvature, apart = np.zeros((a, 2, 2)), np.zeros((a, 2))
    inner = np.clip(p, NEAREST, 1 - NEAREST)
    logit = np.log(inner) - np.log1p(-inner)
    for k, problem in enumerate(problems):
        x = np.column_stack([np.ones(len(y)), logit[:, problem % m]])
        value[k], gradient[k], curvature[k] = derivatives(x, y, beta[k])
        apart[k] = separation(x, y, step[k])
    return {
        "value": value,
        "gradient": gradient,
        "curvature": curvature,
        "separation": apart,
    }


def _local(total: Sums) -> newton.Local:
    names = ("value", "gradient", "curvature", "separation")
    value, gradient, curvature, apart = (np.asarray(total[k], np.float64) for k in names)
    return newton.Local(value, gradient, curvature, apart[:, 0], apart[:, 1])


def _moments(y: Floats, p: Floats) -> Floats:
    """Return sums of p, (p - y)^2, (p - y)^4 and Spiegelhalter's two, shape (M, 5)."""
    off = y[:, None] - p
    away = 1 - 2 * p
    parts = (p, off**2, off**4, off * away, away**2 * p * (1 - p))
    return np.stack([part.sum(axis=0) for part in parts], axis=1)


def _counts(total: Sums, scores: tuple[str, ...]) -> dict[str, Ints]:
    return {s: np.asarray(total[f"counts.{s}"], np.int64) for s in scores}


def _one(fit: newton.Fit, i: int) -> newton.Fit:
    """Return the recalibration and the calibration in the large of one score."""
    both = np.array([i, i + len(fit.beta) // 2])
    return newton.Fit(
        fit.beta[both],
        fit.value[both],
        fit.curvature[both],
        fit.free[both],
        fit.state[both],
    )


def _unfitted(n: int) -> newton.Fit:
    return newton.Fit(
        np.zeros((n, 2)),
        np.zeros(n),
        np.zeros((n, 2, 2)),
        np.zeros((n, 2), np.bool_),
        np.full(n, newton.STALLED),
    )
