"""Extraction at sites: broken cases are put aside, counted and named; nothing else changes."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
import yaml
from radiomics.featureextractor import RadiomicsFeatureExtractor

import client.radiomics.engine
import client.regions
from client.case_features import Wanted, extract_case
from client.extracting import _say_engine
from client.imageio import read_image
from client.regions import region_in
from client.tables import read_kept
from common.errors import ConfigError
from common.radiomics.faults import Fault, Faulty
from common.radiomics.profile import read_profile
from common.radiomics.regions import Region
from server.report.write import write_report
from server.run import Run
from server.simulate import simulate
from tests.radiomics_sites import PROFILE, run_of, scan, tumour, write_image, write_site

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

STEPS = f"""
  features:
    kind: extract
    of: [t2]
    masks: [tumour]
    profile: |
{"".join(f"      {line}" + chr(10) for line in PROFILE.strip().splitlines())}
  shape: {{kind: moments, of: ["features.*"], over: [all]}}
  shapes: {{kind: site_shapes, of: ["features.*"], scale: shape, epsilon: 4}}
  apart: {{kind: site_distances, of: shapes}}
"""


POLICY = {"per_site": True, "fewest_sites": 2}


def answer(run: Run, step: str) -> dict[str, Any]:
    found = json.loads((run.folder / "answers.json").read_text())
    assert not found["failed"].get(step), found["failed"]
    of: dict[str, Any] = found["answers"][step]["all"]
    return of


def columns(run: Run, site: str, step: str = "features") -> dict[str, np.ndarray]:
    (path,) = (run.folder.parent / ".sites").glob(f"{site}-*/runs/{run.id}/columns/{step}.npz")
    cases, kept = read_kept(path)
    return {"case_id": np.array(cases), **kept}


def put_aside(run: Run, site: str) -> dict[tuple[str, str, str], str]:
    """Return the beginning of what a site's own file says, by case, step and reason."""
    (path,) = (run.folder.parent / ".sites").glob(f"{site}-*/runs/{run.id}/quarantine.csv")
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return {
        (row["case_id"], row["step"], row["reason"]): ":".join(row["detail"].split(":")[:2])
        for row in rows
    }


def check_quarantine(run: Run) -> None:
    """Each site names every case put aside, by the check and by steps; no name is sent."""
    assert put_aside(run, "s0") == {
        ("c03", "features", "mask_empty"): "no voxel has one of the values (1,)",
        ("c04", "cohort check", "mask_other_grid"): "row 6: tumour",
    }
    assert put_aside(run, "s1") == {("c05", "cohort check", "image_not_finite"): "row 7: t2"}
    sent = (run.folder / "journal.jsonl").read_text(encoding="utf-8")
    assert not re.search(r"\bc0[345]\b", sent)  # a digest may hold these three letters


def test_27_of_30_cases_are_done_where_three_are_broken(tmp_path: Path) -> None:
    """An empty mask and a mask off the image at one site, NaN voxels at the other."""
    write_site(tmp_path / "s0", 14)
    write_site(tmp_path / "s1", 16, first=100)
    write_image(tmp_path / "s0" / "3_tumour.nii.gz", np.zeros_like(tumour()))
    write_image(tmp_path / "s0" / "4_tumour.nii.gz", tumour(), origin=(900, 0, 0))
    voxels = scan(1)
    voxels[5, 5, 5] = np.nan
    write_image(tmp_path / "s1" / "5_t2.nii.gz", voxels)
    run = run_of(tmp_path, STEPS, sites=2, about={"policy": POLICY})
    simulate(run, engine="threads", workers=1)
    found = answer(run, "features")
    assert (found["n_screened"], found["n_in_cohort"], found["done"]) == (30, 28, 27)
    assert found["reasons"] == {"mask_empty": 1}
    assert found["left_out"] == {"image_not_finite": 1, "mask_other_grid": 1}
    assert found["grey_levels"] == {"t2": {"below_8": 0, "8_to_256": 27, "above_256": 0}}
    assert answer(run, "shape")["n"] == 28
    assert [(p["a"], p["b"]) for p in answer(run, "apart")["pairs"]] == [("s0", "s1")]
    page = write_report(run).read_text(encoding="utf-8")
    assert "Counts have noise" in page  # the shapes are a picture, not plain tables
    assert "3 cases of 30 put aside" in page
    assert "a region is empty" in page
    assert "the mask lies on another grid" in page
    made = columns(run, "s0")
    assert np.isnan(made["t2_original_firstorder_Mean"]).sum() == 1
    folder = next((run.folder.parent / ".sites").glob(f"s0-*/runs/{run.id}/columns"))
    check_quarantine(run)
    origin = json.loads((folder / "features.provenance.json").read_text())
    assert origin["cases"]["c00"]["t2_tumour"]["n_voxels"] == tumour().sum()
    assert origin["versions"]["pyradiomics"]


def test_columns_are_what_pyradiomics_gives_and_a_second_run_extracts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(2):
        write_site(tmp_path / f"s{i}", 10, first=100 * i)
    steps = STEPS.replace("[tumour]", '[tumour, "tumour@b"]')
    run = run_of(tmp_path, steps, sites=2, about={"policy": POLICY})
    simulate(run, engine="threads", workers=1)
    made = columns(run, "s1")
    case = tmp_path / "s1"
    extractor = RadiomicsFeatureExtractor(yaml.safe_load(PROFILE))
    for prefix, file in (("tumour", "4_tumour"), ("tumour@b", "4_tumour_b")):
        known = extractor.execute(str(case / "4_t2.nii.gz"), str(case / f"{file}.nii.gz"))
        names = [name for name in known if not name.startswith("diagnostics")]
        assert len(names) == 4
        for name in names:
            assert made[f"{prefix}.t2_{name}"][4] == pytest.approx(float(known[name]), rel=1e-9)
    assert np.isnan(made["tumour@b.t2_original_glcm_Contrast"]).tolist() == [False, True] * 5
    assert answer(run, "features")["done"] == 20  # a mask that nobody drew is no failure
    monkeypatch.setattr(client.regions, "read_image", None)
    again = run_of(tmp_path, steps, sites=2, about={"policy": POLICY})
    simulate(again, engine="threads", workers=1)
    assert answer(again, "features")["done"] == 20
    np.testing.assert_array_equal(
        columns(again, "s1")["tumour.t2_original_glcm_Contrast"],
        made["tumour.t2_original_glcm_Contrast"],
    )


def test_nothing_is_added_up_where_software_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(2):
        write_site(tmp_path / f"s{i}", 10, first=100 * i)
    run = run_of(tmp_path, STEPS, sites=2, about={"policy": POLICY})
    marks = iter(["a", "b"])
    monkeypatch.setattr(client.radiomics.engine, "self_test", lambda _: next(marks))
    simulate(run, engine="threads", workers=1)
    found = json.loads((run.folder / "answers.json").read_text())
    assert "self-test gives different features" in found["failed"]["features"]["all"]
    assert "features" not in found["answers"] or not found["answers"]["features"]


def test_where_pyradiomics_runs_itself_the_site_s_log_says_so(tmp_path: Path) -> None:
    write_site(tmp_path / "s0", 10)
    uneven = STEPS.split("  shape:")[0].replace("binWidth: 10", "binWidth: 10, distances: [1, 3]")
    run = run_of(tmp_path, uneven, sites=1)
    simulate(run, engine="threads", workers=1)
    assert answer(run, "features")["done"] == 10
    (log,) = (run.folder.parent / ".sites").glob("s0-*/site.log")
    said = "t2: PyRadiomics runs, not the fast engine: Original: distances beyond 2"
    assert said in log.read_text(encoding="utf-8")
    (origin,) = log.parent.glob(f"runs/{run.id}/columns/features.provenance.json")
    about = json.loads(origin.read_text(encoding="utf-8"))["cases"]["c00"]["t2_tumour"]
    assert about["engine"] == "pyradiomics"
    extractor = RadiomicsFeatureExtractor(yaml.safe_load(PROFILE) | {"setting": {
        "binWidth": 10, "distances": [1, 3]}})  # fmt: skip
    files = (str(tmp_path / "s0" / name) for name in ("0_t2.nii.gz", "0_tumour.nii.gz"))
    known = extractor.execute(*files)["original_glcm_Contrast"]
    found = columns(run, "s0")["t2_original_glcm_Contrast"][0]
    assert found == pytest.approx(float(known), rel=1e-12)


def test_the_site_s_log_says_who_makes_local_binary_patterns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO"):
        _say_engine({"t2": read_profile("imageType: {LBP2D: {binWidth: 1}}")})
    assert "t2: PyRadiomics makes the images of LBP2D" in caplog.text


CASE = Wanted("c", {}, {}, (Region("t2", "tumour", (1,), "t2_"),), {"t2": PROFILE})


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        (Fault.IMAGE_MISSING, {"images": {}}),
        (Fault.IMAGE_UNREADABLE, {"images": {"t2": Path(__file__)}}),
        (Fault.MASK_UNREADABLE, {"masks": {"tumour": Path(__file__)}}),
        (Fault.MASK_MISSING, {"masks": {"tumour": None}}),
        (Fault.MASK_EMPTY, {"regions": (Region("t2", "tumour", (2,), "t2_"),)}),
        (Fault.OUT_OF_UNIT, {"medians": {"t2": (0.2, 4.0)}}),
        (Fault.ONE_GREY_LEVEL, {"profiles": {"t2": PROFILE.replace("10", "1e6")}}),
    ],
)
def test_each_fault_is_found_in_a_case(
    tmp_path: Path, fault: Fault, change: dict[str, Any]
) -> None:
    write_site(tmp_path / "s", 1)
    paths = {
        "images": {"t2": tmp_path / "s" / "0_t2.nii.gz"},
        "masks": {"tumour": tmp_path / "s" / "0_tumour.nii.gz"},
        "cache": tmp_path,
    }
    sound = replace(CASE, **paths)
    assert extract_case(sound).fault == ("", "")
    assert extract_case(replace(sound, **change)).fault[0] == fault


def test_a_scale_of_the_site_brings_grey_levels_into_the_unit(tmp_path: Path) -> None:
    write_site(tmp_path / "s", 1)
    adc = Wanted(
        "c",
        {"t2": tmp_path / "s" / "0_t2.nii.gz"},
        {"tumour": tmp_path / "s" / "0_tumour.nii.gz"},
        CASE.regions,
        CASE.profiles,
        cache=tmp_path,
    )
    (plain,), (scaled,) = (
        extract_case(replace(adc, scales=scales)).regions for scales in ({}, {"t2": 2.0})
    )
    assert plain
    assert scaled
    mean = "original_firstorder_Mean"
    assert scaled.features[mean] == pytest.approx(2 * plain.features[mean])


def test_a_mask_of_another_image_is_brought_onto_the_grid(tmp_path: Path) -> None:
    mask = np.zeros((20, 28, 28), np.uint8)
    mask[6:14, 8:18, 8:18] = 1
    fine = SimpleITK.GetImageFromArray(mask)
    fine.SetSpacing((0.5, 0.5, 1.0))
    fine.SetOrigin((-0.25, -0.25, -0.5))
    SimpleITK.WriteImage(fine, str(tmp_path / "fine.nii.gz"))
    write_image(tmp_path / "t2.nii.gz", scan(0))
    onto = read_image(tmp_path / "t2.nii.gz").grid
    found = region_in(read_image(tmp_path / "fine.nii.gz"), (1,), onto, own=False)
    np.testing.assert_array_equal(found, tumour() > 0)
    with pytest.raises(Faulty, match="mask_other_grid"):
        region_in(read_image(tmp_path / "fine.nii.gz"), (1,), onto, own=True)
    fine.SetOrigin((500, 0, 0))
    SimpleITK.WriteImage(fine, str(tmp_path / "far.nii.gz"))
    with pytest.raises(Faulty, match="mask_off_image"):
        region_in(read_image(tmp_path / "far.nii.gz"), (1,), onto, own=False)


def test_a_profile_with_mistakes_names_them_and_the_nearest(tmp_path: Path) -> None:
    steps = STEPS.replace("glcm: [Contrast]", "glcm: [Contrst], gldn: ")
    write_site(tmp_path / "s0", 1)
    with pytest.raises(ConfigError) as caught:
        run_of(tmp_path, steps, sites=1)
    assert "Contrst" in str(caught.value)
    assert "gldm" in str(caught.value)
    with pytest.raises(ConfigError, match=r'unknown preset "mri" .did you mean "mr"'):
        run_of(
            tmp_path, "\n  f: {kind: extract, of: [t2], masks: [tumour], profile: mri}\n", sites=1
        )
