"""Names in a study that mean nothing, and steps that do not fit: all of them, with paths."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from common.analyses import ANALYSES
from common.by_site import not_by_site
from common.choices import MARK, candidates, references
from common.holdings import Holdings, of_cohort
from common.name_words import SORTS, Sight, held_back
from common.named import named_twice, names_in
from common.nested import base_of, unfit
from common.salvage import Path, Salvaged
from common.settings import nearest
from common.step import Said, Step
from common.tasks.train import Train

if TYPE_CHECKING:
    from common.study import Study


def unknown_names(
    study: "Study", found: "Salvaged[Study]", *, again: bool
) -> Iterator[tuple[Path, str]]:
    """Yield what names nothing; not where it may name what was taken away as wrong.

    Unless the study is read again, also the analyses that cannot begin, and what takes a
    network to tell. Of a step that reads from one with a mistake only its own is told: what
    it misses follows from that one, and is one line for all such steps.
    """
    yield from _wrong_refits(study)
    before: dict[str, Any] = {}
    known = of_cohort(study.cohort)
    lists: dict[str, None] = {}
    held: dict[str, dict[str, None]] = {}
    for name, step in study.bound.items():
        base = base_of(name)
        at: Path = ("steps", base)
        later = [other for other in study.bound if other not in before]
        sight = Sight(known, _with_mistakes(found), before, later)
        named = _names_in(step, study.written[name])
        doubtful = [one for one in named if _in_doubt(one, found)]
        if name != base and found.doubts(*at):  # a refit of what is told already
            wrong, doubtful = [], [name]
        else:
            wrong = [*_unknown(study, at, step, sight, found)]
            wrong += _unknown_lists(at, step, list(lists), found)
        if not wrong and not doubtful:  # what does not fit can be told only then
            written = None if again else study.written[name]
            wrong = list(_unfit(at, step, written, known, before))
        yield from wrong
        if missing := [one for one in doubtful if _made(one) and not _there(one, known)]:
            held.setdefault(base, {}).update(dict.fromkeys(missing))
        if wrong or doubtful:  # so is what it would have made
            found = replace(found, gone=found.gone | {at})
        known |= study.made_by(name, step, known, before)
        before[name] = step
        lists |= dict.fromkeys(candidates(name, step))
    yield from ((("steps", first), text) for first, text in held_back(held))


def _wrong_refits(study: "Study") -> Iterator[tuple[Path, str]]:
    """Yield steps that are to be fitted again and cannot be."""
    if study.nested is not None:
        yield from ((("nested", "steps"), why) for why in unfit(study.nested, study.steps))
    if study.by_site is not None:
        yield from ((("by_site", at), why) for at, why in not_by_site(study.by_site, study.steps))


def _unknown(
    study: "Study", at: Path, step: Step, sight: Sight, found: "Salvaged[Study]"
) -> Iterator[tuple[Path, str]]:
    """Yield the steps, images, masks, columns and levels that a step names and are not there."""
    yield from _unknown_steps(at, step, sight, found)
    yield from _unknown_data(at, step, sight, found)
    yield from _unknown_levels(study, at, step)


def _unfit(
    at: Path, step: Any, written: Step | None, known: Holdings, before: Mapping[str, Any]
) -> Iterator[tuple[Path, str]]:
    """Yield what of a step cannot work; without the step as written only what is told fast."""
    yield from (_placed(at, said) for said in step.problems(known, before))
    if written is not None:
        yield from (_placed(at, said) for said in step.slow_problems(known))
        yield from ((at, why) for why in _cannot_begin(written, step, known))


def _placed(at: Path, said: Said) -> tuple[Path, str]:
    """Return what a step says of itself with the path in the study."""
    if isinstance(said, str):
        return at, said
    return (*at, *said[0]), said[1]


def _made(name: str) -> bool:
    """Tell whether a name is of what a step makes; one that ends with a dot is the step."""
    return "." in name and not name.endswith(".")


def _there(name: str, known: Holdings) -> bool:
    return name in known.columns or name in known.images or name in known.masks


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
    at: Path, step: Step, sight: Sight, found: "Salvaged[Study]"
) -> Iterator[tuple[Path, str]]:
    network = getattr(step, "network", "")
    trained = [name for name, one in sight.before.items() if isinstance(one, Train)]
    for need in step.needs():
        if need in sight.before or found.doubts("steps", need):
            continue
        if need in sight.later:
            yield at, f'needs the step "{need}", which {sight.when(need)}'
            continue
        among = trained if need == network else list(sight.before)
        yield at, f'needs a step "{need}" before it{nearest(need, among)}'
    if network in sight.before and network not in trained:
        yield (*at, "network"), f'"{network}" trains no network{nearest(network, trained)}'


def _unknown_lists(
    at: Path, step: Step, lists: list[str], found: "Salvaged[Study]"
) -> Iterator[tuple[Path, str]]:
    for one in references(step):
        if not found.doubts("steps", one.partition(".")[0]):
            yield at, f'unknown list of columns "{MARK}{one}"{nearest(one, lists)}'


def _unknown_data(
    at: Path, step: Step, sight: Sight, found: "Salvaged[Study]"
) -> Iterator[tuple[Path, str]]:
    drawn = list(names_in(step))
    for one in drawn:
        if not _in_doubt(one.name, found) and (why := sight.why_not(one.name, one.sort)):
            yield (*at, *one.at), why
    yield from (((*at, *path), why) for path, why in named_twice(drawn))
    lists = {f"{MARK}{one}" for one in references(step)}  # see `_unknown_lists`
    for column in dict.fromkeys((*step.columns(), *step.cases.where)):
        doubt = column in lists or _in_doubt(column, found)
        if not doubt and column.startswith(MARK):
            yield at, f'"{column}" is a list of columns, expected one column'
        elif not doubt and (why := sight.why_not(column, "column")):
            yield at, why


def _with_mistakes(found: "Salvaged[Study]") -> dict[str, list[str]]:
    """Return by sort the cohort's entries that were taken away, as something is wrong."""
    return {
        sort: sorted(
            str(gone[2])
            for gone in found.gone
            if gone[:2] == ("cohort", f"{sort}s") and len(gone) == 3
        )
        for sort in SORTS
    }


def _names_in(step: Step, written: Step) -> tuple[str, ...]:
    """Return all that a step names; of what it only waits for, the step and a dot."""
    chosen = (one.partition(".")[0] for one in references(written))
    steps = tuple(f"{need}." for need in (*step.needs(), *chosen))
    columns = (c for c in step.columns() if not c.startswith(MARK))
    return (*steps, *step.images(), *columns, *step.cases.where)


def _in_doubt(name: str, found: "Salvaged[Study]") -> bool:
    """Tell whether a name, or the step that makes it, is of something taken away as wrong."""
    maker, dot, _ = name.partition(".")
    if dot and "*" in maker:
        return any(gone[0] == "steps" for gone in found.gone)
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
