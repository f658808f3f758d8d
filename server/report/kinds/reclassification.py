"""What new models add to an old one: NRI, IDI, and who moved between categories of risk."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from server.report.blocks import Block, Note, Row, Table
from server.report.kinds.roc import counts_words, outcome_words
from server.report.numbers import NONE, fixed, interval, is_number, p_value, share
from server.report.score_names import score_names
from server.report.table_one import HIDDEN
from server.report.view import StepView
from server.report.words import listed

Values = Mapping[str, Any]
_CLASSES = (("events", "of events"), ("non_events", "of the others"))
_INDEX = {"continuous_nri": "Continuous NRI", "categorical_nri": "NRI over categories of risk"}
_INDENT = "\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}"
_GROUPS = {"events": "Events", "non_events": "The others"}


def sentence(view: StepView) -> str:
    """Say which models are held against which."""
    names = score_names(view, (view.step.old, *view.step.new))
    new = listed([names[s] for s in view.step.new])
    text = f"What {new} {'adds' if len(view.step.new) == 1 else 'add'} to {names[view.step.old]}"
    what = "net reclassification (NRI) and integrated discrimination improvement (IDI)"
    return f"{text} for {outcome_words(view)}: {what}."


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part the indices, and a table of categories for each new model."""
    names = score_names(view, (view.step.old, *view.step.new))
    for part, values in view.parts.items():
        models = values.get("models", {})
        if not models:
            yield Note(f"{view.title(part)}: {values.get('note') or 'no answer'}.", "warn")
            continue
        yield _indices(view, part, values, names)
        for name, found in models.items():
            if found.get("table"):
                yield _moved(view, part, found["table"], (names[view.step.old], names[name]))


def _indices(view: StepView, part: str, values: Values, names: Mapping[str, str]) -> Table:
    rows: list[Row] = []
    notes: list[str] = []
    for name, found in values["models"].items():
        rows.append(Row(names[name], form="group"))
        for key, title in _INDEX.items():
            if key == "continuous_nri" or view.step.categories:
                rows += _nri(title, found.get(key))
        idi = found["idi"]
        rows.append(Row("IDI", _cells(idi, 3), "level"))
        for key_, words in _CLASSES:
            mean = (fixed(idi.get(key_), 3), "", "")
            rows.append(Row(f"{_INDENT}mean change {words}", mean, "level"))
        if found.get("note"):
            notes.append(f"{names[name]}: {found['note']}, nor an index that would tell them.")
        if found.get("same"):
            notes.append(f"{names[name]}: {found['same']}.")
    notes += [
        "NRI: of events the share that moved up less the share that moved down, of the others the "
        "reverse, added; it lies between \N{MINUS SIGN}2 and 2. p: of no reclassification.",
        "IDI: mean change of the probability of events less that of the others.",
    ]
    level = f"{100 * view.step.confidence:g} % CI"
    title = f"Against {names[view.step.old]}, {view.title(part)}: {counts_words(values)}"
    return Table(title, ("", "Estimate", level, "p"), tuple(rows), tuple(notes))


def _nri(title: str, found: Any) -> Iterator[Row]:
    if not isinstance(found, dict):
        yield Row(title, (HIDDEN, NONE, NONE), "level")
        return
    yield Row(title, _cells(found, 3), "level")
    for key, words in _CLASSES:
        yield Row(f"{_INDENT}{words}", _cells(found.get(key) or {}, 3), "level")


def _cells(found: Values, decimals: int) -> tuple[str, str, str]:
    ends = NONE
    if is_number(found.get("ci_low")) and is_number(found.get("ci_high")):
        ends = interval(found["ci_low"], found["ci_high"], decimals)
    p = p_value(found["p"]) if "p" in found else ""
    return fixed(found.get("estimate"), decimals), ends, p


def _moved(view: StepView, part: str, table: Values, models: tuple[str, str]) -> Table:
    risks = _risks(view.step.categories)
    rows: list[Row] = []
    for key, group in _GROUPS.items():
        counts: Sequence[Sequence[Any]] = table[key]
        rows.append(Row(group, form="group"))
        for risk, line in zip(risks, counts, strict=True):
            total = sum(line) if all(map(is_number, line)) else None
            cells = (HIDDEN if n is None else share(n, total) for n in line)
            rows.append(Row(risk, tuple(cells), "level"))
    old, new = models
    head = (f"Risk by {old}", *(f"{new}: {risk}" for risk in risks))
    notes = [
        "Cells: n (% of the row). On the diagonal nobody moved; to its right risk is higher by "
        f"{new}."
    ]
    if any(HIDDEN in row.cells for row in rows):
        notes.append("Hidden: fewer than five patients, or what would give such a count away.")
    return Table(f"Categories of risk, {view.title(part)}", head, tuple(rows), tuple(notes))


def _risks(cuts: Sequence[float]) -> list[str]:
    ends = sorted(set(cuts))
    inner = [f"{a:g} to below {b:g}" for a, b in pairwise(ends)]
    return [f"below {ends[0]:g}", *inner, f"{ends[-1]:g} and above"]
