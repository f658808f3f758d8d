"""The coordinator's half of training: rounds of asks, the sites' updates added up.

A total holds n and the sum over sites of n times each site's change of the weights;
their quotient is the mean change, and the aggregation makes of it the next weights.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from common.analyses.analysis import Answer, Ask, Json, Solve, State
from common.buffers import side_by_side
from common.holdings import Holdings
from common.seeds import seed
from common.sites import POOLED, Roster
from common.study import Study
from common.sums import Array, Sums
from common.tasks.predict import Networks
from common.tasks.task import calibrates, prepares
from common.tasks.temperature import TEMPERATURES
from common.tasks.train import AVERAGE, BEGIN, UPDATE, WEIGHTS, Train, part_of
from common.tasks.update_norm import check_mean
from server.aggregation import aggregate
from server.calibration import calibrated, calibration_of
from server.problems import Problem
from server.training_progress import Progress, read_progress

Weights = dict[str, Array]


def problems(study: Study, roster: Roster, name: str, *, pooled: bool) -> Iterator[Problem]:
    """Return the trainings of a step: federated, and its baselines."""
    step: Train = study.bound[name]
    for fold in step.fold_numbers:
        words = (name, fold) if fold else (name,)
        seed_ = seed(study.name, *words, roster.seed)
        start: Callable[[], Weights] = partial(initial_weights, step, study.holdings, seed_)
        kept = _local_names(step, study.holdings)
        groups = list(_groups(step, roster, pooled=pooled))
        if kept or len(groups) > 1:  # they are wanted again
            start = cache(start)
        for base, group in groups:
            part = part_of(base, fold)
            training = Training(
                step=step,
                known=study.holdings,
                seed=seed(study.name, name, part, roster.seed),
                start=start,
                fold=fold,
                kept=kept if base == "development" else frozenset(),
                tunes=step.fine_tune is not None and base == "development",
            )
            solve = training.solve_alone if base.startswith("local.") else training.solve
            yield Problem(name, part, group, solve, elastic=True)


def _groups(step: Train, roster: Roster, *, pooled: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the federated training and its baselines, and the sites of each."""
    yield "development", roster.developing
    if {"local", "ensemble"} & set(step.baselines):
        for site in roster.developing:
            yield f"local.{site}", (site,)
    if "pooled" in step.baselines and pooled:
        yield "pooled", (POOLED,)


def networks(step: Train, answers: Mapping[str, Answer], sites: tuple[str, ...]) -> Networks:
    """Return the weights to predict with: of the federated training and its baselines.

    Args:
        step: the training.
        answers: its answers by part; a part that failed is not there.
        sites: those that trained.
    """
    found: dict[str, dict[int, list[Mapping[str, Array]]]] = {}
    selected: dict[int, int] = {}
    for variant, base in (("", "development"), ("pooled", "pooled")):
        trained = {f: answers[p] for f in step.fold_numbers if (p := part_of(base, f)) in answers}
        for fold, weights in calibrated(trained).items():
            found.setdefault(variant, {})[fold] = [weights]
            if not variant:
                selected[fold] = int(str(trained[fold].values["selected_round"]))
    for fold in step.fold_numbers:
        local = [part_of(f"local.{site}", fold) for site in sites]
        shared = [answers[part].arrays for part in local if part in answers]
        if "ensemble" in step.baselines and shared:
            found.setdefault("ensemble", {})[fold] = shared
        if "local" in step.baselines:
            found.setdefault("local", {})[fold] = []
        if step.fine_tune and fold in selected:
            found.setdefault("tuned", {})[fold] = []
    return Networks(found, step.folds, sites, selected if step.stay_local else {})


def initial_weights(step: Train, known: Holdings, seed_: int) -> Weights:
    """Return the weights every training of a step begins with."""
    from common.networks import weights

    return dict(weights.initial_weights(step.task.network_for(known), seed_))


def _local_names(step: Train, known: Holdings) -> frozenset[str]:
    """Return the names of the weights that never leave a site."""
    if not step.stay_local:
        return frozenset()
    from common.networks.parts import names_of

    return names_of(step.task.network_for(known), step.stay_local)


@dataclass(frozen=True)
class Training:
    """One training of a step.

    Attributes:
        step: its settings.
        known: what cases have.
        seed: of this training; sites add their name and the round.
        start: makes the first weights.
        fold: of the patients it never sees, from 1; 0: it sees all.
        kept: names of weights that every site keeps for itself.
        tunes: whether its sites go on alone at the end.
    """

    step: Train
    known: Holdings
    seed: int
    start: Callable[[], Weights]
    fold: int = 0
    kept: frozenset[str] = frozenset()
    tunes: bool = False

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of what validation tells of a case."""
        names: tuple[str, ...] = self.step.task.score_names(self.known)
        return names

    def solve(self, state: State | None) -> Solve:
        """Train by rounds; the answer holds the selected weights and the curves."""
        now = read_progress(state) if state else (yield from self._begun())
        while now.stage == "train":
            ask = self._ask(now)
            total = yield ask
            line = self._line(now.round, total)
            now = now.select(line, self.step)
            if now.round == self.step.rounds:
                now = now.at("calibrate")
            else:
                now = self._aggregated(now, total)
            del ask, total  # a network's weights each
        return (yield from self._ended(now))

    def _begun(self) -> Generator[Ask, Sums, Progress]:
        """Return where a training begins, after the sums that its task wants first."""
        start = {name: array for name, array in self.start().items() if name not in self.kept}
        task: Any = self.step.task
        if prepares(task) and self.step.privacy is not None:
            start |= task.declared(self.known)
        elif prepares(task):
            total = yield Ask("prepare", self._values(0))
            start |= task.prepared(self.known, total)
        return Progress(0, side_by_side(start), {}, {}, {}, [])

    def _ended(self, now: Progress) -> Solve:
        """Calibrate and fine-tune what was trained, where the study wants it; answer."""
        weights, round_ = now.chosen(self.step), now.selected(self.step)
        found = dict(now.found)
        if now.stage == "calibrate":
            if calibrates(self.step.task):
                values = {**self._values(round_), "n_losses": len(TEMPERATURES)}
                total = yield Ask("calibrate", values, self._sent(weights), now.state())
                found |= calibration_of(total)
            now = now.at("tune", found)
        if self.tunes:
            values = {**self._values(round_), "validate": True}
            total = yield Ask("tune", values, self._sent(weights), now.state())
            found["fine_tuned"] = self._line(round_, total)
        return self._answer(now, weights, found)

    def solve_alone(self, state: State | None) -> Solve:
        """Train at one site that keeps its weights; share them at the end if asked for."""
        first = int(str(state.values["round"])) if state else 0
        history = _history(state)
        for round_ in range(first, self.step.rounds):
            values = {**self._values(round_), "train": True, "own": True}
            kept = State({"round": round_, "history": list(history)})
            begin = self.start() if round_ == 0 else {}
            arrays = {WEIGHTS + name: array for name, array in begin.items()}
            total = yield Ask("train", values, arrays, kept)
            history.append(self._line(round_, total))
        if "ensemble" not in self.step.baselines:
            return Answer({"history": history})
        start = self.start()
        shapes = {WEIGHTS + name: np.zeros_like(a) for name, a in start.items()}
        values = {**self._values(self.step.rounds), "own": True, "share": True}
        last = State({"round": self.step.rounds, "history": list(history)})
        total = yield Ask("share", values, shapes, last)
        return Answer({"history": history}, _own_weights(total, start))

    def _ask(self, now: Progress) -> Ask:
        step, last = self.step, now.round == self.step.rounds
        validate = last or now.round % step.validate_every == 0
        values = {**self._values(now.round), "train": not last, "validate": validate}
        if self.kept:
            values["best"] = now.best_round
        arrays = self._sent(now.weights)
        if validate and now.average:
            arrays |= {AVERAGE + name: array for name, array in now.average.items()}
        return Ask("train", values, arrays, now.state())

    def _sent(self, weights: Weights) -> Weights:
        """Return an ask's arrays: the common weights, and first values of what stays local."""
        common = {WEIGHTS + name: array for name, array in weights.items()}
        first = self.start() if self.kept else {}
        return common | {BEGIN + name: first[name] for name in sorted(self.kept)}

    def _values(self, round_: int) -> dict[str, Json]:
        factor = self.step.schedule.factor(round_, self.step.rounds)
        return {
            "round": round_,
            "seed": self.seed,
            "learning_rate": self.step.local.learning_rate * factor,
            "n_scores": len(self.scores),
            **({"fold": self.fold} if self.fold else {}),
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

    def _aggregated(self, now: Progress, total: Sums) -> Progress:
        n = int(total["n"])
        if n == 0:
            raise ValueError("no site has a case to learn from")
        change = {name: total[UPDATE + name] for name in now.weights}
        for sums in change.values():
            sums /= n  # in place: a network may be large
        if self.step.largest_update_norm is not None:
            check_mean(change, self.step.largest_update_norm)
        weights, moments = aggregate(self.step.aggregation, now.weights, change, now.moments)
        average = now.averaged(self.step.averaging, weights)
        return Progress(now.round + 1, weights, average, moments, now.best, now.history)

    def _answer(self, now: Progress, weights: Weights, found: Mapping[str, Json]) -> Answer:
        round_ = now.selected(self.step)
        values: dict[str, Json] = {
            "rounds": self.step.rounds,
            "history": list(now.history),
            "selected_round": round_,
        }
        line = next((x for x in now.history if x["round"] == round_ and "score" in x), None)
        if line is not None:
            values["score"] = line["score"]
        return Answer({**values, **found}, weights)


def _own_weights(total: Sums, start: Weights) -> Weights:
    n = int(total["n"])
    return {name: (total[UPDATE + name] / n).astype(a.dtype) for name, a in start.items()}


def _history(state: State | None) -> list[Json]:
    kept = state.values.get("history") if state else None
    return list(kept) if isinstance(kept, list) else []
