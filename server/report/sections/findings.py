"""The main result in a few sentences, for who reads nothing else."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report import against_reader, discrimination
from server.report.blocks import Items, Section
from server.report.numbers import MINUS, fixed, is_number, plural
from server.report.record import Record
from server.report.scores import VARIANTS, Score, scores_in
from server.report.view import StepView, view_of
from server.report.words import sites_in_words

_PARTS = ("development", "external")


def findings(record: Record) -> Iterator[Section]:
    """Make the section with the main result; none without a network or a model that was scored."""
    entries: list[tuple[str, str]] = []
    compared: list[tuple[str, str]] = []
    for name, step in record.run.study.bound.items():
        kind = getattr(step, "kind", "")
        if kind == "describe":
            entries += _dice(view_of(record, name))
        elif kind in against_reader.KINDS and not compared:
            compared = against_reader.entries_of(view_of(record, name))
            entries += compared
    entries += discrimination.entries_of(record)
    if entries:
        yield Section("findings", "In short", [Items(tuple(entries))])


def _dice(view: StepView) -> Iterator[tuple[str, str]]:
    """Return each label with its scores; and with the step, where several were scored."""
    dice = [s for s in scores_in(view) if s.metric == "dice"]
    several = len({_step(s) for s in dice}) > 1
    for score, text in _sentences(view, dice):
        of = f" ({_step(score)})" if several else ""
        yield score.label.replace("_", " ") + of, text


def _sentences(view: StepView, dice: list[Score]) -> Iterator[tuple[Score, str]]:
    for score in (s for s in dice if not s.variant):
        said = [t for part in _PARTS if (t := _of(view, part, score))]
        if said:
            alike = [s for s in dice if (s.label, _step(s)) == (score.label, _step(score))]
            others = [t for s in alike if (t := _against(view, score, s))]
            yield score, ". ".join([f"mean Dice {' and '.join(said)}", *others]) + "."


def _step(score: Score) -> str:
    """Return the step whose masks were scored."""
    return score.column.partition(".")[0]


def _entry(view: StepView, part: str, score: Score) -> Mapping[str, Any]:
    entry: Mapping[str, Any] = view.parts.get(part, {}).get("columns", {}).get(score.column, {})
    return entry if is_number(entry.get("mean")) else {}


def _of(view: StepView, part: str, score: Score) -> str:
    entry = _entry(view, part, score)
    if not entry:
        return ""
    where = sites_in_words(part, len(view.sites(part)))
    cases = plural(int(entry["n"]), "case")
    return f"{fixed(entry['mean'], 3)} in {cases} of {where}"


def _against(view: StepView, own: Score, other: Score) -> str:
    """Return how far the federated network is from a baseline on the same cases."""
    gaps = []
    for part in _PARTS:
        a, b = _entry(view, part, own), _entry(view, part, other)
        if other.variant and a and b and a["n"] == b["n"]:
            gap = round(a["mean"] - b["mean"], 3)
            sign = "+" if gap > 0 else MINUS if gap < 0 else ""
            word = "developing" if part == "development" else "external"
            gaps.append(f"{sign}{fixed(abs(gap), 3)} ({word})")
    if not gaps:
        return ""
    name = VARIANTS.get(other.variant, other.variant.replace("_", " ")).lower()
    return f"Federated {MINUS} {name}: {', '.join(gaps)}"
