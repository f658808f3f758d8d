"""Write sites' folders from a Decathlon or MONAI data list and a split by patient.

The data list (`dataset.json`) names image and label of every case; the splits say which
case or patient goes where (`client/ingest/splits.py`). Images stay where they are.
"""

import csv
import io
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, TypeAdapter, ValidationError, field_validator

from client.ingest.cohort_csv import write_sheet
from client.ingest.splits import Place, Splits, deal, read_splits
from common.cohort import CASE_ID, PATIENT_ID, SPLIT, MaskName, Name
from common.errors import ConfigError, Finding
from common.settings import parse

Link = Literal["reference", "symlink", "copy"]

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")


class Item(BaseModel):
    """One case of the data list; keys that are not needed are passed over.

    Attributes:
        image: one path, or one an image of the case.
        label: path of its mask.
        bare: whether the list gives a path alone, as for tests whose labels are secret.
    """

    image: tuple[str, ...]
    label: str | None = None
    bare: bool = False

    @field_validator("image", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class DataList(BaseModel):
    """`dataset.json` of the Decathlon, or a data list of MONAI."""

    training: tuple[Item, ...] = ()
    validation: tuple[Item, ...] = ()
    test: tuple[Item, ...] = ()
    testing: tuple[Item, ...] = ()
    unlabelled: tuple[Item, ...] = ()

    @field_validator("test", "testing", "unlabelled", mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        """Take the Decathlon's tests, which are a list of paths without labels."""
        if not isinstance(value, list):
            return value
        return [{"image": item, "bare": True} if isinstance(item, str) else item for item in value]

    def items(self) -> tuple[Item, ...]:
        """Return every case, whatever the list calls it; the splits decide."""
        tests = (*self.test, *self.testing)
        return (*self.training, *self.validation, *tests, *self.unlabelled)


@dataclass(frozen=True, slots=True)
class Report:
    """What an import wrote.

    Attributes:
        folders: of each site.
        counts: cases by site and split.
        n_unused: cases of the data list that no split names.
        elsewhere: the folder the images stayed in, or None where the sites' folders have them.
    """

    folders: Mapping[str, Path]
    counts: Mapping[str, Mapping[str, int]]
    n_unused: int
    elsewhere: Path | None = None

    def __str__(self) -> str:
        lines = [
            f"{site}: " + ", ".join(f"{n} {split}" for split, n in splits.items())
            for site, splits in self.counts.items()
        ]
        lines.append(f"in no split: {self.n_unused}")
        if self.elsewhere is not None:
            lines.append(
                "The images stay where they are: open that folder in each site's settings,"
            )
            lines.append(f"further_folders: [{self.elsewhere}]")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Columns:
    """How the columns of cohort.csv are to be called.

    Attributes:
        images: one name for each image of a case, in the data list's order.
        mask: the column of the label.
    """

    images: tuple[str, ...] = ("image",)
    mask: str = "mask"


@dataclass(frozen=True, slots=True)
class Source:
    """A data list as read.

    Attributes:
        path: of the list; its images are relative to it.
        items: by case.
    """

    path: Path
    items: Mapping[str, Item]

    @property
    def file(self) -> str:
        """Return the list's name for messages."""
        return str(self.path)

    @property
    def folder(self) -> Path:
        """Return the folder that images are relative to."""
        return self.path.parent

    def files(self, place: Place) -> tuple[str, ...]:
        """Return images and, where it may be used, the label of a case."""
        item = self.items[place.case_id]
        label = (item.label,) if item.label and place.labelled else ()
        return (*item.image, *label)


def import_decathlon(
    dataset_json: Path,
    splits_json: Path,
    out_dir: Path,
    *,
    columns: Columns = Columns(),
    link: Link = "reference",
    test_labels: Path | None = None,
) -> Report:
    """Write one folder a site with cohort.csv.

    Patients come from the splits' `patients`, else from `cases.csv` beside the data
    list (columns `case` and `subject`); else each case is a patient of its own.

    Args:
        dataset_json: the data list.
        splits_json: sites and splits.
        out_dir: where the sites' folders go.
        columns: names for cohort.csv.
        link: "reference" names the source files in cohort.csv, "symlink" and "copy"
            put them into the site's folder. All but copies lie outside of it: the site
            has to open that folder (`further_folders`).
        test_labels: folder with labels of tests, named like their images, where the data
            list has none.

    Raises:
        ConfigError: with every mistake found; nothing has been written.
    """
    splits = read_splits(_text(splits_json), str(splits_json))
    listed = parse(DataList, _text(dataset_json), str(dataset_json))
    items, findings = _by_case(listed, str(dataset_json))
    items = _with_labels(items, test_labels)
    findings += _wrong_names(columns)
    named = _patients(splits, dataset_json.parent)
    patients = {case_id: named.get(case_id, case_id) for case_id in items}
    places, mistakes = deal(splits, patients, str(splits_json))
    source = Source(dataset_json, items)
    findings += [*mistakes, *_incomplete(places, source, columns)]
    if findings:
        raise ConfigError(findings)
    return _write(places, source, out_dir, columns, link)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").replace("\t", " ")
    except (OSError, UnicodeDecodeError) as error:
        text = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError([Finding(str(path), None, "", text)]) from None


def _by_case(listed: DataList, file: str) -> tuple[dict[str, Item], list[Finding]]:
    """Return the items by case, which is named like its first image."""
    items: dict[str, Item] = {}
    findings = []
    for item in listed.items():
        case_id = _case_id(item.image[0])
        if case_id in items:
            text = f'case "{case_id}" stands here twice'
            findings.append(Finding(file, None, "", text))
        items[case_id] = item
    return items, findings


def _with_labels(items: Mapping[str, Item], folder: Path | None) -> dict[str, Item]:
    """Return the items, those without a label with the one that lies in a folder."""
    if folder is None:
        return dict(items)
    there = {_case_id(f.name): f.resolve() for f in sorted(folder.iterdir()) if f.is_file()}
    return {
        case_id: item.model_copy(update={"label": str(there[case_id])})
        if item.bare and case_id in there
        else item
        for case_id, item in items.items()
    }


def _case_id(image: str) -> str:
    name = Path(image).name
    stem = next((name.removesuffix(s) for s in _SUFFIXES if name.endswith(s)), name)
    return stem.removesuffix("_0000")


def _wrong_names(columns: Columns) -> Iterator[Finding]:
    wanted = [(Name, "--image", name) for name in columns.images]
    for kind, option, name in (*wanted, (MaskName, "--mask", columns.mask)):
        try:
            TypeAdapter(kind).validate_python(name)
        except ValidationError as error:
            text = error.errors()[0]["msg"].removeprefix("Value error, ")
            yield Finding("command line", None, option, text)


def _patients(splits: Splits, beside: Path) -> dict[str, str]:
    """Return the patient of each case, from the splits or from cases.csv."""
    table = beside / "cases.csv"
    if splits.patients or not table.exists():
        return dict(splits.patients)
    rows = [*csv.DictReader(io.StringIO(_text(table)))]
    if not rows or not {"case", "subject"} <= rows[0].keys():
        return {}
    return {row["case"]: row["subject"] for row in rows}


def _incomplete(places: Sequence[Place], source: Source, columns: Columns) -> Iterator[Finding]:
    """Yield what the data list lacks for a case that the splits name."""
    for case_id, place in {place.case_id: place for place in places}.items():
        item = source.items[case_id]
        if len(item.image) != len(columns.images):
            text = f"expected {len(columns.images)} images, got {len(item.image)}"
            yield Finding(source.file, None, case_id, text)
        bare_test = item.bare and place.split == "test"
        if item.label is None and place.labelled and not bare_test:
            text = 'no label; in training a case without one belongs under "unlabelled"'
            yield Finding(source.file, None, case_id, text)
        for name in source.files(place):
            if not (source.folder / name).exists():
                yield Finding(source.file, None, case_id, f'no such file: "{name}"')


def _write(
    places: Sequence[Place], source: Source, out_dir: Path, columns: Columns, link: Link
) -> Report:
    counts: dict[str, Counter[str]] = {}
    rows: dict[str, list[dict[str, str]]] = {}
    for place in places:
        names = dict(zip((*columns.images, columns.mask), source.files(place), strict=False))
        folder = out_dir / place.site
        cells = {c: _place(source.folder / f, folder, link) for c, f in names.items()}
        known = {CASE_ID: place.case_id, PATIENT_ID: place.patient_id}
        rows.setdefault(place.site, []).append(known | {SPLIT: place.split} | cells)
        counts.setdefault(place.site, Counter())[place.split] += 1
    heading = (CASE_ID, PATIENT_ID, SPLIT, *columns.images, columns.mask)
    for site, lines in rows.items():
        write_sheet(out_dir / site, heading, lines)
    folders = {site: out_dir / site for site in rows}
    elsewhere = None if link == "copy" else source.folder.resolve()
    return Report(folders, counts, len(source.items) - len(places), elsewhere)


def _place(file: Path, folder: Path, link: Link) -> str:
    """Return what cohort.csv calls a file, after linking or copying it."""
    if link == "reference":
        return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
    target = folder / file.parent.name / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if link == "symlink":
        target.symlink_to(file.resolve())
    else:
        shutil.copyfile(file, target)
    return target.relative_to(folder).as_posix()
