"""Whether totals over some selections, put together, are a total over others.

Sums over women and over men are together those of everybody. So a step over all sites and two
over the developing ones tell of the external sites, though no two of the three select the same
cases. What can be put together are the combinations of the selections, as rows of 1 and 0 over
the cases: two families of selections have a total in common where their spans meet.

What a study's text alone shows is judged on made-up cases that have every level, split and fold
in every mixture: what is equal there is equal at every site.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from common.analyses.newton import Bools, Ints
from common.cohort import SPLITS
from common.crossing import crossing, level_values
from common.step import Cases
from common.study import Study

_N_CASES = 2000
_MOST_CROSSED = 8  # categories of one step whose levels are crossed two by two


def meet_anew(new: Sequence[Bools], mine: Sequence[Bools], others: Sequence[Bools]) -> bool:
    """Tell whether with the new selections among mine more totals of mine are totals of others.

    Args:
        new: selections, each of shape (n,).
        mine: those before it, over the same sites.
        others: over other sites.
    """
    return _n_shared([*mine, *new], others) > _n_shared(mine, others)


def _n_shared(some: Sequence[Bools], others: Sequence[Bools]) -> int:
    return _rank(some) + _rank(others) - _rank([*some, *others])


def _rank(rows: Sequence[Bools]) -> int:
    if not rows:
        return 0
    kinds = np.unique(np.array(rows), axis=1)  # cases in the same selections are alike
    return int(np.linalg.matrix_rank(kinds.astype(np.float64)))


@dataclass(frozen=True)
class AnyCases:
    """Made-up cases in every mixture of the levels, splits and folds of a study.

    Attributes:
        study: whose text is looked at.
    """

    study: Study

    def told(self, name: str) -> list[Bools]:
        """Return the rows a step tells of: its selection, and those in each level it crosses.

        Levels are crossed two by two as well, as strata and groups are.
        """
        step, contract = self.study.bound[name], self.study.contract()
        columns = crossing(step, contract)
        parts = {c: self._levels(c, len(level_values(c, contract))) for c in columns}
        pairs = combinations(columns, 2) if len(columns) <= _MOST_CROSSED else ()
        told = [part for of in parts.values() for part in of]
        told += [a & b for one, other in pairs for a in parts[one] for b in parts[other]]
        inside = self._select(step.cases)
        return [inside, *(inside & part for part in told)]

    def _select(self, wanted: Cases) -> Bools:
        split = _drawn("split", len(SPLITS))
        rows = np.isin(split, [SPLITS.index(name) for name in wanted.split])
        for column, levels in wanted.where.items():
            known = self.study.cohort.columns[column].levels
            rows &= np.isin(_drawn(column, len(known)), [known.index(level) for level in levels])
        if wanted.outside is not None:
            fold, n_folds = wanted.outside
            rows &= _drawn(f"fold of {n_folds}", n_folds) != fold
        return rows

    def _levels(self, column: str, n_levels: int) -> list[Bools]:
        drawn = _drawn(column, n_levels)
        return [drawn == level for level in range(n_levels)]


@lru_cache(maxsize=256)
def _drawn(name: str, n: int) -> Ints:
    """Return one of n for each made-up case, the same for a name at any time."""
    return np.random.default_rng([*name.encode()]).integers(0, n, _N_CASES)
