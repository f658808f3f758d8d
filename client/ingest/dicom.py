"""Write a cohort folder from a tree of DICOM files: series, RTSTRUCT and SEG.

Files may lie in any folders; what belongs together is told by their identifiers. Images
are written as NIfTI in their own geometry, masks on the grid of the series that they
refer to. Nothing is repaired: a series with a gap or two slices at one place is named.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import numpy as np

from client.imageio import Volume, read_slices, write_image
from client.ingest.cohort_csv import write_sheet
from client.ingest.dicom_masks import Outlines, outlines_in, paint
from common.cohort import CASE_ID, PATIENT_ID
from common.errors import ConfigError, Finding
from common.settings import nearest

_UNEVEN = 0.02  # share of the distance of slices by which one may be off
_TAGS = [
    "Modality", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "SeriesDescription",
    "ImagePositionPatient", "ImageOrientationPatient", "NumberOfFrames",
]  # fmt: skip

CasesBy = Literal["patient", "study"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to take out of a tree.

    Attributes:
        images: by the study's name: pattern of "MODALITY description", such as "MR *T2*".
        masks: by the study's name: the image, and a pattern of the region's name.
        by: a case is a patient, or each of a patient's studies.
        prefer: which source wins where both drew a region.
    """

    images: Mapping[str, str]
    masks: Mapping[str, tuple[str, str]]
    by: CasesBy = "patient"
    prefer: Literal["rtstruct", "seg"] = "seg"


@dataclass
class Series:
    """One series of images.

    Attributes:
        uid: its identifier.
        case: patient and, where cases are studies, the study.
        words: modality and description, as patterns see them.
        slices: file and position along the normal, in mm.
    """

    uid: str
    case: tuple[str, str]
    words: str
    slices: list[tuple[float, Path]] = field(default_factory=list)

    def files(self) -> list[Path]:
        """Return the files in the order of their slices."""
        return [path for _, path in sorted(self.slices)]

    def problem(self) -> str:
        """Return why these slices are no volume, or ""."""
        places = sorted(place for place, _ in self.slices)
        steps = np.diff(places)
        if not steps.size:
            return "expected two slices or more, got one"
        if steps.min() < 1e-3:
            return f"two slices lie at {places[int(steps.argmin())]:.1f} mm; is it a time series?"
        usual = float(np.median(steps))
        if np.abs(steps - usual).max() > max(_UNEVEN * usual, 0.01):
            return f"slices are {usual:.2f} mm apart, but two of them {steps.max():.2f} mm"
        return ""


@dataclass(frozen=True, slots=True)
class Report:
    """What an import wrote, and what it could not: for the site's own people.

    Attributes:
        folder: of the site.
        n_cases: rows of cohort.csv.
        drawn: cases with each image or mask.
        remarks: what was passed over, a sentence each.
    """

    folder: Path
    n_cases: int
    drawn: Mapping[str, int]
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {n}" for name, n in self.drawn.items())
        return "\n".join([f"{self.folder}: {self.n_cases} cases ({counts})", *self.remarks])


@dataclass
class _Tree:
    series: dict[str, Series] = field(default_factory=dict)
    outlines: dict[str, list[Outlines]] = field(default_factory=lambda: defaultdict(list))
    n_other: int = 0


def import_dicom(tree: Path, out_dir: Path, plan: Plan) -> Report:
    """Write `cohort.csv`, images and masks of a site.

    Args:
        tree: folder with DICOM files, at any depth.
        out_dir: the site's folder.
        plan: which series and regions are which image and mask.

    Raises:
        ConfigError: with every mistake found; nothing has been written.
    """
    found = _scan(tree, plan)
    cases = _cases(found, plan)
    problems = [Finding(str(tree), None, case, text) for case, text in _ambiguous(cases, plan)]
    problems += [Finding(str(tree), None, name, text) for name, text in _unused(found, plan)]
    if problems:
        raise ConfigError(problems)
    (out_dir / "images").mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []
    remarks: list[str] = []
    for case, series in cases.items():
        rows.append(_write_case(case, series, found, plan, out_dir, remarks))
    names = (*plan.images, *plan.masks)
    write_sheet(out_dir, (CASE_ID, PATIENT_ID, *names), rows)
    drawn = {name: sum(bool(row.get(name)) for row in rows) for name in names}
    if found.n_other:
        remarks.append(f"{found.n_other} files were no DICOM images, RTSTRUCT or SEG")
    return Report(out_dir, len(rows), drawn, tuple(remarks))


def _scan(tree: Path, plan: Plan) -> _Tree:
    """Read the headers of all files."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    found = _Tree()
    for path in sorted(p for p in tree.rglob("*") if p.is_file()):
        try:
            head = dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        except (InvalidDicomError, OSError):
            found.n_other += 1
            continue
        modality = str(head.get("Modality", ""))
        if modality in ("RTSTRUCT", "SEG"):
            for outlines in outlines_in(path, modality):
                found.outlines[outlines.series].append(outlines)
        elif "ImagePositionPatient" in head and "ImageOrientationPatient" in head:
            _add(found, path, head, plan)
        else:
            found.n_other += 1
    return found


def _add(found: _Tree, path: Path, head: Any, plan: Plan) -> None:
    uid = str(head.SeriesInstanceUID)
    study = str(head.StudyInstanceUID) if plan.by == "study" else ""
    words = f"{head.get('Modality', '')} {head.get('SeriesDescription', '')}"
    series = found.series.setdefault(uid, Series(uid, (str(head.PatientID), study), words))
    along = np.array(head.ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(*along)
    series.slices.append((float(normal @ np.array(head.ImagePositionPatient, float)), path))


def _cases(found: _Tree, plan: Plan) -> dict[str, dict[str, list[Series]]]:
    """Return, by case, the series that fit each image."""
    numbers: dict[str, dict[str, int]] = defaultdict(dict)
    cases: dict[str, dict[str, list[Series]]] = {}
    for series in sorted(found.series.values(), key=lambda s: (s.case, s.uid)):
        patient, study = series.case
        nth = numbers[patient].setdefault(study, len(numbers[patient]) + 1)
        name = patient if plan.by == "patient" else f"{patient}-{nth}"
        fits = cases.setdefault(name, {})
        for image, pattern in plan.images.items():
            if _fits(series.words, pattern):
                fits.setdefault(image, []).append(series)
    return {name: fits for name, fits in cases.items() if fits}


def _fits(text: str, pattern: str) -> bool:
    return fnmatchcase(text.casefold().strip(), pattern.casefold())


def _ambiguous(
    cases: Mapping[str, Mapping[str, Sequence[Series]]], plan: Plan
) -> Iterator[tuple[str, str]]:
    for case, fits in cases.items():
        for image, series in fits.items():
            if len(series) > 1:
                shown = ", ".join(f'"{s.words}"' for s in series[:4])
                tip = "" if plan.by == "study" else ", or take each study as a case: --case study"
                yield case, f'{len(series)} series fit "{image}": {shown}; narrow its pattern{tip}'
            elif problem := series[0].problem():
                yield case, f'"{image}" ({series[0].words}): {problem}'


def _unused(found: _Tree, plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield names that nothing in the whole tree fits."""
    words = sorted({series.words for series in found.series.values()})
    regions = sorted({o.name for of in found.outlines.values() for o in of})
    for image, pattern in plan.images.items():
        if not any(_fits(w, pattern) for w in words):
            yield image, f'no series fits "{pattern}"; there are: {"; ".join(words[:12]) or "none"}'
    for mask, (image, pattern) in plan.masks.items():
        if image not in plan.images:
            yield mask, f'unknown image "{image}"{nearest(image, list(plan.images))}'
        if not any(_fits(r, pattern) for r in regions):
            yield (
                mask,
                f'no region fits "{pattern}"; there are: {"; ".join(regions[:12]) or "none"}',
            )


def _write_case(
    case: str,
    fits: Mapping[str, Sequence[Series]],
    found: _Tree,
    plan: Plan,
    out_dir: Path,
    remarks: list[str],
) -> dict[str, str]:
    """Write the images and masks of a case; return its row."""
    first = next(iter(fits.values()))[0]
    row = {CASE_ID: case, PATIENT_ID: first.case[0]}
    for image, series in fits.items():
        volume = read_slices(series[0].files())
        row[image] = _write(out_dir, case, image, volume)
        for mask, (on, pattern) in plan.masks.items():
            if on != image:
                continue
            drawn = _chosen(found.outlines[series[0].uid], pattern, plan.prefer)
            if drawn is None:
                remarks.append(f'{case}: no region fits "{pattern}" on "{image}"')
                continue
            voxels, remark = paint(drawn, volume.grid)
            remarks += [f"{case}: {mask}: {remark}"] if remark else []
            row[mask] = _write(out_dir, case, mask, Volume(voxels, volume.grid))
    return row


def _chosen(drawn: Iterable[Outlines], pattern: str, prefer: str) -> Outlines | None:
    fits = sorted(
        (o for o in drawn if _fits(o.name, pattern)),
        key=lambda o: (o.kind != prefer, o.name, o.path),
    )
    return fits[0] if fits else None


def _write(out_dir: Path, case: str, name: str, volume: Volume) -> str:
    file = f"images/{case}_{name.replace('@', '_')}.nii.gz"
    write_image(out_dir / file, volume)
    return file
