"""ROC curves: AUC of several scores against one outcome, and their comparison."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.analyses import delong
from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.correction import Correction
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
Counts = Mapping[str, NDArray[np.int64]]
Level = Annotated[float, Field(gt=0.5, lt=1)]
MOST_POINTS = 200


class Roc(Step):
    """AUC with DeLong's interval, average precision, curve points; pairs of scores.

    A score is rounded to its column's grid (10^4 steps of the declared range), which is
    exact where scores have four decimals and else comes with `bound`. Cases that miss
    the outcome or any of the scores are left out. See `common.analyses.delong`.

    Rounds: 1 for one score, 2 for several; a site alone: 1, as it computes all itself.
    """

    kind: Literal["roc"] = "roc"
    outcome: str
    positive: str = Field("", description="the level that is the event")
    scores: tuple[str, ...] = Field(min_length=1, description="higher means event")
    confidence: Level = 0.95
    bootstrap: int = Field(1000, ge=0, le=20_000, description="draws; 0 for none")
    seed: int = Field(0, ge=0)
    correction: Correction = Field("holm", description="of the p of pairs")

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.outcome, *self.scores)

    def expand(self, known: tuple[str, ...]) -> "Roc":
        """Return the step with patterns such as "models.*" spelled out."""
        return self.model_copy(update={"scores": expand_patterns(self.scores, known)})

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts on the grids, then sums of placements."""
        m = len(self.scores)
        schema: dict[str, SumField] = {"n": count(), "n_patients": count()}
        if ask.phase == "placements":
            # The coordinator chose what is summed: never of one site in clear.
            return schema | {"squares": replace(real(2, m, m, behind="n_patients"), alone="never")}
        schema |= {"missing": count(), "off_grid": count(m), "classes": cells(2)}
        if ask.values["alone"]:
            return schema | {
                name: real(*a.shape, behind="n_patients") for name, a in _nothing(m).items()
            }
        return schema | {
            f"counts.{s}": fine_grid(2, grid.size, behind="n_patients")
            for s, grid in self._grids(contract).items()
        }

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums."""
        rows = complete(table, self.columns())
        y = events(rows, self.outcome, self.positive)
        grids = self._grids(table.contract)
        sums: dict[str, Array] = {
            "n": np.array(rows.n),
            "n_patients": np.array(rows.n_patients),
        }
        if ask.phase == "placements":
            placed = {s: ask.arrays[f"centred.{s}"] for s in self.scores}
            return sums | {"squares": _squares(rows, y, grids, placed)}
        off = [not grids[s].holds(rows.columns[s]) for s in self.scores]
        sums["missing"] = np.array(table.n - rows.n)
        sums["off_grid"] = np.array(off, np.int64)
        sums["classes"] = np.array([(y == 0).sum(), (y == 1).sum()])
        counts = {s: class_histogram(grids[s], rows.columns[s], y) for s in self.scores}
        if not ask.values["alone"]:
            return sums | {f"counts.{s}": counts[s] for s in self.scores}
        if sums["classes"].min() < max(table.smallest_cell, 2):
            return sums | _nothing(len(self.scores))
        squares = _squares(rows, y, grids, _centred(counts))
        return sums | self._measured(counts, grids, squares, table.smallest_cell)

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for counts by class on the grids, then for products of placements."""
        event_level(contract, self.outcome, self.positive)
        grids = self._grids(contract)
        first = yield Ask("counts", {"alone": alone})
        if first["classes"].min() < SMALLEST_CELL:
            return Answer(self._head(first) | _refusal(first["classes"]))
        if alone:
            return Answer(self._answer(first, first))
        counts = {s: np.asarray(first[f"counts.{s}"], np.int64) for s in self.scores}
        if len(self.scores) == 1:
            squares: Array = delong.spread(counts[self.scores[0]])[:, None, None]
        else:
            arrays = {f"centred.{s}": a for s, a in _centred(counts).items()}
            squares = (yield Ask("placements", {}, arrays))["squares"]
        return Answer(self._answer(first, self._measured(counts, grids, squares, 0)))

    def _grids(self, contract: Contract) -> dict[str, Grid]:
        return {s: grid_of(contract[s], s) for s in self.scores}

    def _measured(
        self, counts: Counts, grids: Mapping[str, Grid], squares: Array, smallest: int
    ) -> dict[str, Floats]:
        """Return the finished numbers; `smallest` > 0 where they leave a site alone."""
        measured = _nothing(len(self.scores))
        measured["squares"] = np.asarray(squares, np.float64)
        for i, s in enumerate(self.scores):
            h = counts[s]
            measured["auc"][i] = delong.auc(h)
            measured["precision"][i] = delong.average_precision(h)
            measured["bound"][i] = delong.tie_bound(h)
            curve = curve_cells(h, grids[s], smallest)
            measured["curve"][i, : len(curve)] = curve
            if self.bootstrap:
                draws = delong.bootstrap(h, self.bootstrap, self.seed)
                tail = (1 - self.confidence) / 2
                measured["drawn"][i] = np.quantile(draws, [tail, 1 - tail], axis=1).T
        return measured

    def _head(self, first: Sums) -> dict[str, Json]:
        return {name: int(first[name]) for name in ("n", "n_patients", "missing")}

    def _answer(self, first: Sums, measured: Sums) -> dict[str, Json]:
        classes = np.asarray(first["classes"], np.int64)
        cov = delong.covariance(np.asarray(measured["squares"], np.float64), classes)
        areas = np.asarray(measured["auc"], np.float64)
        scores: dict[str, Json] = {
            s: {
                **self._score(measured, cov, i),
                "mode": "binned" if first["off_grid"][i] else "exact",
            }
            for i, s in enumerate(self.scores)
        }
        pairs = delong.compare(self.scores, areas, cov, self.confidence, self.correction)
        return self._head(first) | {
            "non_events": int(classes[0]),
            "events": int(classes[1]),
            "scores": scores,
            "pairs": pairs,
        }

    def _score(self, measured: Sums, cov: Floats, i: int) -> dict[str, Json]:
        area, drawn = float(measured["auc"][i]), measured["drawn"][i]
        found = delong.wald(area, float(cov[i, i]), self.confidence, 0.5)
        boot = [float(x) if self.bootstrap else None for x in drawn.ravel()]
        return {
            "auc": area,
            "se": found.se,
            "ci_low": max(0.0, found.ci_low),
            "ci_high": min(1.0, found.ci_high),
            "p": found.p,
            "bound": float(measured["bound"][i]),
            "bootstrap": {"ci_low": boot[0], "ci_high": boot[1]},
            "average_precision": {
                "estimate": float(measured["precision"][i]),
                "ci_low": boot[2],
                "ci_high": boot[3],
            },
            "curve": roc_points(np.asarray(measured["curve"][i], np.float64)),
        }


def curve_cells(counts: Array, grid: Grid, smallest: int) -> Floats:
    """Merge a score's points into cells for publication.

    Args:
        counts: by class and point.
        grid: the points.
        smallest: policy's smallest cell where a site's own numbers leave; else 0, for
            five. It is kept by each class: two points of a curve are a table of two by
            two, whose cells must not hold fewer.

    Returns:
        Lower edge, non-events and events of each cell, shape (cells, 3), at most
        `MOST_POINTS` of them.
    """
    h = np.asarray(counts, np.int64)
    least = max(SMALLEST_CELL, smallest, -(-int(h.sum()) // MOST_POINTS))
    ends = runs(h, least, each=True)
    edges = grid.edge(np.append(0, ends[:-1]))
    return np.column_stack([edges, run_sums(h, ends).T])


def roc_points(cells_of: Floats) -> dict[str, Json]:
    """Return the points of a ROC curve, from (0, 0) to (1, 1), and its Youden point.

    At each threshold the rates are exact; `bound` is how far the area under straight
    lines between them can be from the AUC.
    """
    used = cells_of[cells_of[:, 1:].sum(axis=1) > 0][::-1]
    n0, n1 = used[:, 1].sum(), used[:, 2].sum()
    fpr = np.append(0.0, used[:, 1].cumsum() / n0)
    tpr = np.append(0.0, used[:, 2].cumsum() / n1)
    best = int(np.argmax(tpr - fpr))
    thresholds: list[Json] = [None, *map(float, used[:, 0])]
    return {
        "threshold": thresholds,
        "fpr": list(map(float, fpr)),
        "tpr": list(map(float, tpr)),
        "bound": float((used[:, 1] / n0 * used[:, 2] / n1).sum() / 2),
        "youden": {
            "threshold": thresholds[best],
            "sensitivity": float(tpr[best]),
            "specificity": float(1 - fpr[best]),
        },
    }


def _nothing(m: int) -> dict[str, Floats]:
    """Return the finished numbers of a site without cases: their shapes, all zero."""
    shapes: dict[str, tuple[int, ...]] = {
        "auc": (m,),
        "squares": (2, m, m),
        "precision": (m,),
        "bound": (m,),
        "drawn": (m, 2, 2),
        "curve": (m, MOST_POINTS, 3),
    }
    return {name: np.zeros(shape) for name, shape in shapes.items()}


def _centred(counts: Counts) -> dict[str, Array]:
    return {s: delong.placements(h) - delong.auc(h) for s, h in counts.items()}


def _squares(
    rows: Table, y: Floats, grids: Mapping[str, Grid], centred: Mapping[str, Array]
) -> Array:
    """Return sums of products of centred placements by class, shape (2, M, M)."""
    out = np.zeros((2, len(centred), len(centred)))
    for c in (0, 1):
        of = y == c
        at = {s: grids[s].index(rows.columns[s][of]) for s in centred}
        off = np.stack([np.asarray(centred[s], np.float64)[c][at[s]] for s in centred])
        out[c] = off @ off.T
    return out


def _refusal(classes: Array) -> dict[str, Json]:
    """Say why there is no curve."""
    why = lacks_classes(classes) if classes.any() else "no case has the outcome and all scores"
    return {"scores": {}, "pairs": [], "note": why}
