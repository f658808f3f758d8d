"""Names in a study that mean nothing, and steps that do not fit: all of them, with paths."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from common.analyses import ANALYSES
from common.by_site import not_by_site
from common.choices import MARK, candidates, references
from common.holdings import Holdings, of_cohort
from common.nested import base_of, unfit
from common.patterns import nearest_patterns
from common.salvage import Path, Salvaged
from common.settings import nearest
from common.step import Step
from common.tasks.predict import Predict
from common.tasks.train import Train

if TYPE_CHECKING:
    from common.study import Study


def unknown_names(
    study: "Study", found: "Salvaged[Study]", *, again: bool
) -> Iterator[tuple[Path, str]]:
    """Yield what names nothing; not where it may name what was taken away as wrong.

    Unless the study is read again, also the analyses that cannot begin.
    """
    if study.nested is not None:
        yield from ((("nested", "steps"), why) for why in unfit(study.nested, study.steps))
    if study.by_site is not None:
        yield from ((("by_site", at), why) for at, why in not_by_site(study.by_site, study.steps))
    before: dict[str, Any] = {}
    known = of_cohort(study.cohort)
    lists: dict[str, None] = {}
    for name, step in study.bound.items():
        at: Path = ("steps", base_of(name))
        wrong = [*_unknown_steps(at, step, before, found), *_unknown_data(at, step, known, found)]
        wrong += _unknown_lists(at, step, list(lists), found)
        wrong += _unknown_levels(study, at, step)
        yield from wrong
        if wrong:  # so is what it would have made
            found = replace(found, gone=found.gone | {at})
        # What does not fit can be told only where every name means something.
        if not wrong and not any(_in_doubt(n, found) for n in _names_in(step)):
            yield from ((at, text) for text in step.problems(known, before))
            if not again:
                yield from ((at, why) for why in _cannot_begin(study.written[name], step, known))
        known |= study.made_by(name, step, known, before)
        before[name] = step
        lists |= dict.fromkeys(candidates(name, step))


def _cannot_begin(written: Step, step: Any, known: Holdings) -> Iterator[str]:
    """Yield why an analysis would fail before it asks: a column without a range, an odd outcome.

    Nothing of one that waits for what another step has found.
    """
    begin = getattr(step, "solve", None) if isinstance(step, ANALYSES) else None
    if begin is None or step.needs() or references(written):
        return
    try:
        for ask in islice(begin(known.columns), 1):  # `derive` asks nothing
            step.schema(ask, known.columns)
    except ValueError as error:
        yield str(error)


def _unknown_steps(
    at: Path, step: Step, before: Mapping[str, Step], found: "Salvaged[Study]"
) -> Iterator[tuple[Path, str]]:
    for need in step.needs():
        if need not in before and not found.doubts("steps", need):
            yield at, f'needs a step "{need}" before it{nearest(need, list(before))}'
    if isinstance(step, Predict) and not isinstance(before.get(step.network), Train | None):
        yield (*at, "network"), f'"{step.network}" trains no network'


def _unknown_lists(
    at: Path, step: Step, lists: list[str], found: "Salvaged[Study]"
) -> Iterator[tuple[Path, str]]:
    for one in references(step):
        if not found.doubts("steps", one.partition(".")[0]):
            yield at, f'unknown list of columns "{MARK}{one}"{nearest(one, lists)}'


def _unknown_data(
    at: Path, step: Step, known: Holdings, found: "Salvaged[Study]"
) -> Iterator[tuple[Path, str]]:
    drawn = [*known.images, *known.masks, *_with_mistakes(found, "images", "masks")]
    columns = [*known.columns, *_with_mistakes(found, "columns")]
    for image in step.images():
        if image not in drawn and not _in_doubt(image, found):
            yield at, f'unknown image or mask "{image}"{nearest(image, drawn)}'
    for column in (*step.columns(), *step.cases.where):
        doubt = column.startswith(MARK) or _in_doubt(column, found)
        if column not in known.columns and not doubt:
            yield at, _no_such(column, columns)


def _no_such(column: str, known: list[str]) -> str:
    if "*" in column:
        return f'no column fits "{column}" ({nearest_patterns(column, known)})'
    return f'unknown column "{column}"{nearest(column, known)}'


def _with_mistakes(found: "Salvaged[Study]", *parts: str) -> list[str]:
    """Return the names of the cohort's entries that were taken away, as something is wrong."""
    at = {("cohort", part) for part in parts}
    return sorted(str(gone[2]) for gone in found.gone if gone[:2] in at and len(gone) == 3)


def _names_in(step: Step) -> tuple[str, ...]:
    steps = tuple(f"{need}." for need in step.needs())
    return (*steps, *step.images(), *step.columns(), *step.cases.where)


def _in_doubt(name: str, found: "Salvaged[Study]") -> bool:
    """Tell whether a name, or the step that makes it, is of something taken away as wrong."""
    maker, dot, _ = name.partition(".")
    if dot:
        return found.touched("steps", base_of(maker))
    return any(found.doubts("cohort", part, name) for part in ("images", "masks", "columns"))


def _unknown_levels(study: "Study", at: Path, step: Step) -> Iterator[tuple[Path, str]]:
    for column, levels in step.cases.where.items():
        if "." in column:
            text = f'"{column}" is made by a step: `where` selects by categories of the cohort'
            yield (*at, "cases", "where", column), text
        known = list(getattr(study.cohort.columns.get(column), "levels", ()))
        for level in levels:
            if known and level not in known:
                yield (
                    (*at, "cases", "where", column),
                    f'unknown level "{level}"{nearest(level, known)}',
                )
