"""Names in a study that mean nothing, and steps that do not fit: all of them, with paths."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from common.choices import MARK, candidates, references
from common.holdings import Holdings, of_cohort
from common.nested import base_of, unfit
from common.salvage import Path, Salvaged
from common.settings import nearest
from common.step import Step
from common.tasks.predict import Predict
from common.tasks.train import Train

if TYPE_CHECKING:
    from common.study import Study


def unknown_names(study: "Study", found: "Salvaged[Study]") -> Iterator[tuple[Path, str]]:
    """Yield what names nothing; not where it may name what was taken away as wrong."""
    if study.nested is not None:
        yield from ((("nested", "steps"), why) for why in unfit(study.nested, study.steps))
    before: dict[str, Any] = {}
    known = of_cohort(study.cohort)
    lists: dict[str, None] = {}
    for name, step in study.bound.items():
        at: Path = ("steps", base_of(name))
        wrong = [*_unknown_steps(at, step, before, found), *_unknown_data(at, step, known, found)]
        wrong += _unknown_lists(at, step, list(lists), found)
        wrong += _unknown_levels(study, at, step)
        yield from wrong
        if not wrong and not found.gone:  # what fits can be told where every name means something
            yield from ((at, text) for text in step.problems(known, before))
        known |= study.made_by(name, step, known, before)
        before[name] = step
        lists |= dict.fromkeys(candidates(name, step))


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
    drawn = [*known.images, *known.masks]
    for image in step.images():
        doubt = any(found.doubts("cohort", part, image) for part in ("images", "masks"))
        if image not in drawn and not doubt and not _of_a_step_in_doubt(image, found):
            yield at, f'unknown image or mask "{image}"{nearest(image, drawn)}'
    for column in (*step.columns(), *step.cases.where):
        doubt = found.doubts("cohort", "columns", column) or column.startswith(MARK)
        if column not in known.columns and not doubt and not _of_a_step_in_doubt(column, found):
            yield at, f'unknown column "{column}"{nearest(column, list(known.columns))}'


def _of_a_step_in_doubt(name: str, found: "Salvaged[Study]") -> bool:
    step, dot, _ = name.partition(".")
    return bool(dot) and found.touched("steps", base_of(step))


def _unknown_levels(study: "Study", at: Path, step: Step) -> Iterator[tuple[Path, str]]:
    for column, levels in step.cases.where.items():
        known = list(getattr(study.cohort.columns.get(column), "levels", ()))
        for level in levels:
            if known and level not in known:
                yield (
                    (*at, "cases", "where", column),
                    f'unknown level "{level}"{nearest(level, known)}',
                )
