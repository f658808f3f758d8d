"""Clusters of patients: k-means, its separation, a sensitivity analysis, a comparison."""

from collections.abc import Generator, Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Solve
from common.analyses.classifier import Contract, check_numbers
from common.analyses.cluster_answer import Found, answer_of, ordered, without_clusters
from common.analyses.cluster_sums import compare_here, compare_schema
from common.analyses.levels import level_codes, levels_of
from common.analyses.lloyd import (
    MOST_ROUNDS,
    climb_down,
    lloyd_here,
    lloyd_schema,
    nearest,
)
from common.analyses.outcome import complete
from common.analyses.plain import floats
from common.analyses.principal import Components, find_components, sketch_here, sketch_schema
from common.analyses.publish import SMALLEST_CELL
from common.analyses.spread import (
    centre_of,
    deviations,
    deviations_schema,
    spread_of,
    totals,
    totals_schema,
)
from common.cohort import Column
from common.seeds import numpy_rng
from common.step import Step, expand_patterns
from common.sums import Schema, Sums, count
from common.table import Floats, Table

_MICRO_ROUNDS = 12
_A_MICRO_CLUSTER = 10  # cases at least, on average


class Cluster(Step):
    """Put cases into k groups by their standardised columns.

    k-means (Lloyd, IEEE Trans Inf Theory 28:129, 1982), started at even shares along the
    first principal component, so that nothing is left to chance but k; several k ride
    together. Clusters of fewer than five cases are dissolved into the others. Cluster 1
    lies lowest on the first component. Complete cases only.

    Separation from sums: share of variance explained, Calinski-Harabasz, Davies-Bouldin,
    and the simplified silhouette, (b - a) / max(a, b) by distances to the own and the
    next centre (Hruschka et al., Eur J Oper Res 169:1, 2006).

    Sensitivity: Ward's method on `micro` k-means centres in place of cases, whose exact
    tree would need all distances; its adjusted Rand index with the clusters.

    `against` compares with a column of groups: table, adjusted Rand index, chi-square,
    Fisher's exact test for two by two.

    Rounds: 2 for the scale, 2 for components, 5 to 25 of Lloyd, 1 for comparisons.
    Message: (sum of k + micro) (p + 1) reals a round. Only in masked sums of several
    sites: two rounds differ by the cases that changed cluster.
    """

    only_masked: ClassVar[bool] = True
    answers_alone: ClassVar[bool] = False

    kind: Literal["cluster"] = "cluster"
    of: tuple[str, ...] = Field(min_length=1, description="columns of numbers")
    k: tuple[Annotated[int, Field(ge=2, le=20)], ...] = Field((2,), min_length=1)
    micro: int = Field(default=20, ge=0, le=50, description="centres for Ward's method; 0: none")
    against: str = Field(default="", description="column of groups to compare with")
    seed: int = Field(default=0, description="of the centres for Ward's method")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, values in (("of", self.of), ("k", self.k)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: expected distinct values, got {list(values)}")
        if self.micro and self.micro <= max(self.k):
            raise ValueError(f"micro: expected more than k, got {self.micro}")
        if self.against in self.of:
            raise ValueError(f'against: "{self.against}" is among the columns to cluster by')
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (*self.of, self.against) if self.against else self.of

    def expand(self, known: tuple[str, ...]) -> "Cluster":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        names = [c for c in expand_patterns(self.of, known) if c != self.against]
        return self.model_copy(update={"of": tuple(names)})

    def produces(self) -> Mapping[str, Column]:
        """Return the cluster of each case, a column for each k."""
        levels = {k: tuple(str(1 + i) for i in range(k)) for k in self.k}
        return {self._name(k): Column(type="category", levels=levels[k]) for k in self.k}

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: scale, sketch, Lloyd's sums, comparisons."""
        sizes = {"n": count(), "n_patients": count()}
        if ask.phase == "totals":
            return {"n_cases": count(), **sizes, **totals_schema(1, len(self.of))}
        if ask.phase == "deviations":
            return deviations_schema(1, len(self.of))
        if ask.phase == "sketch":
            return {**sizes, **sketch_schema(ask)}
        if ask.phase == "lloyd":
            return {**sizes, **lloyd_schema(ask)}
        n_levels = len(levels_of(self.against, contract)) if self.against else 0
        return {**sizes, **compare_schema(ask, n_levels)}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        here = complete(table, self.of)
        x, nobody = here.matrix(self.of), np.zeros(here.n, np.int64)
        sizes = {"n": np.array(here.n), "n_patients": np.array(here.n_patients)}
        if ask.phase == "totals":
            return {"n_cases": np.array(table.n), **sizes, **totals(x, nobody, 1)}
        centre = floats(ask.arrays["centre"])
        if ask.phase == "deviations":
            return deviations(x, nobody, centre, floats(ask.arrays["scale"]))
        z = (x - centre) / floats(ask.arrays["unit"])
        if ask.phase == "sketch":
            return {**sizes, **sketch_here(ask, [z])}
        if ask.phase == "lloyd":
            return {**sizes, **lloyd_here(ask, [z] * len(ask.arrays["problems"]))}
        codes = level_codes(here, self.against) if self.against else nobody
        n_levels = len(levels_of(self.against, here.contract)) if self.against else 0
        return {**sizes, **compare_here(ask, z, codes, n_levels)}

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for scale and components, run all k and the micro-clusters, compare."""
        check_numbers(self.of, contract)
        if self.against:
            levels_of(self.against, contract)
        first = yield Ask("totals")
        n = int(first["n"])
        if n < 2 * SMALLEST_CELL:
            return without_clusters(first, "fewer than ten complete cases")
        arrays = centre_of(first)
        total = yield Ask("deviations", {}, arrays)
        spread = spread_of(arrays["centre"], arrays["scale"], total)
        sd = np.sqrt(spread.squares[0] / n)
        if not (sd > 0).any():
            return without_clusters(first, "all columns are constant")
        sent = {"centre": spread.mean[0], "unit": np.where(sd > 0, sd, 1.0)}
        components = yield from find_components(np.array([n]), len(self.of), self.seed, sent)
        found = yield from self._run(n, int((sd > 0).sum()), components, sent)
        compared = yield Ask("compare", {}, {**sent, **found.arrays()})
        return answer_of(self, found, first, compared, sent, contract)

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return the cluster of each case; NaN where a column is missing."""
        made = {name: np.full(table.n, np.nan) for name in self.produces()}
        if "centres" not in answer.arrays:
            return made
        x = table.matrix(self.of)
        there = ~np.isnan(x).any(axis=1)
        z = (x[there] - floats(answer.arrays["centre"])) / floats(answer.arrays["unit"])
        centres, alive = floats(answer.arrays["centres"]), answer.arrays["alive"] > 0
        for i, k in enumerate(self.k):
            made[self._name(k)][there] = nearest(z, centres[i], alive[i])[0]
        return made

    def _name(self, k: int) -> str:
        return "cluster" if len(self.k) == 1 else f"cluster_{k}"

    def _run(
        self, n: int, n_varying: int, components: Components, sent: Mapping[str, Floats]
    ) -> Generator[Ask, Sums, Found]:
        from scipy.special import ndtri

        direction, micro = components.directions[0], min(self.micro, n // _A_MICRO_CLUSTER)
        sizes = [*self.k, *([micro] if micro > max(self.k) else [])]
        start = np.zeros((len(sizes), max(sizes), len(self.of)))
        spread = direction * np.sqrt(components.variances[0])
        for i, k in enumerate(self.k):
            along = ndtri((np.arange(k) + 0.5) / k)
            start[i, :k] = along[:, None] * spread[:, 0]
        if len(sizes) > len(self.k):
            draws = numpy_rng(self.seed, "micro").standard_normal((micro, spread.shape[1]))
            start[-1, :micro] = draws @ spread.T
        alive = np.arange(max(sizes)) < np.array(sizes)[:, None]
        most = np.full(len(sizes), MOST_ROUNDS)
        most[len(self.k) :] = _MICRO_ROUNDS
        clusters = yield from climb_down(start, alive, SMALLEST_CELL, most, sent)
        return ordered(clusters, len(self.k), direction[:, 0], total=float(n * n_varying))
