"""A phantom cohort on disk: whole or not at all, and sound by its own contract."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from client.check import check
from client.imageio import read_image
from client.ingest.phantoms import STAMP, write
from common.errors import ConfigError
from common.phantoms.cases import contract, draw, plan_site
from common.phantoms.spec import PhantomSpec, load_spec

DEMO = Path(__file__).resolve().parents[3] / "studies" / "phantom_cohorts.yaml"
SPEC = PhantomSpec.model_validate(
    {
        "seed": 3,
        "sites": {
            "north": {"n_patients": 5, "reader2": 0.5},
            "south": {
                "n_patients": 4,
                "unlabelled": 0.5,
                "scanner": {"oblique_deg": 20, "spacing_mm": [2, 1, 1]},
            },
        },
    }
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write(SPEC, tmp_path_factory.mktemp("phantoms"))


def state(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*")}


def test_every_site_fits_the_contract(folders: dict[str, Path]):
    for name, folder in folders.items():
        checked = check(contract(SPEC), folder)
        assert not checked.findings
        assert not checked.problems
        plans = list(plan_site(SPEC, name))
        assert {c.case_id for c in checked.cases} == {p.case_id for p in plans}
        labelled = {c.case_id for c in checked.cases if c.masks["organ"]}
        assert labelled == {p.case_id for p in plans if p.labelled}


def test_the_disk_holds_what_was_drawn(folders: dict[str, Path]):
    plan = next(plan_site(SPEC, "south"))
    found = read_image(folders["south"] / "images" / f"{plan.case_id}_t1.nii.gz")
    assert np.array_equal(found.voxels, draw(SPEC, plan).images["t1"])
    assert found.grid.spacing_mm == pytest.approx((2.0, 1.0, 1.0))
    assert found.grid.axes[0][2] == pytest.approx(np.cos(np.deg2rad(20)), abs=1e-6)


def test_truth_lies_beside_the_data(folders: dict[str, Path]):
    told = json.loads((folders["north"] / "truth.json").read_text())
    assert told["effects"] == SPEC.effects.model_dump(mode="json")
    assert len(told["cases"]) == len(list(plan_site(SPEC, "north")))


def test_a_second_call_touches_nothing(folders: dict[str, Path]):
    before = state(folders["north"].parent)
    write(SPEC, folders["north"].parent)
    assert state(folders["north"].parent) == before


def test_a_change_at_one_site_rebuilds_that_site_only(tmp_path: Path):
    write(SPEC, tmp_path)
    south = state(tmp_path / "south")
    sites = dict(SPEC.sites)
    sites["north"] = sites["north"].model_copy(update={"n_patients": 3})
    write(SPEC.model_copy(update={"sites": sites}), tmp_path)
    assert len((tmp_path / "north" / "cohort.csv").read_text().splitlines()) < 8
    assert state(tmp_path / "south") == south
    assert sorted(p.name for p in tmp_path.iterdir()) == ["north", "south"]


def test_a_folder_that_lost_a_file_is_rebuilt(tmp_path: Path):
    folder = write(SPEC, tmp_path)["north"]
    lost = next(folder.glob("images/*_t2.nii.gz"))
    lost.unlink()
    write(SPEC, tmp_path)
    assert lost.exists()


@pytest.mark.parametrize(
    ("file", "word"), [("images/mycase_t1.nii.gz", "added"), ("cohort.csv", "changed")]
)
def test_what_somebody_changed_or_added_stays(tmp_path: Path, file: str, word: str):
    folder = write(SPEC, tmp_path)["north"]
    (folder / file).write_text("mine")
    next(folder.glob("images/*_t2.nii.gz")).unlink()
    with pytest.raises(ConfigError, match=f"{file} {word} since .* move the folder away"):
        write(SPEC, tmp_path)
    assert (folder / file).read_text() == "mine"


def test_a_copied_folder_is_what_was_written(tmp_path: Path):
    folder = write(SPEC, tmp_path / "one")["north"]
    shutil.copytree(folder.parent, tmp_path / "two", copy_function=shutil.copyfile)
    before = (tmp_path / "two" / "north" / "cohort.csv").stat().st_mtime_ns
    write(SPEC, tmp_path / "two")
    assert (tmp_path / "two" / "north" / "cohort.csv").stat().st_mtime_ns == before


def test_a_crash_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("client.ingest.phantoms.write_sheet", fail)
    with pytest.raises(OSError, match="disk full"):
        write(SPEC, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "north").mkdir()
    (tmp_path / "north" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="found other files"):
        write(SPEC, tmp_path)
    assert (tmp_path / "north" / "thesis.txt").read_text() == "mine"
    assert not (tmp_path / "south").exists()


def test_the_demo_has_all_that_it_shows(tmp_path: Path):
    spec = load_spec(DEMO.read_text(), DEMO.name)
    counts = {}
    for name, site in spec.sites.items():
        plans = list(plan_site(spec, name))
        counts[name] = len(plans)
        splits = {plan.split for plan in plans}
        external = site.role == "external"
        assert splits == ({"test"} if external else {"train", "validation", "test"})
        assert len(plans) > site.n_patients  # somebody has two cases
    assert all(12 <= n <= 24 for n in counts.values())
    assert not (tmp_path / STAMP).exists()
