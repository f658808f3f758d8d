"""Gradient boosting on histograms: exact trees, several of them a step to save rounds."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.bins import Cut, bins_here, bins_schema, check_ranges, codes_of, find_edges
from common.analyses.boosting_sums import (
    UNIT,
    losses,
    newton_gain,
    no_split,
    score,
    slopes_of,
    step_value,
)
from common.analyses.classifier import (
    Cases,
    Contract,
    cases_of,
    check_numbers,
    check_setting,
    classes_by_problem,
    counts_here,
    counts_schema,
    made_columns,
    predictions,
    printed_counts,
    size_here,
    size_schema,
    too_few,
    unfitted,
)
from common.analyses.grow import MOST_COUNTS, Grown, Open, Rule, choose, grow, largest_level
from common.analyses.logit import probability
from common.analyses.outcome import event_level
from common.analyses.plain import floats, whole
from common.analyses.trees import (
    CHANNELS,
    Binned,
    Trees,
    binned,
    bootstrap,
    level_schema,
    level_sums,
    read_trees,
    stumps,
)
from common.cohort import Column
from common.known import KNOWN, digest
from common.seeds import numpy_rng
from common.step import Step, expand_patterns
from common.sums import REAL_BOUND, Array, Schema, Sums
from common.sums import Field as SumField
from common.table import Floats, Table


class Boosting(Step):
    """Fit boosted trees to the log-odds, by Newton's gain.

    Friedman, Ann Stat 29:1189 (2001), with the second-order gain and leaves of Chen,
    Guestrin, KDD 785 (2016): those of scikit-learn's HistGradientBoosting on the same
    bins, grown level by level. Derivatives of a case are rounded to 2**-30 and sums are
    whole numbers: the trees are bit by bit those of the pooled rows.

    A tree waits for the one before, so rounds are the cost. With `parallel` above 1 a
    step adds the mean of so many trees, each on a Poisson bootstrap of patients and its
    own share of the columns, in the rounds of one: 15 steps of 8 trees take 48 rounds,
    120 trees one by one 363.

    Complete cases only. `path` has the deviance a case by step, held out where there are
    folds. The importance of a column is its share of the gain.

    Rounds: steps depth + 2 with edges of equal width, up to 2 more of equal depth.
    Message: 24 bytes by node, column tried and bin; a level has at most parallel
    (folds + 1) 2**(depth - 1) nodes and 2**24 numbers. Only in masked sums.
    """

    only_masked: ClassVar[bool] = True
    answers_alone: ClassVar[bool] = False

    kind: Literal["boosting"] = "boosting"
    outcome: str = Field(description="a category, or an integer of range 0 to 1")
    positive: str = Field(default="", description="level that is the event")
    of: tuple[str, ...] = Field(min_length=1, description="columns of numbers")
    steps: int = Field(default=15, ge=1, le=500)
    parallel: int = Field(default=8, ge=1, le=100, description="trees a step; 1: no bootstrap")
    depth: int = Field(default=3, ge=1, le=8)
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.3
    l2: float = Field(default=0.0, ge=0, description="penalty on the values of leaves")
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="of the columns, drawn for each tree"
    )
    min_leaf: int = Field(default=10, ge=5, description="fewest patients of a leaf")
    bins: int = Field(default=32, ge=2, le=256)
    edges: Cut = Field(default="depth", description="bins of equal depth, or width in the range")
    folds: int = Field(default=0, ge=0, le=20, description="cross-validated predictions; 0: none")
    seed: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_setting(self.outcome, self.of, self.folds)
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.outcome, *self.of)

    def expand(self, known: tuple[str, ...]) -> "Boosting":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        names = [c for c in expand_patterns(self.of, known) if c != self.outcome]
        return self.model_copy(update={"of": tuple(names)})

    def produces(self) -> Mapping[str, Column]:
        """Return the probability, and that of the trees that had not seen the case."""
        return made_columns(self.folds)

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts between edges, then losses and histograms."""
        if ask.phase == "bins":
            return {**counts_schema(self.folds), **bins_schema(ask)}
        loss = SumField((self.folds + 1, 2), REAL_BOUND, "count", "n_patients", "never")
        level = level_schema(ask, self.bins) if ask.phase == "level" else {}
        return {**size_schema(), "loss": loss, **level}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        cases = cases_of(table, self.outcome, self.positive, self.of, self.folds)
        if ask.phase == "bins":
            return {**counts_here(table, cases, self.folds), **bins_here(ask, cases.x)}
        here = binned(table, cases, self.columns(), floats(ask.arrays["edges"]))
        past = read_trees(dict(ask.arrays), "past.")
        stand = self._stand(table, cases, here, past, ask)
        sums = {**size_here(cases), "loss": stand.loss}
        if ask.phase == "end":
            return sums
        trains = cases.problems(self.folds)
        problems = [(train, stand.slopes[:, i]) for i, train in enumerate(trains)]
        return {**sums, **level_sums(ask, here, stand.drawn, problems, self.bins)}

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Find the edges, then add step after step, all folds side by side."""
        event_level(contract, self.outcome, self.positive)
        check_numbers(self.of, contract)
        if self.edges == "range":
            check_ranges(self.of, contract)
        first, edges = yield from find_edges(self.of, contract, self.bins, self.edges)
        note = too_few(first, self.folds) or self._too_large(int(first["n"]))
        if note:
            return unfitted(first, note)
        classes = floats(classes_by_problem(first, self.folds))
        base = np.rint(np.log(classes[:, 1] / classes[:, 0]) * UNIT) / UNIT
        grown, path = yield from self._boost(edges, base)
        return self._answer(first, {"edges": edges, "base": base}, grown, path)

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return the probabilities; NaN where a column is missing."""
        if "feature" not in answer.arrays:
            return predictions(table, self.of, self.folds, None)
        trees = read_trees(dict(answer.arrays))
        edges, base = floats(answer.arrays["edges"]), floats(answer.arrays["base"])

        def predict(x: Floats, problem: int) -> Floats:
            mine = np.arange(len(trees.feature)) // self.parallel % len(base) == problem
            some = Trees(trees.feature[mine], trees.cut[mine], trees.value[mine])
            eta = score(some, codes_of(x, edges), base[[problem]], self.parallel)
            return probability(eta[:, 0])

        return predictions(table, self.of, self.folds, predict)

    def _boost(
        self, edges: Floats, base: Floats
    ) -> Generator[Ask, Sums, tuple[Grown, list[Floats]]]:
        n_trees = self.parallel * len(base)
        past, gains = stumps(0, self.depth), np.zeros((0, len(edges)))
        path: list[Floats] = []
        for step in range(self.steps):
            rule = Rule(
                self.depth,
                self.min_leaf,
                partial(self._draw, len(edges), step),
                partial(newton_gain, self.l2),
                partial(step_value, self.l2, self.learning_rate / self.parallel),
                no_split,
            )
            sent = {"edges": edges, "base": base, **past.arrays("past.")}
            grown = yield from _watched(grow(rule, n_trees, len(edges), sent), path)
            past = _together(past, grown.trees)
            gains = np.concatenate([gains, grown.gains])
        total = yield Ask("end", {}, {"edges": edges, "base": base, **past.arrays("past.")})
        return Grown(past, gains), [*path, floats(total["loss"]) / UNIT]

    def _stand(self, table: Table, cases: Cases, here: Binned, past: Trees, ask: Ask) -> "Stand":
        """Return where the trees so far have led; the last step's are added to those before."""
        edges, base = floats(ask.arrays["edges"]), floats(ask.arrays["base"])
        n_new = len(base) * self.parallel
        setting = (self.columns(), self.positive, self.folds, self.parallel, self.seed)

        def what(trees: Trees) -> tuple[object, ...]:
            return "boosted", setting, digest(edges, base, *trees.arrays().values())

        def make() -> Stand:
            before: Stand | None = None
            if len(past.feature):
                before = KNOWN.find(table, what(past.some(slice(0, -n_new))))
            if before is None:
                scores = score(past, here.codes, base, self.parallel)
            else:
                new = past.some(slice(-n_new, None))
                scores = score(new, here.codes, before.scores, self.parallel)
            loss = losses(scores, cases.y, cases.problems(self.folds))
            drawn = self._drawn(cases, len(past.feature) // n_new)
            return Stand(scores, loss, slopes_of(scores, cases.y), drawn)

        return KNOWN.of(table, what(past), make)

    def _drawn(self, cases: Cases, step: int) -> Array:
        if self.parallel == 1:
            return np.ones((len(cases.y), 1), np.int64)
        key = (cases.key, "boosting", self.seed, step)
        return bootstrap(cases.patients, key, self.parallel)

    def _draw(
        self, n_columns: int, step: int, level: int, here: Open, trees: Trees
    ) -> dict[str, Array]:
        """Return the columns a tree may split on, the same at all its nodes and folds."""
        rng = numpy_rng(self.seed, "boosting", step)
        tried = choose(rng, self.parallel, n_columns, max(1, round(self.share * n_columns)))
        return {"tried": tried[here.tree % self.parallel]}

    def _too_large(self, n: int) -> str | None:
        nodes = largest_level(n, self.parallel * (self.folds + 1), self.depth, self.min_leaf)
        size = nodes * max(1, round(self.share * len(self.of))) * self.bins * CHANNELS
        if size <= MOST_COUNTS:
            return None
        return (
            f"a level could hold {size} numbers, more than {MOST_COUNTS}: ask for fewer "
            f"parallel trees, folds or bins, a smaller share, or select columns before"
        )

    def _answer(
        self, first: Sums, arrays: Mapping[str, Array], grown: Grown, path: list[Floats]
    ) -> Answer:
        mine = np.arange(len(grown.gains)) // self.parallel % (self.folds + 1) == 0
        gains = grown.gains[mine].sum(axis=0)
        share = gains / gains.sum() if gains.any() else gains
        importance: dict[str, Json] = {
            self.of[j]: float(share[j]) for j in np.argsort(-share, kind="stable")
        }
        n, split = int(first["n"]), bool(gains.any())
        rows: list[Json] = []
        for s, loss in enumerate(path):
            row: dict[str, Json] = {"steps": s, "deviance": float(2 * loss[0, 0] / n)}
            if self.folds:
                row["deviance_held_out"] = float(2 * loss[:, 1].sum() / n)
            rows.append(row)
        values: dict[str, Json] = {
            **printed_counts(first),
            "converged": True,
            "note": None if split else "no split had enough patients on both sides",
            "trees": self.steps * self.parallel,
            "importance": importance,
            "path": rows,
            "mode": "exact",
        }
        return Answer(values, {**arrays, **grown.trees.arrays()})


@dataclass(frozen=True)
class Stand:
    """Where boosting stands at a site.

    Attributes:
        scores: log-odds of each case by each problem, shape (n, problems).
        loss: of those in and out of each problem, shape (problems, 2).
        slopes: first and second derivative, in units, shape (n, problems, 2).
        drawn: how often a case is drawn for each tree of the next step, shape (n, parallel).
    """

    scores: Floats
    loss: Array
    slopes: Array
    drawn: Array


def _watched(
    growing: Generator[Ask, Sums, Grown], path: list[Floats]
) -> Generator[Ask, Sums, Grown]:
    """Grow, and note the losses that the first round brings along."""
    ask, first = next(growing), True
    while True:
        total = yield ask
        if first:
            path.append(whole(total["loss"]) / UNIT)
        first = False
        try:
            ask = growing.send(total)
        except StopIteration as stop:
            grown: Grown = stop.value
            return grown


def _together(past: Trees, new: Trees) -> Trees:
    pairs = zip(past.arrays().values(), new.arrays().values(), strict=True)
    feature, cut, value = (np.concatenate(pair) for pair in pairs)
    return Trees(feature, cut, value)
