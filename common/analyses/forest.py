"""Random forest and extra-trees on histograms: many trees, a level of all a round."""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.bins import Cut, bins_here, bins_schema, check_ranges, codes_of, find_edges
from common.analyses.classifier import (
    Bools,
    Cases,
    Contract,
    Ints,
    cases_of,
    check_numbers,
    check_setting,
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
from common.analyses.grow import MOST_COUNTS, Grown, Open, Rule, choose, grow, largest_level, reach
from common.analyses.outcome import event_level
from common.analyses.plain import floats
from common.analyses.trees import (
    CHANNELS,
    Trees,
    binned,
    bootstrap,
    level_schema,
    level_sums,
    read_trees,
)
from common.cohort import Column
from common.known import KNOWN
from common.seeds import numpy_rng
from common.step import Step, expand_patterns
from common.sums import SHORT_BOUND, Array, Schema, Sums
from common.table import Floats, Table


class Forest(Step):
    """Fit a random forest or extremely randomised trees.

    Random forest (Breiman, Mach Learn 45:5, 2001): each tree on its own Poisson bootstrap
    of patients, drawn at the sites by keys, each node on the best Gini split of `tried`
    random columns. Extra-trees (Geurts, Ernst, Wehenkel, Mach Learn 63:3, 2006): no
    bootstrap, one random cut a column. Splits lie on edges of bins, no leaf has fewer than
    `min_leaf` patients, and sums are whole numbers: the forest is bit by bit the one that
    pooled rows give with the same seed.

    Complete cases only. The importance of a column is its mean decrease in Gini impurity.

    Rounds: depth + 1 with edges of equal width; up to depth + 3 of equal depth.
    Message: 12 bytes by node, column tried and bin (extra-trees: 2 in place of bins); a
    level has at most trees (folds + 1) min(2**(depth - 1), n / (2 min_leaf)) nodes, and
    at most 2**24 numbers, 64 MiB, may go at once. Only in masked sums.
    """

    only_masked: ClassVar[bool] = True
    answers_alone: ClassVar[bool] = False

    kind: Literal["forest"] = "forest"
    outcome: str = Field(description="a category, or an integer of range 0 to 1")
    positive: str = Field(default="", description="level that is the event")
    of: tuple[str, ...] = Field(min_length=1, description="columns of numbers")
    method: Literal["random_forest", "extra_trees"] = "random_forest"
    trees: int = Field(default=200, ge=1, le=2000)
    depth: int = Field(default=5, ge=1, le=10)
    tried: int = Field(default=0, ge=0, description="columns tried at a node; 0: root of all")
    min_leaf: int = Field(default=5, ge=5, description="fewest patients of a leaf, over all sites")
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

    def expand(self, known: tuple[str, ...]) -> "Forest":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        names = [c for c in expand_patterns(self.of, known) if c != self.outcome]
        return self.model_copy(update={"of": tuple(names)})

    def produces(self) -> Mapping[str, Column]:
        """Return the probability, and that of the forest that had not seen the case."""
        return made_columns(self.folds)

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts between edges, then a level's histograms."""
        if ask.phase == "bins":
            return {**counts_schema(self.folds), **bins_schema(ask)}
        return {**size_schema(), **level_schema(ask, self.bins, SHORT_BOUND)}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        cases = cases_of(table, self.outcome, self.positive, self.of, self.folds)
        if ask.phase == "bins":
            return {**counts_here(table, cases, self.folds), **bins_here(ask, cases.x)}
        here = binned(table, cases, self.columns(), floats(ask.arrays["edges"]))
        what = ("drawn", self.columns(), self.method, self.trees, self.seed)
        drawn = KNOWN.of(table, what, lambda: self._drawn(cases))
        y = cases.y.astype(np.int64)
        classes = np.column_stack([1 - y, y])
        problems = [(train, classes) for train in cases.problems(self.folds)]
        return {**size_here(cases), **level_sums(ask, here, drawn, problems, self.bins)}

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Find the edges, then grow all trees of all folds side by side."""
        event_level(contract, self.outcome, self.positive)
        check_numbers(self.of, contract)
        if self.edges == "range":
            check_ranges(self.of, contract)
        first, edges = yield from find_edges(self.of, contract, self.bins, self.edges)
        note = too_few(first, self.folds) or self._too_large(int(first["n"]))
        if note:
            return unfitted(first, note)
        draw = partial(self._draw, np.isfinite(edges).sum(axis=1))
        rule = Rule(self.depth, self.min_leaf, draw, _gain, _value, _pure)
        n_trees = self.trees * (self.folds + 1)
        grown = yield from grow(rule, n_trees, len(edges), {"edges": edges})
        return self._answer(first, edges, grown)

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return the mean of the trees; NaN where a column is missing."""
        if "feature" not in answer.arrays:
            return predictions(table, self.of, self.folds, None)
        trees = read_trees(dict(answer.arrays))
        edges = floats(answer.arrays["edges"])

        def predict(x: Floats, problem: int) -> Floats:
            some = trees.some(slice(problem * self.trees, (problem + 1) * self.trees))
            mean: Floats = some.values_of(codes_of(x, edges)).mean(axis=1)
            return mean

        return predictions(table, self.of, self.folds, predict)

    def _drawn(self, cases: Cases) -> Ints:
        if self.method == "extra_trees":
            return np.ones((len(cases.y), self.trees), np.int64)
        return bootstrap(cases.patients, (cases.key, "forest", self.seed), self.trees)

    @property
    def _n_tried(self) -> int:
        return min(self.tried or max(1, int(np.sqrt(len(self.of)))), len(self.of))

    def _draw(self, last_code: Ints, level: int, here: Open, trees: Trees) -> dict[str, Array]:
        """Draw the columns tried at each node, and for extra-trees a cut of each."""
        rng = numpy_rng(self.seed, self.method, level)
        tried = choose(rng, len(here.tree), last_code.size, self._n_tried)
        if self.method == "random_forest":
            return {"tried": tried}
        low, high = reach(trees, here, tried, last_code)
        cuts = low + np.floor(rng.random(tried.shape) * (high - low)).astype(np.int64)
        return {"tried": tried, "cuts": cuts}

    def _too_large(self, n: int) -> str | None:
        nodes = largest_level(n, self.trees * (self.folds + 1), self.depth, self.min_leaf)
        width = self.bins if self.method == "random_forest" else 2
        size = nodes * self._n_tried * width * CHANNELS
        if size <= MOST_COUNTS:
            return None
        return (
            f"a level could hold {size} numbers, more than {MOST_COUNTS}: "
            f"ask for fewer trees, folds, bins or columns tried, or extra_trees"
        )

    def _answer(self, first: Sums, edges: Floats, grown: Grown) -> Answer:
        mine = grown.gains[: self.trees]
        of_all = mine.sum(axis=1, keepdims=True)
        share = (mine / np.where(of_all > 0, of_all, 1.0)).mean(axis=0)
        order = np.argsort(-share, kind="stable")
        split = grown.trees.feature[: self.trees] >= 0
        importance: dict[str, Json] = {self.of[j]: float(share[j]) for j in order}
        values: dict[str, Json] = {
            **printed_counts(first),
            "converged": True,
            "note": None if split.any() else "no split had enough patients on both sides",
            "method": self.method,
            "trees": self.trees,
            "mean_leaves": float(split.sum(axis=1).mean()) + 1.0,
            "importance": importance,
            "mode": "exact",
        }
        return Answer(values, {"edges": edges, **grown.trees.arrays()})


def _gain(left: Ints, all_of: Ints) -> Floats:
    """Return the decrease of Gini impurity, times the weight of the node."""
    return _purity(left) + _purity(all_of - left) - _purity(all_of)


def _purity(sums: Ints) -> Floats:
    none, events = floats(sums[..., 0]), floats(sums[..., 1])
    return (none**2 + events**2) / np.maximum(none + events, 1.0)


def _value(sums: Ints) -> Floats:
    value: Floats = sums[..., 1] / np.maximum(sums[..., 0] + sums[..., 1], 1)
    return value


def _pure(sums: Ints) -> Bools:
    pure: Bools = (sums[..., 0] == 0) | (sums[..., 1] == 0)
    return pure
