"""What an analysis is: both halves of one statistic, which meet in a schema.

`solve` runs at the coordinator and reads like the textbook: `total = yield ask`.
`summarise` runs at a site and turns its rows into sums. Between them lies whatever
carries asks and adds sums; an analysis never knows how many sites there are.
"""

import hashlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np

from common.cohort import Column
from common.sums import Array, Schema, Sums
from common.table import Floats, Table

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True)
class Ask:
    """One question to all sites of a group.

    Attributes:
        phase: which of the analysis's questions it is.
        values: plain parameters, such as {"round": 3}.
        arrays: numeric parameters, such as the current coefficients.
        state: what the coordinator needs to begin again at this ask instead of at
            the first one; kept in a checkpoint, never sent.
        chosen: columns that earlier steps have chosen and this one reads, by
            "<step>.<list>"; the site takes only names its study could have chosen.
    """

    phase: str
    values: Mapping[str, Json] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    state: "State | None" = None
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def digest(self) -> str:
        """Return the sha256 of phase, values, arrays and choices."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        words = [self.phase, self.values, *([self.chosen] if self.chosen else ())]
        sha = hashlib.sha256(json.dumps(words, sort_keys=True).encode())
        for name, array in sorted(self.arrays.items()):
            a = np.ascontiguousarray(array)
            sha.update(json.dumps([name, a.dtype.str, a.shape]).encode())
            sha.update(a.data)
        return sha.hexdigest()


@dataclass(frozen=True)
class State:
    """A point from which a long computation can go on: numbers and arrays."""

    values: Mapping[str, Json] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """How a step ends: numbers with names, and arrays such as a network's weights."""

    values: Mapping[str, Json]
    arrays: Mapping[str, Array] = field(default_factory=dict)


Solve: TypeAlias = Generator[Ask, Sums, Answer]


class Analysis(Protocol):
    """A statistic as a step of a study; its fields are the study file's parameters.

    An instance is bound to a contract before use, so that shapes are known: see
    `common.study.Study`.
    """

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads, in the order it reads them."""

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return what one site sends for this ask."""

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Turn a site's own rows into sums."""

    def solve(self, contract: Mapping[str, Column], *, alone: bool = False) -> Solve:
        """Ask, add up, conclude.

        Args:
            contract: type, range and levels of every column it may read.
            alone: the group is a single site, whose sums go out in clear: fields that
                may only leave in a masked sum will be refused there.
        """


class Following(Protocol):
    """An analysis that starts from an earlier step's answer, such as a chosen threshold."""

    def needs(self) -> tuple[str, ...]:
        """Return the steps whose answers it starts from."""

    def given(self, answers: Mapping[str, Answer]) -> "Following":
        """Return itself with those answers, by step; called before `solve`."""


class Producing(Protocol):
    """An analysis whose answer becomes columns: a score, a cluster, harmonised features.

    Once the answer stands, every site of the study, external ones too, is asked to apply
    it to its own rows; it keeps the columns and releases only their counts.
    """

    def produces(self) -> Mapping[str, Column]:
        """Return the new columns; the table names them `<step>.<column>`."""

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return the new columns, each of shape (n,), NaN where they cannot be had."""


APPLY = "apply"
"""The phase of the ask that turns an answer into columns."""
