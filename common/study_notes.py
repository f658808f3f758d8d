"""What a study says that is no mistake but may not be what was meant: with its place, in words."""

from collections.abc import Iterator

from common.salvage import Path
from common.study import Study
from common.tasks.section import is_volume
from common.tasks.train import Train


def notes(study: Study) -> Iterator[tuple[Path, str]]:
    """Yield place and words of everything that is worth a look."""
    for name, step in study.steps.items():
        if isinstance(step, Train):
            yield from ((("steps", name, *at), why) for at, why in _slice_by_slice(study, step))


def _slice_by_slice(study: Study, step: Train) -> Iterator[tuple[Path, str]]:
    """Yield where a network of two dimensions is given volumes: it sees each of their slices."""
    task, known = step.task, study.holdings
    if getattr(task, "dimensions", 3) != 2:
        return
    first = task.reads()[0]
    if first in known.images and is_volume(first, known):
        what = {
            "segmentation": "every slice along z is learnt from and drawn by itself",
            "classification": "its slices along z (those of the region, where there is one; "
            "64 evenly spread at most) are seen one by one, and a case is their mean",
        }[task.kind]
        tip = "to take one slice, cut it out by a step of kind measure"
        yield ("task", "dimensions"), f'2, and "{first}" is a volume: {what}; {tip}'
