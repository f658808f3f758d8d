"""How columns are distributed at each site, from histograms with noise, and how far apart."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.plain import floats
from common.cohort import Column
from common.seeds import numpy_rng
from common.step import Over, Step, expand_patterns
from common.sums import Field as SumField
from common.sums import Schema, Sums, count
from common.table import Floats, Table

Contract = Mapping[str, Column]

_ENDS_SD = 2.5  # beyond the last edges, in standard deviations from the mean of all sites
_MOST_COLUMNS = 100


class SiteShapes(Step):
    """Histograms of each site alone, with noise that hides every patient.

    Bins are of equal width in standard deviations, around mean and SD over all
    developing sites (`scale`, a step of kind `moments` over development). To each count a
    site adds two-sided geometric noise of parameter exp(-epsilon / 2) (Ghosh,
    Roughgarden, Sundararajan, SIAM J Comput 41:1673, 2012): one patient moves between
    two bins of a column, so a column is epsilon-differentially private for patients with
    one case; over c columns the privacy spent adds up to at most c times epsilon. The
    noise is drawn from the machine's own entropy, so this step's last digits differ from
    run to run. It goes out in clear: each site's policy must allow per-site answers.

    Rounds: 1.
    """

    kind: Literal["site_shapes"] = "site_shapes"
    of: tuple[str, ...] = Field(min_length=1, description="columns of numbers, at most 100")
    scale: str = Field(description="the step of kind moments with these columns")
    bins: int = Field(10, ge=4, le=40)
    epsilon: float = Field(1.0, gt=0, le=20, description="privacy of one column")
    over: tuple[Over, ...] = ("each",)

    @property
    def most_epsilon(self) -> float:
        """The sum of epsilon over its columns: what a policy counts."""
        return self.epsilon * len(self.of)

    def needs(self) -> tuple[str, ...]:
        """Return the step that says mean and SD."""
        return (self.scale,)

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return self.of

    def expand(self, known: tuple[str, ...]) -> "SiteShapes":
        """Return the step with patterns spelled out, every k-th column where there are many."""
        of = expand_patterns(self.of, known)
        every = -(-len(of) // _MOST_COLUMNS)
        return self.model_copy(update={"of": of[::every]})

    def given(self, answers: Mapping[str, Answer]) -> "Scaled":
        """Return the step with the mean and SD of its columns."""
        found: Any = answers[self.scale].values.get("columns", {})
        lacks = [name for name in self.of if name not in found]
        if lacks:
            raise ValueError(f'step "{self.scale}" has no mean of {lacks[:5]}')
        return Scaled(self, {name: found[name] for name in self.of})

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return the counts with noise."""
        del ask, contract
        noisy = SumField((len(self.of), self.bins), 2.0**31, "count", "")
        return {"n": count(), "counts": noisy}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's counts, with noise."""
        edges = floats(ask.arrays["edges"])
        values = table.matrix(self.of)
        counts = np.zeros((len(self.of), self.bins), np.int64)
        for j, inner in enumerate(edges):
            there = values[~np.isnan(values[:, j]), j]
            counts[j] = np.bincount(np.searchsorted(inner, there), minlength=self.bins)
        return {"n": np.array(table.n), "counts": counts + noise(counts.shape, self.epsilon)}


class Scaled:
    """The coordinator's half, which knows where the bins lie."""

    def __init__(self, step: SiteShapes, found: Mapping[str, Any]) -> None:
        self.step, self.found = step, found

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask once."""
        del contract, alone
        steps = np.linspace(-_ENDS_SD, _ENDS_SD, self.step.bins - 1)
        mean = np.array([of["mean"] or 0.0 for of in self.found.values()], float)
        sd = np.array([of["sd"] or 1.0 for of in self.found.values()], float)
        edges = mean[:, None] + sd[:, None] * steps
        total = yield Ask("shapes", {}, {"edges": edges})
        counts = np.asarray(total["counts"], np.int64)
        columns: dict[str, Json] = {
            name: [int(n) for n in row] for name, row in zip(self.found, counts, strict=True)
        }
        values: dict[str, Json] = {"n": int(total["n"]), "epsilon": self.step.epsilon}
        return Answer({**values, "columns": columns})


class SiteDistances(Step):
    """How far the sites' distributions lie apart, before anything is modelled on them.

    The distance of two sites is the earth mover's distance of a column's histograms, in
    standard deviations over all sites, mean over columns. `by_chance` is what two sites
    of these sizes with one distribution, and the same noise, would show on average: about
    that much is nothing.

    Rounds: 0.
    """

    kind: Literal["site_distances"] = "site_distances"
    of: str = Field(description="a step of kind site_shapes")

    def needs(self) -> tuple[str, ...]:
        """Return the step with the histograms."""
        return (self.of,)

    def given_parts(self, answers: Mapping[str, Mapping[str, Answer]]) -> "Compared":
        """Return the step with the histograms of each site."""
        return Compared({p: a.values for p, a in answers[self.of].items() if p.startswith("site.")})

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return nothing: nobody is asked."""
        del ask, contract
        return {}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return nothing."""
        del table, ask
        return {}


class Compared:
    """The coordinator's half: histograms in, distances out."""

    def __init__(self, shapes: Mapping[str, Mapping[str, Any]]) -> None:
        self.shapes = {part.removeprefix("site."): values for part, values in shapes.items()}

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Compare without asking anybody."""
        del contract, alone
        yield from ()
        names = sorted(self.shapes)
        if len(names) < 2:
            raise ValueError("fewer than two sites allow answers of their own")
        counts = {name: _array(self.shapes[name]) for name in names}
        epsilon = float(self.shapes[names[0]]["epsilon"])
        apart = {name: {o: distances(counts[name], counts[o]) for o in names} for name in names}
        pooled = np.maximum(sum(counts.values()), 0)
        pairs: list[Json] = [
            {
                "a": a,
                "b": b,
                "distance": float(np.mean(apart[a][b])),
                "by_chance": by_chance(pooled, (_size(counts[a]), _size(counts[b])), epsilon),
            }
            for i, a in enumerate(names)
            for b in names[i + 1 :]
        ]
        columns = [*self.shapes[names[0]]["columns"]]
        return Answer(
            {"n_columns": len(columns), "pairs": pairs, "farthest": _worst(columns, apart)}
        )


def noise(shape: tuple[int, ...], epsilon: float) -> NDArray[np.int64]:
    """Return two-sided geometric noise for counts of which a patient changes two by one."""
    rng = np.random.default_rng(secrets.randbits(128))
    stop = 1.0 - np.exp(-epsilon / 2)
    return np.asarray(rng.geometric(stop, shape) - rng.geometric(stop, shape), np.int64)


def distances(a: NDArray[np.int64], b: NDArray[np.int64]) -> Floats:
    """Return the earth mover's distance of each row's histograms, in SD of all sites."""
    width = 2 * _ENDS_SD / (a.shape[1] - 2)
    cumulated = np.cumsum(_shares(a), axis=1) - np.cumsum(_shares(b), axis=1)
    return np.asarray(np.abs(cumulated).sum(axis=1) * width, np.float64)


def by_chance(pooled: NDArray[np.int64], sizes: tuple[int, int], epsilon: float) -> float:
    """Return the mean distance of two samples of one distribution, with noise."""
    rng = numpy_rng("site distances")
    found = []
    for _ in range(20):
        a, b = (
            np.stack([rng.multinomial(n, share) for share in _shares(pooled)])
            + noise(pooled.shape, epsilon)
            for n in sizes
        )
        found.append(float(distances(a, b).mean()))
    return float(np.mean(found))


def _shares(counts: NDArray[np.int64]) -> Floats:
    """Return each row as shares; what noise has made negative is nobody."""
    positive = np.maximum(counts, 0).astype(np.float64)
    total = positive.sum(axis=1, keepdims=True)
    return np.where(total > 0, positive / np.where(total > 0, total, 1), 1 / counts.shape[1])


def _array(values: Mapping[str, Any]) -> NDArray[np.int64]:
    return np.array([*values["columns"].values()], np.int64)


def _size(counts: NDArray[np.int64]) -> int:
    return max(1, int(np.median(counts.sum(axis=1))))


def _worst(columns: Sequence[str], apart: Mapping[str, Mapping[str, Floats]]) -> Json:
    """Return the ten columns whose sites lie farthest apart."""
    largest = np.max([row for of in apart.values() for row in of.values()], axis=0)
    order = np.argsort(-largest)[:10]
    return {columns[i]: float(largest[i]) for i in order}
