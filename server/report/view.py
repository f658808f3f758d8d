"""One step of a run, with the parts of its answer that may be printed together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from common.analyses.analysis import APPLY
from common.cohort import Column
from common.study import Study
from server.report.numbers import is_number
from server.report.record import Record
from server.report.suppression import Sites, printable
from server.report.words import (
    by_cause,
    failure_in_words,
    is_policy,
    part_title,
    reasons_of,
    some,
)

_ORDER = ("development", "external", "all", "pooled")


@dataclass(frozen=True)
class StepView:
    """What a renderer gets to see of a step.

    Attributes:
        name: of the step.
        step: its settings.
        parts: the answers that are shown, by part, in the order of columns.
        refused: part -> why in words; a site that keeps its numbers to itself.
        spared: parts left out so that those refused cannot be had by subtraction.
    """

    name: str
    step: Any
    record: Record
    parts: Mapping[str, Mapping[str, Any]]
    refused: Mapping[str, str]
    spared: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The kind of the step."""
        return str(getattr(self.step, "kind", ""))

    @property
    def study(self) -> Study:
        """The study it belongs to."""
        return self.record.run.study

    def title(self, part: str) -> str:
        """Return the heading of a part's column."""
        return part_title(part, self.record.run.roster)

    def sites(self, part: str) -> Sites:
        """Return the sites behind a part."""
        return frozenset(self.record.sites_of(f"{self.name}/{part}"))

    def figure_name(self, *more: str) -> str:
        """Return the file name of a figure of this step."""
        words = "-".join((self.name, *more))
        return "".join(c if c.isalnum() or c in "-_" else "_" for c in words)

    def column(self, name: str) -> Column | None:
        """Return what the study says of a column."""
        return self.study.contract().get(name)

    def notes(self, columns: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
        """Return what is to be said of single columns, for below a table of them: each once."""
        said = ((self.label(name), str(of["note"])) for name, of in columns if of.get("note"))
        return [f"{some(names)}: {why}." for why, names in by_cause(said).items()]

    def label(self, name: str, *, unit: bool = True) -> str:
        """Return how a table names a column or a term of a model."""
        return label_of(self.study, name, unit=unit)


def view_of(record: Record, name: str) -> StepView:
    """Return a step of a run as renderers see it."""
    step = record.run.study.bound[name]
    answers = record.answers.get(name, {})
    order = _in_order(answers, record)
    failed = record.failed.get(name, {})
    refused = {part: failure_in_words(why) for part, why in failed.items() if part}
    spared: tuple[str, ...] = ()
    if _adds_up(record, name):
        out = spared_parts(record)
        spared = tuple(part for part in order if part in out)
    parts = {part: answers[part] for part in order if part not in spared}
    return StepView(name, step, record, parts, refused, spared)


def spared_parts(record: Record) -> frozenset[str]:
    """Return the parts that the page leaves out of every step.

    Beside the totals they would give away what another site did not release in some step.
    One choice for all steps, as cases are the same from step to step.
    """
    return frozenset().union(*(parts for parts, _ in _spared_by_step(record).values()))


def why_spared(record: Record) -> tuple[list[str], list[str]]:
    """Return the parts whose numbers would be given away, and the steps that lack them."""
    by_step = _spared_by_step(record)
    kept = sorted(set().union(*(kept for _, kept in by_step.values())))
    return _in_order(dict.fromkeys(kept), record), [*by_step]


def _spared_by_step(record: Record) -> dict[str, tuple[set[str], set[str]]]:
    """Return by step the parts to leave out and those not released, where there are any."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for name, answers in record.answers.items():
        kept = {
            part: frozenset(record.sites_of(f"{name}/{part}"))
            for part, why in record.failed.get(name, {}).items()
            if any(map(is_policy, reasons_of(why)))
        }
        if kept and _adds_up(record, name):
            groups = {p: frozenset(record.sites_of(f"{name}/{p}")) for p in answers if p != APPLY}
            order = sorted(groups, key=lambda part: _worth(record, part))
            shown = printable({p: groups[p] for p in order}, [*kept.values()])
            if len(shown) < len(groups):
                found[name] = set(groups) - set(shown), set(kept)
    return found


def _adds_up(record: Record, name: str) -> bool:
    """Return whether the answers of a step are sums over its sites' cases."""
    return getattr(record.run.study.bound.get(name), "kind", "") not in ("train", "predict")


def _worth(record: Record, part: str) -> tuple[int, float, str]:
    """Return by how much a reader would miss a part: least first."""
    if part in _ORDER:
        return _ORDER.index(part), 0.0, part
    external = part.partition(".")[2] in record.run.roster.external
    sizes = [
        float(values[key])
        for parts in record.answers.values()
        for key in ("n", "n_included")
        if is_number((values := parts.get(part, {})).get(key))
    ]
    return len(_ORDER) + (not external), -max(sizes, default=0.0), part


def label_of(study: Study, name: str, *, unit: bool = True) -> str:
    """Return a column's title and unit; of a level, "column: level"."""
    column, level = study.contract().get(name), ""
    for mark in ("=", ":", "["):
        if column is None and mark in name:
            stem, _, level = name.partition(mark)
            column = study.contract().get(stem)
            name = name if column is None else stem
    if column is None:
        return name.replace("_", " ") if "." not in name else name
    title = column.title or name.replace("_", " ")
    if level:
        return f"{title}: {level.rstrip(']')}"
    return f"{title}, {column.unit}" if unit and column.unit else title


def _in_order(answers: Mapping[str, Any], record: Record) -> list[str]:
    """Return parts as a table has them: together, each site, external, all."""
    roster = record.run.roster
    columns = ["development", *(f"site.{s}" for s in roster.developing), "external"]
    columns += [f"site.{s}" for s in roster.external] if len(roster.external) > 1 else []
    columns += ["all", "pooled"]
    twice = {f"site.{s}" for s in roster.external} if "external" in answers else set()
    if len(roster.external) != 1:
        twice = set()
    rest = [p for p in answers if p not in columns and p not in twice and p != APPLY]
    return [part for part in columns if part in answers] + rest
