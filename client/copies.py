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
_ALIKE = 1 - 1e-4
"""Correlation from which on two are one number: rounded to a tenth, a volume has more."""


def copies_among(
    site: Site, study: Study, run: str, cases: Sequence[Case], steps: Iterable[str]
) -> dict[str, str]:
    """Return, of the columns that steps sum, the first of its copies for each that has one."""
    columns = sorted({column for step in steps for column in study.summed(step)})
    return first_of_copies(
        make_table(Source(site, study, run), cases, columns, alone=False).columns
    )


def first_of_copies(columns: Mapping[str, Floats]) -> dict[str, str]:
    """Return for each column the first of which it is a multiple, shifted or not, or rounded.

    Args:
        columns: values by name, NaN where missing.
    """
    found: dict[str, str] = {}
    leaders, names = np.zeros((0, 0)), list[str]()
    for name, values in columns.items():
        z = _standardised(values)
        if z is None:
            continue
        alike = np.flatnonzero(np.abs(leaders @ z) > _ALIKE) if names else np.zeros(0, np.int64)
        if alike.size:
            found[name] = names[int(alike[0])]
            continue
        found[name] = name
        names.append(name)
        leaders = np.vstack([leaders, z]) if leaders.size else z[None]
    return found


def _standardised(values: Floats) -> Floats | None:
    """Return a column of mean 0 and length 1, 0 where missing; None of one that says nothing."""
    there = ~np.isnan(values)
    if np.count_nonzero(there) < _FEWEST:
        return None
    off: Floats = np.where(there, values - values[there].mean(), 0.0)
    largest = np.abs(off).max()
    if largest <= np.finfo(np.float64).eps * np.abs(values[there]).max():
        return None
    off = off / largest
    return off / np.linalg.norm(off)
