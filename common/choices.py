"""Columns that a step chooses and later steps read: `of: ["@reproducible.selected"]`.

Which columns a choice may name is known from the study file: its candidates. Before the
choosing step has ended a reference stands for all of them, so every shape, name and rule
can be checked beforehand; later an ask carries the names that were chosen, and a site
takes only names that are among the candidates of its own copy of the study.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from common.analyses.analysis import Answer
from common.step import Step

Choices = Mapping[str, tuple[str, ...]]
"""Columns by what chose them, "<step>.<list>" such as "reproducible.selected"."""

MARK = "@"
S = TypeVar("S", bound=Step)


class NotAChoice(ValueError):
    """Names that the study's step could not have chosen, or none at all."""


def candidates(name: str, step: Step) -> dict[str, tuple[str, ...]]:
    """Return the columns a step may choose among, by its lists."""
    return {f"{name}.{key}": columns for key, columns in step.chooses().items()}


def chosen_in(name: str, step: Step, answer: Answer) -> dict[str, tuple[str, ...]]:
    """Return what a step's answer chose, in the order of the candidates."""
    found = {}
    for key, columns in step.chooses().items():
        named = answer.values.get(key)
        names = set(named) if isinstance(named, list) else set()
        found[f"{name}.{key}"] = tuple(c for c in columns if c in names)
    return found


def allowed(at: str, wanted: tuple[str, ...], among: tuple[str, ...]) -> tuple[str, ...]:
    """Return a choice in the order of its candidates.

    Raises:
        NotAChoice: it names others, or none.
    """
    strange = sorted(set(wanted) - set(among))
    if strange:
        raise NotAChoice(f"{MARK}{at}: not among what the step can choose: {strange[:5]}")
    if not wanted:
        raise NotAChoice(f"{MARK}{at} chose no column")
    return tuple(c for c in among if c in set(wanted))


def spelled_out(step: S, choices: Choices) -> S:
    """Return a step with every reference replaced by the columns chosen."""
    update = {}
    for name in type(step).model_fields:
        value = getattr(step, name)
        spelled = _spelled(value, choices)
        if spelled != value:
            update[name] = spelled
    return step.model_copy(update=update) if update else step


def references(step: Step) -> tuple[str, ...]:
    """Return what a step refers to, as "<step>.<list>", each once."""
    found: dict[str, None] = {}
    for name in type(step).model_fields:
        found |= dict.fromkeys(_marked(getattr(step, name)))
    return tuple(found)


def _spelled(value: Any, choices: Choices) -> Any:
    if isinstance(value, dict):
        return {key: _spelled(of, choices) for key, of in value.items()}
    if not isinstance(value, tuple):
        return value
    out: list[Any] = []
    for item in value:
        chosen = choices.get(item[1:]) if _is_mark(item) else None
        if chosen is None:
            out.append(_spelled(item, choices))
        else:
            out += [name for name in chosen if name not in out]
    return tuple(out)


def _marked(value: Any) -> Iterator[str]:
    if not isinstance(value, tuple | dict):
        return
    for item in value.values() if isinstance(value, dict) else value:
        if _is_mark(item):
            yield item[1:]
        else:
            yield from _marked(item)


def _is_mark(item: Any) -> bool:
    return isinstance(item, str) and item.startswith(MARK)
