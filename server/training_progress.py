"""Where a training stands: everything from which it can begin again after a crash."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from common.analyses.analysis import Json, State
from common.buffers import side_by_side
from common.sums import Array
from common.tasks.train import Train
from server.aggregation import Moments

Weights = dict[str, Array]
Line = dict[str, Json]


@dataclass(frozen=True)
class Progress:
    """Where a training stands before its next ask.

    Attributes:
        round: the next one.
        weights: that the next round begins with.
        average: their moving average; empty without one.
        moments: of the aggregation's optimiser.
        best: of the round with the best validation score; empty before there is one.
        history: a line a round.
        stage: "train", then "calibrate", then "tune".
        found: what stages after the rounds have told.
    """

    round: int
    weights: Weights
    average: Weights
    moments: Moments
    best: Weights
    history: list[Line]
    stage: str = "train"
    found: Mapping[str, Json] = field(default_factory=dict)

    @property
    def best_round(self) -> int:
        """The round with the best mean validation score; -1 before there is one."""
        scored = [line for line in self.history if "score" in line]
        best = max(scored, key=mean_score, default=None)
        return -1 if best is None else int(str(best["round"]))

    def current(self) -> Weights:
        """Return the weights that are validated: the average where there is one."""
        return self.average or self.weights

    def select(self, line: Line, step: Train) -> "Progress":
        """Return the progress with a round's line, and its weights if they are the best."""
        scored = [mean_score(old) for old in self.history if "score" in old]
        better = "score" in line and mean_score(line) > max(scored, default=-math.inf)
        best = self.current() if better and step.select == "best" else self.best
        return replace(self, best=best, history=[*self.history, line])

    def chosen(self, step: Train) -> Weights:
        """Return the weights that a finished training answers with."""
        return self.best if step.select == "best" and self.best else self.current()

    def selected(self, step: Train) -> int:
        """Return after how many rounds a finished training had those weights."""
        best = self.best_round
        return best if step.select == "best" and best >= 0 else step.rounds

    def averaged(self, decay: float, weights: Weights) -> Weights:
        """Return the moving average with the next weights; a short memory in the first rounds."""
        if decay == 0:
            return {}
        k = min(decay, (1 + self.round) / (10 + self.round))
        old = self.average or self.weights
        return {n: _mixed(old[n], w, k) for n, w in weights.items()}

    def at(self, stage: str, found: Mapping[str, Json] | None = None) -> "Progress":
        """Return the progress at a later stage."""
        return replace(self, stage=stage, found=self.found if found is None else found)

    def state(self) -> State:
        """Return what is needed to begin again before the next ask."""
        groups = {"weights": self.weights, "average": self.average, "best": self.best}
        arrays = {
            f"{g}.{n}": a
            for g, named in {**groups, **self.moments}.items()
            for n, a in named.items()
        }
        values: dict[str, Json] = {"round": self.round, "history": list(self.history)}
        if self.stage != "train":
            values |= {"stage": self.stage, "found": dict(self.found)}
        return State(values, arrays)


def _mixed(old: Array, new: Array, share: float) -> Array:
    """Return a share of the old and the rest of the new; what never changes keeps its bits."""
    if np.array_equal(old, new):
        return new
    mixed: Array = (share * old + (1 - share) * new).astype(new.dtype)
    return mixed


def read_progress(state: State) -> Progress:
    """Return the progress that `Progress.state` wrote."""
    named: dict[str, Weights] = {"weights": {}, "average": {}, "best": {}}
    for key, array in state.arrays.items():
        group, _, name = key.partition(".")
        named.setdefault(group, {})[name] = array
    weights, average, best = (named.pop(g) for g in ("weights", "average", "best"))
    weights = side_by_side(weights)
    values = state.values
    history = [dict(line) for line in values["history"]]  # type: ignore[union-attr, arg-type]
    stage, found = str(values.get("stage", "train")), values.get("found")
    return Progress(
        int(str(values["round"])),
        weights,
        average,
        named,
        best,
        history,
        stage,
        found if isinstance(found, dict) else {},
    )


def mean_score(line: Mapping[str, Json]) -> float:
    """Return the mean of a line's validation scores."""
    score = line["score"]
    return float(np.mean(list(score.values()))) if isinstance(score, dict) else -math.inf
