"""Reclassification: what new models add to an old one, as NRI and IDI."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.delong import wald
from common.analyses.outcome import complete, event_level, events, lacks_classes
from common.analyses.publish import SMALLEST_CELL, shown_counts
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Array, Schema, Sums, cells, count, fine_grid, real
from common.table import Floats, Table

Contract = Mapping[str, Column]
Ints = NDArray[np.int64]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Reclassification(Step):
    """Net reclassification and integrated discrimination of new models against an old one.

    NRI = (up - down) / n of events + (down - up) / n of the others, over risk categories
    or, continuous, over any change of the probability (Pencina, Stat Med 27:157, 2008;
    30:11, 2011). Its interval has the variance (up + down) / n^2 - (up - down)^2 / n^3 of
    each class, its p the one under no difference, (up + down) / n^2. IDI = mean change of
    events less mean change of the others. Cases that miss the outcome or any of the
    scores are left out.

    Rounds: 1.
    """

    kind: Literal["reclassification"] = "reclassification"
    outcome: str
    positive: str = Field("", description="the level that is the event")
    old: str = Field(description="predicted probability of the old model")
    new: tuple[str, ...] = Field(min_length=1, description="those of the new models")
    categories: tuple[Fraction, ...] = Field(
        (), description="risks that part the categories; none: continuous NRI only"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.old in self.new:
            raise ValueError(f'new: "{self.old}" is the old score, beside itself it adds nothing')
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.outcome, self.old, *self.new)

    def expand(self, known: tuple[str, ...]) -> "Reclassification":
        """Return the step with patterns such as "models.*" spelled out."""
        new = tuple(s for s in expand_patterns(self.new, known) if s != self.old)
        return self.model_copy(update={"new": new or self.new})  # of the old alone: fits nothing

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: tables of categories, moves, sums of changes."""
        m, k, behind = len(self.new), len(self.categories) + 1, "n_patients"
        counts = cells if ask.values["alone"] else fine_grid
        return {
            "n": count(),
            "n_patients": count(),
            "missing": count(),
            "classes": cells(2),
            "table": counts(m, 2, k, k, behind=behind),
            "moves": counts(m, 2, 3, behind=behind),
            "hidden": count(m, 2),
            "change": real(m, 2, 2, behind=behind),
        }

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums; alone, a table or moves with small cells are zero."""
        rows = complete(table, self.columns())
        y, old = events(rows, self.outcome, self.positive), rows.columns[self.old]
        found = [self._model(y, old, rows.columns[s]) for s in self.new]
        sums = {name: np.stack([f[name] for f in found]) for name in found[0]}
        hidden = np.zeros((len(self.new), 2), np.int64)
        if ask.values["alone"]:
            for i, name in enumerate(("table", "moves")):
                hidden[:, i] = _hide(sums[name], table.smallest_cell)
        return sums | {
            "n": np.array(rows.n),
            "n_patients": np.array(rows.n_patients),
            "missing": np.array(table.n - rows.n),
            "classes": np.array([(y == 0).sum(), (y == 1).sum()]),
            "hidden": hidden,
        }

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask once."""
        event_level(contract, self.outcome, self.positive)
        total = yield Ask("moves", {"alone": alone})
        head: dict[str, Json] = {k: int(total[k]) for k in ("n", "n_patients", "missing")}
        classes = np.asarray(total["classes"], np.int64)
        note = lacks_classes(classes)
        if note:
            return Answer(head | {"models": {}, "note": note})
        models: dict[str, Json] = {
            s: self._answer({k: np.asarray(total[k])[i] for k in _NAMES}, classes)
            for i, s in enumerate(self.new)
        }
        sizes: dict[str, Json] = {
            "non_events": int(classes[0]),
            "events": int(classes[1]),
        }
        return Answer(head | sizes | {"mode": "exact", "old": self.old, "models": models})

    def _model(self, y: Floats, old: Floats, new: Floats) -> dict[str, Array]:
        """Return categories (class, old, new), moves (class; down, same, up), changes."""
        k = len(self.categories) + 1
        cuts = np.unique(np.array(self.categories, np.float64))
        was, is_ = (np.searchsorted(cuts, p, side="right") for p in (old, new))
        cell = (y.astype(np.int64) * k + was) * k + is_
        move = y.astype(np.int64) * 3 + np.sign(new - old).astype(np.int64) + 1
        change = new - old
        per_class = [change[y == c] for c in (0, 1)]
        return {
            "table": np.bincount(cell, minlength=2 * k * k).reshape(2, k, k),
            "moves": np.bincount(move, minlength=6).reshape(2, 3),
            "change": np.array([[d.sum(), (d * d).sum()] for d in per_class]),
        }

    def _answer(self, mine: Mapping[str, Array], classes: Ints) -> dict[str, Json]:
        table, moves = (np.asarray(mine[k], np.int64) for k in ("table", "moves"))
        out: dict[str, Json] = {"continuous_nri": None, "categorical_nri": None}
        moves_small = _small(moves)
        if not mine["hidden"][1] and not moves_small:
            out["continuous_nri"] = self._nri(moves, classes)
            if not moves[:, [0, 2]].any():
                out["same"] = "the same as the old score in every case: there is nothing to test"
        if self.categories and not mine["hidden"][0]:
            way = _ways(table.shape[1])
            by_way = np.stack([table[:, way == w].sum(axis=1) for w in (-1, 0, 1)], axis=1)
            moves_small |= _small(by_way)
            if not _small(by_way):
                out["categorical_nri"] = self._nri(by_way, classes)
            out["table"] = {
                name: _shown(table[c]) for c, name in enumerate(("non_events", "events"))
            }
        if mine["hidden"].any() or moves_small:
            out["note"] = f"cells of fewer than {SMALLEST_CELL} patients are not shown"
        return out | {"idi": self._idi(np.asarray(mine["change"], np.float64), classes)}

    def _nri(self, moves: Ints, classes: Ints) -> dict[str, Json]:
        """Return NRI from counts of (down, same, up) by class, shape (2, 3)."""
        from scipy.stats import norm

        down, _, up = moves.T
        net, any_ = np.array([down[0] - up[0], up[1] - down[1]]), up + down
        parts = net / classes
        variances = any_ / classes**2 - net**2 / classes**3
        null = float((any_ / classes**2).sum())
        total = float(parts.sum())
        p = float(2 * norm.sf(abs(total) / np.sqrt(null))) if null > 0 else None
        return {
            **self._interval(total, float(variances.sum())),
            "p": p,
            "events": self._interval(float(parts[1]), float(variances[1])),
            "non_events": self._interval(float(parts[0]), float(variances[0])),
        }

    def _interval(self, estimate: float, variance: float) -> dict[str, Json]:
        found = wald(estimate, variance, self.confidence, 0.0)._asdict()
        found.pop("p")
        return {"estimate": estimate, **found}

    def _idi(self, change: Floats, classes: Ints) -> dict[str, Json]:
        means = change[:, 0] / classes
        spread = (change[:, 1] - classes * means**2) / (classes - 1)
        variance = float((np.maximum(spread, 0.0) / classes).sum())
        if variance < 1e-30:  # the same change for everybody, to rounding
            variance = 0.0
        difference = float(means[1] - means[0])
        found = wald(difference, variance, self.confidence, 0.0)
        return {
            "estimate": difference,
            **found._asdict(),
            "events": float(means[1]),
            "non_events": float(means[0]),
        }


_NAMES = ("table", "moves", "hidden", "change")


def _hide(counts: Array, smallest: int) -> NDArray[np.bool_]:
    """Zero the counts of models with a small cell, in place, and say which."""
    cells_of = counts.reshape(len(counts), -1).astype(np.int64)
    small = np.any((cells_of > 0) & (cells_of < smallest), axis=1)
    counts[small] = 0
    return np.asarray(small, np.bool_)


def _small(counts: Ints) -> bool:
    """Tell whether so few moved that an index, net of them, would give them away."""
    return bool(((counts > 0) & (counts < SMALLEST_CELL)).any())


def _shown(table: Ints) -> list[Json]:
    """Return a table of old by new categories, with small cells hidden.

    The index and its interval tell how many moved up and down: so the cells of each way are
    a sum of their own, of which none may follow from the others.
    """
    way = _ways(len(table))
    told = np.empty(table.shape, object)
    for w in (-1, 0, 1):
        told[way == w] = shown_counts(table[way == w].tolist())
    return [list(row) for row in told.tolist()]


def _ways(k: int) -> Ints:
    """Return which way a cell of a table of k categories moves: -1 down, 1 up."""
    steps = np.arange(k)
    way: Ints = np.sign(steps[None, :] - steps[:, None])
    return way
