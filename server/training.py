"""The coordinator's half of training: rounds of asks, the sites' updates added up.

A total holds n and the sum over sites of n times each site's change of the weights;
their quotient is the mean change, and the aggregation makes of it the next weights.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from common.analyses.analysis import Answer, Ask, Json, Solve, State
from common.holdings import Holdings
from common.seeds import seed
from common.sites import POOLED, Roster
from common.study import Study
from common.sums import Array, Sums
from common.tasks.predict import Networks
from common.tasks.train import AVERAGE, UPDATE, WEIGHTS, Train
from server.aggregation import Moments, aggregate
from server.problems import Problem

Weights = dict[str, Array]


def problems(study: Study, roster: Roster, name: str, *, pooled: bool) -> Iterator[Problem]:
    """Return the trainings of a step: federated, and its baselines."""
    step: Train = study.bound[name]
    names = step.task.score_names(study.holdings)
    start = initial_weights(step, study.holdings, seed(study.name, name, roster.seed))

    def begin(part: str, group: tuple[str, ...]) -> Problem:
        training = Training(step, names, seed(study.name, name, part, roster.seed), start)
        solve = training.solve_alone if part.startswith("local.") else training.solve
        return Problem(name, part, group, solve, elastic=True)

    yield begin("development", roster.developing)
    if {"local", "ensemble"} & set(step.baselines):
        for site in roster.developing:
            yield begin(f"local.{site}", (site,))
    if "pooled" in step.baselines and pooled:
        yield begin("pooled", (POOLED,))


def networks(step: Train, answers: Mapping[str, Answer]) -> Networks:
    """Return the weights to predict with: of the federated training and its baselines."""
    found: dict[str, list[Mapping[str, Array]]] = {}
    if "development" in answers:
        found[""] = [answers["development"].arrays]
    if "pooled" in answers:
        found["pooled"] = [answers["pooled"].arrays]
    shared = [a.arrays for part, a in sorted(answers.items()) if part.startswith("local.")]
    if "ensemble" in step.baselines and shared:
        found["ensemble"] = shared
    if "local" in step.baselines:
        found["local"] = []
    return found


def initial_weights(step: Train, known: Holdings, seed_: int) -> Weights:
    """Return the weights every training of a step begins with."""
    from common.networks import weights

    return dict(weights.initial_weights(step.task.network_for(known), seed_))


@dataclass(frozen=True)
class Training:
    """One training of a step.

    Attributes:
        step: its settings.
        scores: names of what validation tells of a case.
        seed: of this training; sites add their name and the round.
        start: the first weights.
    """

    step: Train
    scores: tuple[str, ...]
    seed: int
    start: Weights

    def solve(self, state: State | None) -> Solve:
        """Train by rounds; the answer holds the selected weights and the curves."""
        now = _read_state(state) if state else _Progress(0, dict(self.start), {}, {}, {}, [])
        while True:
            ask = self._ask(now)
            total = yield ask
            line = self._line(now.round, total)
            now = now.select(line, self.step)
            if now.round == self.step.rounds:
                return self._answer(now)
            now = self._aggregated(now, total)
            del ask, total  # a network's weights each

    def solve_alone(self, state: State | None) -> Solve:
        """Train at one site that keeps its weights; share them at the end if asked for."""
        first = int(str(state.values["round"])) if state else 0
        history = _history(state)
        for round_ in range(first, self.step.rounds):
            values = {**self._values(round_), "train": True, "own": True}
            kept = State({"round": round_, "history": list(history)})
            begin = self.start if round_ == 0 else {}
            arrays = {WEIGHTS + name: array for name, array in begin.items()}
            total = yield Ask("train", values, arrays, kept)
            history.append(self._line(round_, total))
        if "ensemble" not in self.step.baselines:
            return Answer({"history": history})
        shapes = {WEIGHTS + name: np.zeros_like(a) for name, a in self.start.items()}
        values = {**self._values(self.step.rounds), "own": True, "share": True}
        last = State({"round": self.step.rounds, "history": list(history)})
        total = yield Ask("share", values, shapes, last)
        return Answer({"history": history}, _own_weights(total, self.start))

    def _ask(self, now: "_Progress") -> Ask:
        step, last = self.step, now.round == self.step.rounds
        validate = last or now.round % step.validate_every == 0
        values = {**self._values(now.round), "train": not last, "validate": validate}
        arrays = {WEIGHTS + name: array for name, array in now.weights.items()}
        if validate and now.average:
            arrays |= {AVERAGE + name: array for name, array in now.average.items()}
        return Ask("train", values, arrays, now.state())

    def _values(self, round_: int) -> dict[str, Json]:
        factor = self.step.schedule.factor(round_, self.step.rounds)
        return {
            "round": round_,
            "seed": self.seed,
            "learning_rate": self.step.local.learning_rate * factor,
            "n_scores": len(self.scores),
        }

    def _line(self, round_: int, total: Sums) -> dict[str, Json]:
        line: dict[str, Json] = {"round": round_}
        if "loss" in total and int(total["n"]):
            line |= {"n": int(total["n"]), "loss": float(total["loss"]) / int(total["n"])}
        if "score" in total and int(total["n_validated"]):
            mean = total["score"] / int(total["n_validated"])
            line |= {"n_validated": int(total["n_validated"])}
            line |= {"score": dict(zip(self.scores, map(float, mean), strict=True))}
        return line

    def _aggregated(self, now: "_Progress", total: Sums) -> "_Progress":
        n = int(total["n"])
        change = {name: total[UPDATE + name] for name in now.weights}
        for sums in change.values():
            sums /= n  # in place: a network may be large
        weights, moments = aggregate(self.step.aggregation, now.weights, change, now.moments)
        average = _averaged(self.step.averaging, now, weights)
        return _Progress(now.round + 1, weights, average, moments, now.best, now.history)

    def _answer(self, now: "_Progress") -> Answer:
        weights = now.best if self.step.select == "best" and now.best else now.current()
        scored = [line for line in now.history if "score" in line]
        best = max(scored, key=_mean_score, default=None)
        values: dict[str, Json] = {"rounds": self.step.rounds, "history": list(now.history)}
        if best is not None:
            chosen = best if self.step.select == "best" else scored[-1]
            values |= {"selected_round": chosen["round"], "score": chosen["score"]}
        return Answer(values, weights)


@dataclass(frozen=True)
class _Progress:
    """Where a training stands before a round."""

    round: int
    weights: Weights
    average: Weights
    moments: Moments
    best: Weights
    history: list[dict[str, Json]]

    def current(self) -> Weights:
        """Return the weights that are validated: the average where there is one."""
        return self.average or self.weights

    def select(self, line: dict[str, Json], step: Train) -> "_Progress":
        """Return the progress with a round's line, and its weights if they are the best."""
        scored = [_mean_score(old) for old in self.history if "score" in old]
        better = "score" in line and _mean_score(line) > max(scored, default=-math.inf)
        best = self.current() if better and step.select == "best" else self.best
        history = [*self.history, line]
        return _Progress(self.round, self.weights, self.average, self.moments, best, history)

    def state(self) -> State:
        """Return what is needed to begin again before this round."""
        groups = {"weights": self.weights, "average": self.average, "best": self.best}
        arrays = {
            f"{g}.{n}": a
            for g, named in {**groups, **self.moments}.items()
            for n, a in named.items()
        }
        return State({"round": self.round, "history": list(self.history)}, arrays)


def _read_state(state: State) -> _Progress:
    named: dict[str, Weights] = {"weights": {}, "average": {}, "best": {}}
    for key, array in state.arrays.items():
        group, _, name = key.partition(".")
        named.setdefault(group, {})[name] = array
    weights, average, best = (named.pop(g) for g in ("weights", "average", "best"))
    history = [dict(line) for line in state.values["history"]]  # type: ignore[union-attr, arg-type]
    return _Progress(int(str(state.values["round"])), weights, average, named, best, history)


def _averaged(decay: float, now: _Progress, weights: Weights) -> Weights:
    """Return the moving average, with a short memory in the first rounds."""
    if decay == 0:
        return {}
    k = min(decay, (1 + now.round) / (10 + now.round))
    old = now.average or now.weights
    return {n: (k * old[n] + (1 - k) * w).astype(w.dtype) for n, w in weights.items()}


def _mean_score(line: Mapping[str, Json]) -> float:
    score = line["score"]
    return float(np.mean(list(score.values()))) if isinstance(score, dict) else -math.inf


def _own_weights(total: Sums, start: Weights) -> Weights:
    n = int(total["n"])
    return {name: (total[UPDATE + name] / n).astype(a.dtype) for name, a in start.items()}


def _history(state: State | None) -> list[Json]:
    kept = state.values.get("history") if state else None
    return list(kept) if isinstance(kept, list) else []
