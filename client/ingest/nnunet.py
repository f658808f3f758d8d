"""Write a site's folder from nnU-Net's raw format (`nnUNet_raw/DatasetXXX_Name`).

Images are `imagesTr/CASE_0000.nii.gz`, one file a channel, masks `labelsTr/CASE.nii.gz`;
`imagesTs` and `labelsTs` hold the tests. `dataset.json` names channels, labels and ending
(nnU-Net documentation, dataset_format.md, version 2). Images stay where they are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, field_validator

from client.ingest.cohort_csv import write_sheet
from client.ingest.drawn import relative
from common.cohort import CASE_ID, PATIENT_ID, SPLIT
from common.errors import ConfigError, Finding
from common.settings import decoded, parse

_PARTS = (("Tr", ""), ("Ts", "test"))


class DataSet(BaseModel):
    """`dataset.json`; keys that are not needed are passed over.

    Attributes:
        channel_names: of each channel's number.
        labels: value of each label; regions, which have several, are left to the study.
        file_ending: of images and masks.
    """

    channel_names: dict[int, str]
    labels: dict[str, Any]
    file_ending: str = ".nii.gz"

    @field_validator("channel_names", mode="before")
    @classmethod
    def _some(cls, value: object) -> object:
        if not value:
            raise ValueError("expected at least one channel")
        return value


@dataclass(frozen=True, slots=True)
class Imported:
    """What was written.

    Attributes:
        folder: of the site.
        images: the columns, in the order of the channels.
        labels: of the mask, as a study's data contract declares them.
        n_cases: for training.
        n_tests: in `imagesTs`.
    """

    folder: Path
    images: tuple[str, ...]
    labels: dict[str, int]
    n_cases: int
    n_tests: int

    def __str__(self) -> str:
        declared = ", ".join(f"{name}: {value}" for name, value in self.labels.items())
        return (
            f"{self.folder}: {self.n_cases} cases and {self.n_tests} tests; "
            f"images {', '.join(self.images)}; labels: {{{declared}}}"
        )


def import_nnunet(
    root: Path, out: Path, *, images: Sequence[str] = (), mask: str = "mask", patient: str = ""
) -> Imported:
    """Write a site's folder with cohort.csv.

    Args:
        root: the dataset's folder, with dataset.json.
        out: the site's folder.
        images: a name for each channel; dataset.json's, in small letters, where not given.
        mask: name of the mask.
        patient: an expression whose first group is the patient in a case's name; a case is
            a patient where not given.

    Raises:
        ConfigError: with every mistake found.
    """
    file = root / "dataset.json"
    if not file.is_file():
        raise ConfigError([Finding(str(file), None, "", "is not here")])
    about = parse(DataSet, decoded(file.read_bytes(), str(file)), str(file))
    channels = sorted(about.channel_names)
    names = tuple(images) or tuple(_word(about.channel_names[c]) for c in channels)
    if len(set(names)) != len(channels):
        why = f"expected {len(channels)} distinct names for {_listed(about)}, got {list(names)}"
        raise ConfigError([Finding("command line", None, "--image", why)])
    rows = []
    findings: list[Finding] = []
    for part, split in _PARTS:
        for case in _cases(root / f"images{part}", channels[0], about.file_ending):
            row = {CASE_ID: case, PATIENT_ID: _patient(case, patient), SPLIT: split}
            paths = {
                name: root / f"images{part}" / f"{case}_{channel:04d}{about.file_ending}"
                for name, channel in zip(names, channels, strict=True)
            } | {mask: root / f"labels{part}" / f"{case}{about.file_ending}"}
            rows.append(row | {n: relative(p, out) for n, p in paths.items() if p.is_file()})
            findings += _lacking(paths, mask, part)
            if not row[PATIENT_ID]:
                why = f'"{patient}" finds no patient in "{case}"'
                findings.append(Finding("command line", None, "--patient", why))
    if not rows:
        findings.append(Finding(str(root / "imagesTr"), None, "", "holds no images"))
    if findings:
        raise ConfigError(findings)
    out.mkdir(parents=True, exist_ok=True)
    write_sheet(out, (CASE_ID, PATIENT_ID, SPLIT, *names, mask), rows)
    n_tests = sum(row[SPLIT] == "test" for row in rows)
    return Imported(out, names, _labels(about), len(rows) - n_tests, n_tests)


def _cases(folder: Path, channel: int, ending: str) -> list[str]:
    tail = f"_{channel:04d}{ending}"
    return sorted(path.name.removesuffix(tail) for path in folder.glob(f"*{tail}"))


def _patient(case: str, pattern: str) -> str:
    if not pattern:
        return case
    found = re.search(pattern, case)
    return found.group(1) if found and found.groups() else ""


def _lacking(paths: dict[str, Path], mask: str, part: str) -> Iterator[Finding]:
    """Yield files that must be there: every channel, and the mask of a case to train on."""
    for name, path in paths.items():
        if not path.is_file() and (name != mask or part == "Tr"):
            yield Finding(str(path), None, name, "is not here")


def _labels(about: DataSet) -> dict[str, int]:
    """Return label values by names that a study takes, without the background."""
    return {
        _word(name): value
        for name, value in about.labels.items()
        if isinstance(value, int) and value > 0 and _word(name) != "ignore"
    }


def _word(text: str) -> str:
    """Return a text as a name: small letters, digits and underscores."""
    word = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return word if word[:1].isalpha() else f"c{word}"


def _listed(about: DataSet) -> str:
    return ", ".join(about.channel_names[c] for c in sorted(about.channel_names))
