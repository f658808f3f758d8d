"""Decision curves: the net benefit of acting on predicted probabilities."""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.merging import counts_between, merged_at, shown_cuts
from common.analyses.outcome import complete, event_level, events, lacks_classes
from common.analyses.publish import SMALLEST_CELL
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Array, Schema, Sums, cells, count, fine_grid
from common.table import Floats, Table

Contract = Mapping[str, Column]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class DecisionCurve(Step):
    """Net benefit of several models over thresholds, beside treating all and none.

    NB(t) = TP / n - FP / n * t / (1 - t), a patient at or above t being treated (Vickers,
    Elkin, Med Decis Making 26:565, 2006); as the mean of n independent terms it has a
    normal interval. Exact at the thresholds shown: those between which nobody or five
    patients of each class lie. Cases that miss the outcome or any of the scores are left out.

    Rounds: 1.
    """

    kind: Literal["decision_curve"] = "decision_curve"
    outcome: str
    positive: str = Field("", description="the level that is the event")
    scores: tuple[str, ...] = Field(min_length=1, description="predicted probabilities")
    thresholds: tuple[Fraction, ...] = Field(tuple(k / 100 for k in range(1, 100)), min_length=1)
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.outcome, *self.scores)

    def expand(self, known: tuple[str, ...]) -> "DecisionCurve":
        """Return the step with patterns such as "models.*" spelled out."""
        return self.model_copy(update={"scores": expand_patterns(self.scores, known)})

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts by class between thresholds."""
        m, k = len(self.scores), self._cuts().size
        between = cells if ask.values["alone"] else fine_grid
        return {
            "n": count(),
            "n_patients": count(),
            "missing": count(),
            "classes": cells(2),
            "between": between(m, 2, k + 1, behind="n_patients"),
            "shown": count(m, k),
        }

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums; alone, thresholds with small cells are merged away."""
        rows = complete(table, self.columns())
        y, cuts = events(rows, self.outcome, self.positive), self._cuts()
        between = np.stack([counts_between(rows.columns[s], y, cuts) for s in self.scores])
        shown = np.ones((len(self.scores), cuts.size), np.bool_)
        if ask.values["alone"]:
            least = table.smallest_cell
            shown = np.stack([shown_cuts(h, least, each=True) for h in between])
            parts = [merged_at(h, s) for h, s in zip(between, shown, strict=True)]
            between = np.stack(parts)
        sums: dict[str, Array] = {
            "n": np.array(rows.n),
            "n_patients": np.array(rows.n_patients),
            "missing": np.array(table.n - rows.n),
            "classes": np.array([(y == 0).sum(), (y == 1).sum()]),
        }
        return sums | {"between": between, "shown": shown.astype(np.int64)}

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask once and weigh."""
        event_level(contract, self.outcome, self.positive)
        total = yield Ask("counts", {"alone": alone})
        head: dict[str, Json] = {k: int(total[k]) for k in ("n", "n_patients", "missing")}
        classes = np.asarray(total["classes"], np.int64)
        note = lacks_classes(classes)
        if note:
            return Answer(head | {"scores": {}, "note": note})
        between = np.asarray(total["between"], np.int64)
        if alone:
            shown = np.asarray(total["shown"], np.int64) > 0
        else:
            shown = np.stack([shown_cuts(h, SMALLEST_CELL, each=True) for h in between])
        cuts = self._cuts()
        all_, _ = net_benefit(np.zeros(cuts.size, np.int64) + classes[:, None], cuts)
        scores: dict[str, Json] = {
            s: self._curve(between[i], cuts, shown[i], all_) for i, s in enumerate(self.scores)
        }
        return Answer(
            head
            | {"non_events": int(classes[0]), "events": int(classes[1])}
            | {"mode": "exact", "scores": scores}
            | {"all": {"threshold": cuts.tolist(), "net_benefit": all_.tolist()}}
            | {"none": {"threshold": cuts.tolist(), "net_benefit": [0.0] * cuts.size}}
        )

    def _cuts(self) -> Floats:
        return np.unique(np.array(self.thresholds, np.float64))

    def _curve(
        self,
        between: NDArray[np.int64],
        cuts: Floats,
        shown: NDArray[np.bool_],
        treat_all: Floats,
    ) -> dict[str, Json]:
        from scipy.stats import norm

        above = between[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
        n = int(between.sum())
        benefit, variance = net_benefit(above, cuts, n)
        reach = float(norm.isf((1 - self.confidence) / 2)) * np.sqrt(variance)
        spared = (benefit - treat_all) * (1 - cuts) / cuts
        columns = {
            "threshold": cuts,
            "net_benefit": benefit,
            "ci_low": benefit - reach,
            "ci_high": benefit + reach,
            "interventions_avoided": spared,
        }
        return {name: values[shown].tolist() for name, values in columns.items()}


def net_benefit(
    treated: NDArray[np.int64], cuts: Floats, n: int | None = None
) -> tuple[Floats, Floats]:
    """Return net benefit at thresholds, and its variance.

    Args:
        treated: non-events and events treated at each threshold, shape (2, cuts).
        cuts: thresholds.
        n: number of patients; None where all are treated.
    """
    fp, tp = treated.astype(np.float64)
    size = fp + tp if n is None else float(n)
    odds = cuts / (1 - cuts)
    benefit = (tp - odds * fp) / size
    return benefit, ((tp + odds**2 * fp) / size - benefit**2) / size
