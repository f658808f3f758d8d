"""Check, before anything is trained, that masks to be learnt from mark something.

A mask that marks nothing is sound, as a case may have nothing to mark; that none of all
developing sites marks a label is told here, for a network would never draw it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from client.cases import Case
from client.check_training import Doubt, usable_cases
from client.facts import find_facts
from common.study import Study
from common.tasks.segmentation import Segmentation
from common.tasks.train import Train


def undrawn(
    study: Study, sites: Mapping[str, Sequence[Case]], caches: Mapping[str, Path | None]
) -> Iterator[Doubt]:
    """Yield training steps in whose masks a label, or all of them, is nowhere drawn.

    Args:
        study: the study.
        sites: checked cases of all developing sites.
        caches: folder in which it is remembered what is in a site's masks, or None.
    """
    known: dict[str, set[float]] = {}
    for name, step in study.bound.items():
        if isinstance(step, Train) and isinstance(step.task, Segmentation):
            cases = {site: usable_cases(study, step, of) for site, of in sites.items()}
            files = {s: _files(step.task.mask, of) for s, of in cases.items()}
            if any(files.values()):
                key = repr(files)
                if key not in known:
                    known[key] = {v for s, of in files.items() for v in _values(of, caches.get(s))}
                yield from _of_step(study, name, step.task.mask, known[key])


def _files(mask: str, cases: Sequence[Case]) -> list[Path]:
    return [path for case in cases if (path := case.masks.get(mask)) is not None]


def _values(files: Sequence[Path], cache: Path | None) -> Iterator[float]:
    """Yield the label values in masks; what was looked at by the check is remembered."""
    for facts in find_facts((("mask", path) for path in files), cache).values():
        yield from facts.labels


def _of_step(study: Study, name: str, mask: str, drawn: set[float]) -> Iterator[Doubt]:
    labels = study.cohort.masks[mask].labels
    absent = [label for label, value in labels.items() if value not in drawn]
    where = f'steps.{name}: in no training case at any site "{mask}"'
    if len(absent) == len(labels):
        yield Doubt("", f"{where} has a voxel that is labelled: nothing to learn", stops=True)
    elif absent:
        shown = " or ".join(f'"{label}"' for label in absent)
        why = "the network cannot learn to draw " + ("it" if len(absent) == 1 else "them")
        yield Doubt("", f"{where} marks {shown}: {why}", stops=False)
