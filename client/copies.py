"""Columns that are one number in two units: a sum of one is a sum of the other.

Millilitres and cubic millimetres, or two features of which one is twice the other: only a
site's own values show it. So where rules ask whether two steps sum the same column (R1),
copies count as one. A column that is put together of several others is not looked for.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from client.cases import Case
from client.site import Site
from client.tables import Source, make_table
from common.study import Study
from common.table import Floats

_FEWEST = 5  # values; of fewer every column is another's copy
_DIGITS = 6


def copies_among(
    site: Site, study: Study, run: str, cases: Sequence[Case], steps: Iterable[str]
) -> dict[str, str]:
    """Return, of the columns that steps sum, the first of its copies for each that has one."""
    columns = sorted({column for step in steps for column in study.summed(step)})
    return first_of_copies(
        make_table(Source(site, study, run), cases, columns, alone=False).columns
    )


def first_of_copies(columns: Mapping[str, Floats]) -> dict[str, str]:
    """Return for each column the first that is a multiple of it, shifted or not.

    Args:
        columns: values by name, NaN where missing.
    """
    first: dict[bytes, str] = {}
    found: dict[str, str] = {}
    for name, values in columns.items():
        key = _key(values)
        if key:
            found[name] = first.setdefault(key, name)
    return found


def _key(values: Floats) -> bytes:
    """Return what is the same of all copies of a column, nothing of one that says nothing."""
    there = ~np.isnan(values)
    known = values[there]
    if known.size < _FEWEST or np.ptp(known) == 0:
        return b""
    off = (known - known.mean()) / known.std()
    away = np.flatnonzero(np.abs(off) > 0.1)[0]  # the sign of what is hardly off is rounding
    turned = np.round(off * np.sign(off[away]), _DIGITS) + 0.0
    return bytes(there.tobytes() + turned.tobytes())
