"""Who goes where: the file that deals a data list's cases to sites and splits.

The general form, with case or patient identifiers:

    {"sites": {"north": {"train": [...], "validation": [...], "test": [...]}},
     "patients": {"case": "patient"}}

`val` is taken for `validation`. `labelled` and `unlabelled` both mean training; the
masks of the latter are left out. `external_test` (a list) is a site "external" with
tests only. `about`, `rules` and `pooled` are for readers and are passed over.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import Field

from common.cohort import Name
from common.errors import Finding
from common.settings import Frozen, parse

EXTERNAL = "external"
Identifiers = tuple[str, ...]


class Parts(Frozen):
    """The cases or patients of one site."""

    train: Identifiers = ()
    labelled: Identifiers = ()
    unlabelled: Identifiers = ()
    validation: Identifiers = ()
    val: Identifiers = ()
    test: Identifiers = ()


_SPLIT_OF = {"labelled": "train", "unlabelled": "train", "val": "validation"}


class Splits(Frozen):
    """The file."""

    sites: dict[Name, Parts]
    external_test: Identifiers = ()
    patients: dict[str, str] = Field({}, description="patient of each case")
    about: Any = None
    rules: Any = None
    pooled: Any = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a case goes.

    Attributes:
        case_id: the case.
        patient_id: its patient.
        site: the site's name.
        split: train, validation or test.
        labelled: whether its mask may be used.
        path: where in the file it stands.
    """

    case_id: str
    patient_id: str
    site: str
    split: str
    labelled: bool
    path: str


def read_splits(text: str, file: str) -> Splits:
    """Return the splits in a JSON or YAML text.

    Raises:
        ConfigError: with every mistake of form.
    """
    return parse(Splits, text, file)


def deal(
    splits: Splits, patients: Mapping[str, str], file: str
) -> tuple[list[Place], list[Finding]]:
    """Return the place of every case that the splits name, and every mistake.

    Mistakes are an unknown name, a case that stands twice, and a patient who is
    divided between splits or sites.

    Args:
        splits: the file.
        patients: the patient of each case of the data list; all cases have one.
        file: name of the splits' file, for messages.
    """
    cases_of: dict[str, list[str]] = {}
    for case_id, patient in patients.items():
        cases_of.setdefault(patient, []).append(case_id)
    places: list[Place] = []
    findings: list[Finding] = []
    for site, part, path, name in _named(splits):
        split, labelled = _SPLIT_OF.get(part, part), part != "unlabelled"
        cases = [name] if name in patients else cases_of.get(name, [])
        if not cases:
            near = get_close_matches(name, [*patients, *cases_of], n=1)
            tip = f' (did you mean "{near[0]}"?)' if near else ""
            text = f'"{name}" is not in the data list{tip}'
            findings.append(Finding(file, None, path, text))
        places += [Place(c, patients[c], site, split, labelled, path) for c in cases]
    return places, [*findings, *_twice(places, file), *_divided(places, file)]


def _named(splits: Splits) -> Iterator[tuple[str, str, str, str]]:
    """Yield site, part, path and identifier of every entry."""
    for site, parts in splits.sites.items():
        for part in Parts.model_fields:
            for i, name in enumerate(getattr(parts, part)):
                yield site, part, f"sites.{site}.{part}.{i}", name
    for i, name in enumerate(splits.external_test):
        yield EXTERNAL, "test", f"external_test.{i}", name


def _twice(places: list[Place], file: str) -> Iterator[Finding]:
    first: dict[str, Place] = {}
    for place in places:
        before = first.setdefault(place.case_id, place)
        if before is not place:
            text = f'case "{place.case_id}" stands already at {before.path}'
            yield Finding(file, None, place.path, text)


def _divided(places: list[Place], file: str) -> Iterator[Finding]:
    """Yield every patient with cases in two splits or at two sites, once."""
    homes: dict[str, dict[tuple[str, str], Place]] = {}
    for place in places:
        found = homes.setdefault(place.patient_id, {})
        found.setdefault((place.site, place.split), place)
    for patient, found in homes.items():
        if len(found) > 1:
            where = " and in ".join(f"{split} of {site}" for site, split in found)
            last = [*found.values()][-1]
            text = f'patient "{patient}" is in {where}; a patient goes to one place only'
            yield Finding(file, None, last.path, text)
