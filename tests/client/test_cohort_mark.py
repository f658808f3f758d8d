"""A cohort with images is read once, and again as soon as anything it is made of changes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from client.cohorts import SiteCohort, load_cohort
from client.site import load_site
from common.errors import Refused
from common.study import Study
from tests.client.folders import CONTRACT, anatomy, make_site, rows, write_rows, write_volume
from tests.runs import make_run

STUDY = Study.model_validate(
    {
        "name": "kept",
        "cohort": CONTRACT.model_dump(exclude_unset=True),
        "steps": {"flow": {"kind": "check_cohort"}},
    }
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the folder of a site whose cohort has six cases with images."""
    run = make_run(tmp_path)
    shutil.rmtree(tmp_path / "cohorts" / "north")
    make_site(tmp_path / "cohorts" / "north", 6)
    return run.folder / "sites" / "north"


def _load(home: Path) -> SiteCohort:
    return load_cohort(load_site(home / "site.yaml"), STUDY)


def _folder(home: Path) -> Path:
    return Path(load_site(home / "site.yaml").cohorts[0])


def test_it_is_read_once(home: Path) -> None:
    assert _load(home) is _load(home)
    other = STUDY.model_copy(update={"name": "other"})  # draws its folds by another name
    assert load_cohort(load_site(home / "site.yaml"), other) is not _load(home)


def _other_voxels(folder: Path) -> None:
    write_volume(folder / "t1_0.nii.gz", anatomy(99))


def _no_image(folder: Path) -> None:
    (folder / "t1_0.nii.gz").unlink()


def _a_link(folder: Path) -> None:
    (folder / "t1_0.nii.gz").unlink()
    (folder / "t1_0.nii.gz").symlink_to(folder / "t1_1.nii.gz")


def _another_row(folder: Path) -> None:
    write_rows(folder, rows(5))


@pytest.mark.parametrize("change", [_other_voxels, _no_image, _a_link, _another_row])
def test_what_changed_is_seen(home: Path, change: Callable[[Path], None]) -> None:
    before = _load(home)
    change(_folder(home))
    assert _load(home) is not before


def test_a_file_that_was_missing_brings_its_case_back(home: Path) -> None:
    aside = _folder(home) / "aside.nii.gz"
    (_folder(home) / "t1_2.nii.gz").replace(aside)
    assert len(_load(home).cases) == 5
    aside.replace(_folder(home) / "t1_2.nii.gz")
    assert len(_load(home).cases) == 6


def test_a_slice_of_a_series_that_changed_is_seen(home: Path) -> None:
    folder = _folder(home)
    (folder / "t1_0.nii.gz").unlink()
    (folder / "t1_0.nii.gz").mkdir()
    (folder / "t1_0.nii.gz" / "slice_0").write_bytes(b"no image")
    before = _load(home)
    (folder / "t1_0.nii.gz" / "slice_0").write_bytes(b"none either")
    assert _load(home) is not before


def test_a_folder_that_is_opened_no_more_is_seen(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (_folder(home) / "t1_0.nii.gz").replace(elsewhere / "t1_0.nii.gz")
    made = rows(6)
    made[0]["t1"] = str(elsewhere / "t1_0.nii.gz")
    write_rows(_folder(home), made)
    file = home / "site.yaml"
    settings = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(settings | {"further_folders": [str(elsewhere)]}))
    assert len(_load(home).cases) == 6
    file.write_text(yaml.safe_dump(settings))
    with pytest.raises(Refused, match="cohort_invalid"):
        _load(home)
