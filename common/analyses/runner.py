"""Run an analysis on tables in memory: the law "federated = pooled" without a network.

The sums go through the same encoding and addition as in a deployment, so that a test
here is a test of the arithmetic there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from common.analyses.analysis import Analysis, Answer, Ask
from common.analyses.publish import without_few
from common.privacy.encoding import add_into, decode, encode
from common.sums import Sums, conform
from common.table import Table


@dataclass
class Cost:
    """What an analysis cost: rounds, and bytes one site sent."""

    rounds: int = 0
    bytes_up: int = 0


Exchange: TypeAlias = Callable[[Analysis, Sequence[Table], Ask, Cost], Sums]
"""Poses an ask to the sites that hold these tables and returns the total."""


def exchange(analysis: Analysis, tables: Sequence[Table], ask: Ask, cost: Cost) -> Sums:
    """Return the total of an ask, through the encoding that the wire has."""
    schema = analysis.schema(ask, tables[0].contract)
    parts = []
    for table in tables:
        sums = analysis.summarise(table, ask)
        conform(sums, schema)
        parts.append(encode(sums, schema))
    total = parts[0]
    for part in parts[1:]:
        add_into(total, part, schema)
    cost.rounds += 1
    cost.bytes_up += total.nbytes
    return decode(total, schema)


def run(
    analysis: Analysis,
    tables: Sequence[Table],
    *,
    alone: bool = False,
    cost: Cost | None = None,
    by: Exchange = exchange,
) -> Answer:
    """Return the answer of an analysis over sites that hold these tables.

    Args:
        analysis: what to compute.
        tables: one a site; all follow one contract.
        alone: run as for a single site whose sums go out in clear.
        cost: is filled in where given.
        by: how a round goes; a benchmark puts in masks and a clock.

    Raises:
        Refused: a site's sums are not what the schema declares.
    """
    cost = Cost() if cost is None else cost
    solving = analysis.solve(tables[0].contract, alone=alone)
    try:
        ask = next(solving)
        while True:
            ask = solving.send(by(analysis, tables, ask, cost))
    except StopIteration as stop:
        answer: Answer = stop.value
        return without_few(answer)
