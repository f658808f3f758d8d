"""Judge what is inside a cohort's images and masks by a study's contract."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from client.cases import Case, CaseProblem, Severity
from client.facts import Facts, Kind, find_facts
from common.cohort import Cohort, Mask
from common.flow import Code

# Two grids are one if no corner of them lies further apart than this share of a voxel.
_TOLERANCE = 0.1

_Remark = tuple[str, Severity, Code, str]
_Found = Mapping[tuple[Kind, Path], Facts]


def look_inside(
    contract: Cohort, cases: Mapping[int, Case], cache: Path | None
) -> list[CaseProblem]:
    """Return the problems of images and masks, opening those that are not known yet.

    Args:
        contract: what the study expects.
        cases: by their line in cohort.csv; files that do not exist are passed over.
        cache: folder to remember what was found, or None.
    """
    found = find_facts(_files(cases), cache)
    problems = [
        CaseProblem(case.case_id, severity, code, text, line, name)
        for line, case in cases.items()
        for name, severity, code, text in _remarks(contract, case, found)
    ]
    return problems + _twice(cases, found)


def _files(cases: Mapping[int, Case]) -> Iterator[tuple[Kind, Path]]:
    for case in cases.values():
        yield from (("image", p) for p in case.images.values() if p.exists())
        yield from (("mask", p) for p in case.masks.values() if p and p.exists())


def _remarks(contract: Cohort, case: Case, found: _Found) -> Iterator[_Remark]:
    images = {
        name: found["image", path] for name, path in case.images.items() if ("image", path) in found
    }
    for name, facts in images.items():
        yield from ((name, *remark) for remark in _image(facts))
    for name, path in case.masks.items():
        if path is not None and ("mask", path) in found:
            facts, mask = found["mask", path], contract.masks[name]
            remarks = _mask(facts, mask, images.get(mask.on))
            yield from ((name, *remark) for remark in remarks)


def _image(facts: Facts) -> Iterator[tuple[Severity, Code, str]]:
    if facts.problem:
        yield Severity.ERROR, Code.IMAGE_UNREADABLE, f"not readable: {facts.problem}"
        return
    if facts.n_not_finite:
        text = f"{facts.n_not_finite} voxels are NaN or infinite"
        yield Severity.ERROR, Code.IMAGE_NOT_FINITE, text
    if facts.low == facts.high:
        text = f"every voxel is {facts.low:g}"
        yield Severity.ERROR, Code.IMAGE_CONSTANT, text
    if min(facts.size) == 1:
        text = f"a single slice: {_sizes(facts)} voxels"
        yield Severity.WARNING, Code.IMAGE_SINGLE_SLICE, text


def _mask(facts: Facts, mask: Mask, image: Facts | None) -> Iterator[tuple[Severity, Code, str]]:
    if facts.problem:
        yield Severity.ERROR, Code.MASK_UNREADABLE, f"not readable: {facts.problem}"
        return
    if image is not None and not image.problem and (other := _grids_differ(facts, image)):
        text = f'on another grid than "{mask.on}": {other}'
        yield Severity.ERROR, Code.MASK_OTHER_GRID, text
    strange = [value for value in facts.labels if value not in mask.labels.values()]
    if strange or facts.n_not_finite:
        shown = ", ".join(f"{value:g}" for value in strange[:5]) or "NaN"
        known = ", ".join(str(value) for value in sorted(mask.labels.values()))
        text = f"unknown label {shown} (known: 0, {known})"
        yield Severity.ERROR, Code.MASK_UNKNOWN_LABEL, text
    if not facts.labels:
        yield Severity.WARNING, Code.MASK_EMPTY, "no voxel is labelled"


def _grids_differ(mask: Facts, image: Facts) -> str:
    """Return how two grids differ, or "" where they are one."""
    if mask.size != image.size:
        return f"{_sizes(mask)} vs {_sizes(image)} voxels"
    a, b = np.array(mask.corners_mm), np.array(image.corners_mm)
    most = _TOLERANCE * min(image.spacing_mm)
    if np.abs(a - b).max() <= most:
        return ""
    if not np.allclose(mask.spacing_mm, image.spacing_mm, rtol=1e-3):
        return f"spacing {_steps(mask)} vs {_steps(image)}"
    if np.abs(a[0] - b[0]).max() > most:
        return f"origin {_place(a[0])} vs {_place(b[0])} mm"
    return "the direction of its axes"


def _sizes(facts: Facts) -> str:
    """Return the size as people read it in a viewer, x first."""
    return "x".join(str(n) for n in reversed(facts.size))


def _steps(facts: Facts) -> str:
    return "x".join(_short(step) for step in reversed(facts.spacing_mm))


def _place(point: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return "(" + ", ".join(_short(float(x)) for x in point) + ")"


def _short(number: float) -> str:
    """Return 1.0, 0.977 or -12.5: one to three digits behind the point."""
    text = f"{number:.3f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _twice(cases: Mapping[int, Case], found: _Found) -> list[CaseProblem]:
    """Warn of one image under two cases, by the content of its voxels."""
    owners: dict[str, list[tuple[int, Case, str]]] = {}
    for line, case in cases.items():
        for name, path in case.images.items():
            facts = found.get(("image", path))
            if facts and facts.digest:
                owners.setdefault(facts.digest, []).append((line, case, name))
    return [
        CaseProblem(
            case.case_id,
            Severity.WARNING,
            Code.IMAGE_TWICE,
            f'the same voxels as "{first.case_id}"',
            line,
            name,
        )
        for (_, first, _), *others in owners.values()
        for line, case, name in others
        if case is not first
    ]
