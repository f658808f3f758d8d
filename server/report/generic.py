"""Tables of any answer, for kinds of step that have no page of their own."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from server.report.blocks import Block, Heading, Items, Row, Table
from server.report.numbers import (
    NONE,
    TIMES,
    estimate,
    fixed,
    is_number,
    p_value,
    plural,
    significant,
    whole,
)
from server.report.view import StepView

MOST_ROWS = 60
_LONG = 8
_ESTIMATES = ("odds_ratio", "hazard_ratio", "estimate", "value", "difference")
_DEPTH = 6


def generic_blocks(view: StepView) -> Iterator[Block]:
    """Return tables of every part of an answer."""
    for part, values in view.parts.items():
        if len(view.parts) > 1:
            yield Heading(view.title(part))
        yield from _of(view, values, view.name.replace("_", " "), 0)


def scalar(key: str, value: Any) -> str:
    """Return one entry of an answer as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return NONE
    if is_number(value):
        if key == "p" or key.startswith("p_"):
            return p_value(value)
        return whole(value) if isinstance(value, int) else significant(value)
    if isinstance(value, dict) and _is_estimate(value):
        found = dict(value)
        name = next(name for name in _ESTIMATES if name in found)
        return estimate(found, name, _decimals(found.get(name)))
    if isinstance(value, list):
        return _listed(key, value)
    return str(value)


def _of(view: StepView, values: Mapping[str, Any], caption: str, depth: int) -> Iterator[Block]:
    plain = {k: v for k, v in values.items() if _is_plain(v)}
    if plain:
        entries = tuple((_named(view, k), scalar(k, v)) for k, v in plain.items())
        lines = tuple(Row(name, (text,)) for name, text in entries)
        yield Table(caption, ("", ""), lines) if depth else Items(entries)
    for key, value in values.items():
        if key in plain:
            continue
        title = f"{caption}: {_named(view, key)}" if depth else _named(view, key)
        title = title[:1].upper() + title[1:]
        rows = _rows(view, value)
        if rows is not None:
            yield _table(view, title, rows)
        elif isinstance(value, dict) and depth < _DEPTH:
            yield from _of(view, value, title, depth + 1)
        elif isinstance(value, list) and depth < _DEPTH:
            for i, entry in enumerate(value[:MOST_ROWS], start=1):
                one = entry if isinstance(entry, dict) else {"values": entry}
                yield from _of(view, one, f"{title} {i}", depth + 1)


def _rows(view: StepView, value: Any) -> list[tuple[str, Mapping[str, Any]]] | None:
    """Return rows where a value is a table already: entries of scalars."""
    if isinstance(value, dict):
        named = [(_named(view, key), entry) for key, entry in value.items()]
    elif isinstance(value, list):
        named = [(str(i), entry) for i, entry in enumerate(value, start=1)]
    else:
        return None
    if not named or not all(_is_row(entry) for _, entry in named):
        return None
    if isinstance(value, list):
        named = [_headed(view, name, entry) for name, entry in named]
    return [(name, _merged(entry)) for name, entry in named]


def _is_row(entry: Any) -> bool:
    return isinstance(entry, dict) and all(_is_plain(v) for v in entry.values())


def _headed(view: StepView, name: str, entry: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return an entry of a list under the names it begins with, such as those of a pair."""
    words = list(takewhile(lambda key: isinstance(entry[key], str), entry))
    if not words:
        return name, entry
    head = ", ".join(_cell(view, key, entry[key]) for key in words)
    return head, {key: value for key, value in entry.items() if key not in words}


def _merged(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row with an estimate and its interval in one cell."""
    name = next((name for name in _ESTIMATES if is_number(entry.get(name))), None)
    if name is None or not {"ci_low", "ci_high"} <= set(entry):
        return entry
    if not _within(entry["ci_low"], entry[name], entry["ci_high"]):
        return entry
    together = {key: entry[key] for key in (name, "ci_low", "ci_high")}
    rest = {k: v for k, v in entry.items() if k not in ("ci_low", "ci_high")}
    return {k: together if k == name else v for k, v in rest.items()}


def _within(low: Any, value: Any, high: Any) -> bool:
    """Return whether an interval is that of a value; else it is of another number."""
    return not (is_number(low) and is_number(high)) or low <= value <= high


def _table(view: StepView, title: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    columns = list(dict.fromkeys(key for _, entry in rows for key in entry))
    shown = rows[:MOST_ROWS]
    body = tuple(
        Row(name, tuple(_cell(view, c, entry[c]) if c in entry else NONE for c in columns))
        for name, entry in shown
    )
    left = len(rows) - len(shown)
    notes = (f"And {plural(left, 'more row')}: see answers.json.",) if left else ()
    return Table(title, ("", *(c.replace("_", " ") for c in columns)), body, notes)


def _cell(view: StepView, key: str, value: Any) -> str:
    is_name = isinstance(value, str) and value in view.study.contract()
    return view.label(value, unit=False) if is_name else scalar(key, value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return _is_estimate(value)
    if isinstance(value, list):
        return not any(isinstance(entry, dict | list) for entry in value)
    return True


def _is_estimate(value: Mapping[str, Any]) -> bool:
    known = {*_ESTIMATES, "ci_low", "ci_high", "se", "low", "high"}
    return any(name in value for name in _ESTIMATES) and set(value) <= known


def _decimals(value: Any) -> int:
    text = significant(value) if is_number(value) else ""
    return len(text.partition(".")[2]) if TIMES not in text else 3


def _listed(key: str, values: Sequence[Any]) -> str:
    if not values:
        return "none"
    if len(values) <= _LONG or not all(is_number(v) for v in values):
        shown = ", ".join(scalar(key, v) for v in values[:MOST_ROWS])
        left = len(values) - MOST_ROWS
        return f"{shown} and {left} more" if left > 0 else shown
    ends = f"{fixed(min(values), 3)} to {fixed(max(values), 3)}"
    return f"{plural(len(values), 'value')}, {ends}"


def _named(view: StepView, key: str) -> str:
    return view.label(key, unit=False)
