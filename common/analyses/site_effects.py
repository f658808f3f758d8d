"""Formulas that would tell which site a case is of.

ComBat shifts and scales a feature by numbers of the site's own. A formula of the feature
and of what ComBat made of it is left with these numbers: the same for all cases of a site,
and a cut-off of it is that site (x less cb.x, where only means are harmonised).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from common.analyses.combat import Combat
from common.step import Step

Origins = Mapping[str, frozenset[str]]
"""By column that was measured: the ways it came, "" as it is, or the harmonised column."""


def shown_by(made: Mapping[str, Any], steps: Mapping[str, Step]) -> Iterator[str]:
    """Yield formulas that read a column in two ways, one of them harmonised.

    Args:
        made: the formulas by the column they make, in order.
        steps: those before them, by name.
    """
    for name, origins in _of_formulas(made, steps).items():
        for measured, ways in origins.items():
            if len(ways) > 1:
                found = " and ".join(f'"{way or measured}"' for way in sorted(ways))
                yield f"{name}: of {found}: what ComBat took off is the same for a whole site"


def _origins(column: str, steps: Mapping[str, Step], here: Mapping[str, Origins]) -> Origins:
    if column in here:
        return here[column]
    maker, _, rest = column.partition(".")
    step = steps.get(maker)
    if isinstance(step, Combat):
        of = [c for c in step.of if rest == c or rest.endswith(f".{c}")]
        return {c: frozenset([column]) for source in of for c in _origins(source, steps, {})}
    if getattr(step, "kind", "") == "standardise":
        return _origins(rest, steps, {})
    formulas: Mapping[str, Any] = getattr(step, "make", {})
    return _of_formulas(formulas, steps).get(rest, {column: frozenset([""])})


def _of_formulas(formulas: Mapping[str, Any], steps: Mapping[str, Step]) -> dict[str, Origins]:
    """Return where every made column comes from; each reads those above it."""
    here: dict[str, Origins] = {}
    for name, formula in formulas.items():
        here[name] = _joined([_origins(column, steps, here) for column in formula.reads()])
    return here


def _joined(many: list[Origins]) -> Origins:
    names = dict.fromkeys(name for one in many for name in one)
    empty: frozenset[str] = frozenset()
    return {name: empty.union(*(one.get(name, empty) for one in many)) for name in names}
