"""Run an analysis on tables in memory: the law "federated = pooled" without a network.

The sums go through the same encoding and addition as in a deployment, so that a test
here is a test of the arithmetic there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from common.analyses.analysis import Analysis, Answer, Ask
from common.privacy.encoding import add_into, decode, encode
from common.sums import Sums, conform
from common.table import Table


@dataclass
class Cost:
    """What an analysis cost: rounds, and bytes one site sent."""

    rounds: int = 0
    bytes_up: int = 0


def run(
    analysis: Analysis,
    tables: Sequence[Table],
    *,
    alone: bool = False,
    cost: Cost | None = None,
) -> Answer:
    """Return the answer of an analysis over sites that hold these tables.

    Args:
        analysis: what to compute.
        tables: one a site; all follow one contract.
        alone: run as for a single site whose sums go out in clear.
        cost: is filled in where given.

    Raises:
        Refused: a site's sums are not what the schema declares.
    """
    cost = Cost() if cost is None else cost
    solving = analysis.solve(tables[0].contract, alone=alone)
    try:
        ask = next(solving)
        while True:
            ask = solving.send(_total(analysis, tables, ask, cost))
    except StopIteration as stop:
        answer: Answer = stop.value
        return answer


def _total(analysis: Analysis, tables: Sequence[Table], ask: Ask, cost: Cost) -> Sums:
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
