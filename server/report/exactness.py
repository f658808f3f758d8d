"""Whether a step's numbers are exact or binned, and within which bound."""

from collections.abc import Iterator, Mapping
from math import ceil, floor, log10
from typing import Any

from server.report.numbers import is_number, significant
from server.report.view import StepView
from server.report.words import listed

_MOST = 6
_OWN_WORDS = ("describe", "histogram", "kaplan_meier", "roc")
"""Their pages say for themselves what is exact in them."""
_OF = {"auc": "its AUC", "statistic": "its statistic"}


def exactness(view: StepView) -> str | None:
    """Return in words how exact a step's numbers are; None where nothing says it."""
    if view.kind in _OWN_WORDS or any(values.get("rounded") for values in view.parts.values()):
        return None
    found = [one for values in view.parts.values() for one in _modes(values, "")]
    binned: dict[str, float] = {}
    for name, values in found:
        if values["mode"] == "binned":
            bound = float(values["bound"]) if is_number(values.get("bound")) else 0.0
            of = _OF.get(str(values.get("bound_of", "")), "")
            key = f"{view.label(name, unit=False) if name else ''}|{of}"
            binned[key] = max(bound, binned.get(key, 0.0))
    if binned:
        return _binned(binned)
    if found and all(values["mode"] == "exact" for _, values in found):
        return "Exact: no value was binned on the way."
    return None


def _binned(binned: Mapping[str, float]) -> str:
    worst = sorted(binned.items(), key=lambda item: -item[1])
    said = []
    for key, bound in worst[:_MOST]:
        name, _, of = key.partition("|")
        what = of if of or name else "each estimate"
        within = f"{what} within ±{_up(bound)}".strip()
        said.append(f"{name} ({within})" if name else within)
    more = f" and {len(worst) - _MOST} more, within less" if len(worst) > _MOST else ""
    text = f"Binned, as values that share a cell of a grid count as ties: {listed(said)}{more}"
    return f"{text} of what the unbinned values would give."


def _modes(values: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every part of an answer that says how exact it is, with its name."""
    if isinstance(values, Mapping):
        if isinstance(values.get("mode"), str):
            yield name, values
        for key, inner in values.items():
            yield from _modes(inner, str(key))
    elif isinstance(values, list):
        for inner in values:
            yield from _modes(inner, name)


def _up(bound: float) -> str:
    """Return a bound, rounded up: rounded down it would not hold."""
    if not bound:
        return "0"
    step = 10.0 ** (floor(log10(bound)) - 1)
    return significant(ceil(bound / step) * step, 2)
