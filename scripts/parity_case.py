"""One analysis beside its outside reference, and how far two answers lie apart."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.analyses.analysis import Analysis, Answer
from common.analyses.runner import Cost, run
from common.table import Table

SMALL = 1e-8  # numbers below this are compared to it, not to themselves
Pairs = Iterable[tuple[Any, Any]]


@dataclass(frozen=True)
class Case:
    """What is computed, and by whom else.

    Attributes:
        name: the kind, with a word where a kind has several cases.
        step: the analysis.
        tables: one a site.
        reference: the library that computes the same.
        pairs: our numbers beside the reference's, from our answer; lists of numbers too.
        pooled: step and table of which one site must give the same; None where the answer
            is of the sites themselves.
        without: numbers whose name holds this are of another estimand over one site.
    """

    name: str
    step: Analysis
    tables: list[Table]
    reference: str
    pairs: Callable[[Answer], Pairs]
    pooled: tuple[Analysis, Table] | None
    without: str = "not a name"

    @property
    def kind(self) -> str:
        """The kind it is a case of."""
        return self.name.split()[0]


@dataclass(frozen=True)
class Result:
    """How a case came out.

    Attributes:
        reference: largest relative difference from the reference.
        pooled: largest one from one site that has all rows; None where there is none.
        same_bits: whether sites in the other order give the same bits.
        n: numbers compared with the reference.
        mode: what the answer says of itself: exact, binned, or both; "-" where it says nothing.
    """

    reference: float
    pooled: float | None
    same_bits: bool
    n: int
    mode: str
    cost: Cost


def measure(case: Case) -> Result:
    """Return how far the answer of a case lies from the reference and the pooled one."""
    cost = Cost()
    found = run(case.step, case.tables, cost=cost)
    compared = [(a, b) for one, other in case.pairs(found) for a, b in _each(one, other)]
    pooled = None
    if case.pooled:
        step, table = case.pooled
        pooled = _apart(found.values, run(step, [table]).values, case.without)
    back = run(case.step, case.tables[::-1])
    same = back.values == found.values and all(
        np.array_equal(a, back.arrays[k], equal_nan=True) for k, a in found.arrays.items()
    )
    modes = {value for path, value in _leaves(found.values, "", case.without) if _is_mode(path)}
    mode = ", ".join(sorted(map(str, modes))) or "-"
    worst = max((off(a, b) for a, b in compared), default=0.0)
    return Result(worst, pooled, same, len(compared), mode, cost)


def _is_mode(path: str) -> bool:
    return path.rpartition(".")[2] == "mode"


def off(found: float | None, expected: float | None) -> float:
    """Return the relative difference of two numbers; infinity where only one is there."""
    if found is None or expected is None:
        return 0.0 if found is expected else float("inf")
    if found == expected or (np.isnan(found) and np.isnan(expected)):
        return 0.0
    return abs(found - expected) / max(abs(found), abs(expected), SMALL)


def _each(found: Any, expected: Any) -> Iterator[tuple[float, float]]:
    if found is None or expected is None:
        yield found, expected
        return
    one, other = np.broadcast_arrays(np.asarray(found, float), np.asarray(expected, float))
    yield from zip(one.ravel().tolist(), other.ravel().tolist(), strict=True)


def _apart(found: Any, expected: Any, without: str) -> float:
    mine, theirs = (dict(_leaves(answer, "", without)) for answer in (found, expected))
    if mine.keys() != theirs.keys():
        return float("inf")
    return max((_differ(mine[path], theirs[path]) for path in mine), default=0.0)


def _differ(found: Any, expected: Any) -> float:
    if isinstance(found, float) and isinstance(expected, float):
        return off(found, expected)
    return 0.0 if found == expected else float("inf")


def _leaves(value: Any, path: str, without: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            if without not in key:
                yield from _leaves(part, f"{path}.{key}", without)
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from _leaves(part, f"{path}[{i}]", without)
    else:
        yield path, value
