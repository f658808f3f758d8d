"""A cohort that fits passes; every way not to fit is named, counted and left out."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from client.cases import Code, Severity
from client.check import check
from client.check_words import in_words
from common.cohort import Cohort
from common.study import Study
from tests.client.folders import (
    CONTRACT,
    anatomy,
    labels,
    make_site,
    rows,
    write_rows,
    write_volume,
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    make_site(tmp_path)
    return tmp_path


def spoil(site: Path, row: int, **cells: str) -> None:
    made = rows(4)
    made[row] |= cells
    write_rows(site, made)


def problem(site: Path, **options: object):
    """Return the only problem found."""
    found = check(CONTRACT, site, **options)
    assert not found.findings
    assert len(found.problems) == 1, [str(p) for p in found.problems]
    return found.problems[0]


def test_a_sound_cohort_comes_through_whole(site: Path):
    checked = check(CONTRACT, site)
    assert not checked.findings
    assert not checked.problems
    assert not checked.warnings
    case = checked.cases[1]
    assert (case.case_id, case.patient_id, case.split) == (
        "case_001",
        "p001",
        "validation",
    )
    assert case.images["t1"] == site / "t1_1.nii.gz"
    assert case.masks["tumour"] == site / "tumour_1.nii.gz"
    assert case.values == {"age": 41.0, "sex": 1.0}
    assert checked.flow.n_included == checked.flow.n_patients == 4
    assert checked.flow.splits == {"train": 2, "validation": 1, "test": 1}


def test_cases_come_in_the_order_of_their_names(site: Path):
    write_rows(site, rows(4)[::-1])
    names = [case.case_id for case in check(CONTRACT, site).cases]
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("cells", "code", "text"),
    [
        (
            {"age": "old"},
            Code.VALUE_WRONG_TYPE,
            'row 4 (case_002): "age": expected an integer, got "old"',
        ),
        (
            {"age": "17"},
            Code.VALUE_OUT_OF_RANGE,
            'row 4 (case_002): "age": expected 18 to 100 years, got 17',
        ),
        (
            {"sex": "mm"},
            Code.VALUE_UNKNOWN_LEVEL,
            'row 4 (case_002): "sex": unknown level "mm" (did you mean "m"?)',
        ),
        (
            {"sex": ""},
            Code.VALUE_MISSING,
            'row 4 (case_002): "sex": missing, but the study requires it',
        ),
        (
            {"t1": "gone.nii.gz"},
            Code.IMAGE_MISSING,
            'row 4 (case_002): "t1": no such file: "gone.nii.gz"',
        ),
        (
            {"t1": ""},
            Code.IMAGE_MISSING,
            'row 4 (case_002): "t1": no file is named, but the study requires it',
        ),
        (
            {"tumour": "gone.nii.gz"},
            Code.MASK_MISSING,
            'row 4 (case_002): "tumour": no such file: "gone.nii.gz"',
        ),
        (
            {"patient_id": ""},
            Code.NO_PATIENT,
            'row 4 (case_002): "patient_id": expected a pseudonym, got an empty cell',
        ),
    ],
)
def test_a_wrong_cell_leaves_its_case_out(site: Path, cells, code, text):
    spoil(site, 2, **cells)
    found = problem(site)
    assert (found.code, found.severity, str(found)) == (code, Severity.ERROR, text)
    checked = check(CONTRACT, site)
    assert "case_002" not in {case.case_id for case in checked.cases}
    assert checked.flow.excluded == {code: 1}
    assert checked.flow.n_screened == checked.flow.n_included + 1


def test_values_and_masks_that_may_be_missing_are(site: Path):
    spoil(site, 2, age="NA", tumour="")
    checked = check(CONTRACT, site)
    assert not checked.problems
    assert math.isnan(checked.cases[2].values["age"])
    assert checked.cases[2].masks == {"tumour": None}


@pytest.mark.parametrize(
    ("voxels", "code", "text"),
    [
        (np.full((4, 6, 5), 3.0), Code.IMAGE_CONSTANT, "every voxel is 3"),
        (
            np.where(np.arange(120).reshape(4, 6, 5) == 7, np.nan, anatomy(9)),
            Code.IMAGE_NOT_FINITE,
            "1 voxels are NaN or infinite",
        ),
    ],
)
def test_an_image_without_content_leaves_its_case_out(site: Path, voxels, code, text):
    write_volume(site / "t1_2.nii.gz", voxels)
    found = problem(site)
    assert (found.code, found.severity) == (code, Severity.ERROR)
    assert found.text == text


def test_an_unreadable_image_leaves_its_case_out(site: Path):
    (site / "t1_2.nii.gz").write_bytes(b"no image")
    assert problem(site).code is Code.IMAGE_UNREADABLE


@pytest.mark.parametrize(
    ("geometry", "text"),
    [
        ({"spacing": (1.0, 1.0, 3.0)}, "spacing 1.0x1.0x3.0 vs 1.0x1.0x1.0"),
        ({"origin": (0.0, -2.5, 0.0)}, "origin (0.0, -2.5, 0.0) vs (0.0, 0.0, 0.0) mm"),
    ],
)
def test_a_mask_on_another_grid_leaves_its_case_out(site: Path, geometry, text):
    write_volume(site / "tumour_2.nii.gz", labels(1, 2), **geometry)
    found = problem(site)
    assert found.code is Code.MASK_OTHER_GRID
    assert found.text == f'on another grid than "t1": {text}'


def test_a_mask_of_another_size_leaves_its_case_out(site: Path):
    write_volume(site / "tumour_2.nii.gz", labels(1, 2)[:3])
    assert problem(site).text == 'on another grid than "t1": 5x6x3 vs 5x6x4 voxels'


def test_rounding_of_a_header_is_no_other_grid(site: Path):
    geometry = {"spacing": (1.0001, 1.0, 0.9999), "origin": (0.004, 0.0, 0.0)}
    write_volume(site / "tumour_2.nii.gz", labels(1, 2), **geometry)
    assert not check(CONTRACT, site).problems


@pytest.mark.parametrize("value", [7.0, 1.5, -1.0])
def test_an_unknown_label_leaves_its_case_out(site: Path, value: float):
    write_volume(site / "tumour_2.nii.gz", labels(1, value))
    found = problem(site)
    assert found.code is Code.MASK_UNKNOWN_LABEL
    assert found.text == f"unknown label {value:g} (known: 0, 1, 2)"


def test_warnings_keep_the_case(site: Path):
    write_volume(site / "tumour_1.nii.gz", labels())
    write_volume(site / "t1_3.nii.gz", anatomy(0))
    checked = check(CONTRACT, site)
    assert [p.code for p in checked.problems] == [Code.MASK_EMPTY, Code.IMAGE_TWICE]
    assert checked.problems[1].text == 'the same voxels as "case_000"'
    assert checked.flow.n_included == 4
    assert checked.flow.warned == {Code.MASK_EMPTY: 1, Code.IMAGE_TWICE: 1}


def test_a_single_slice_is_a_warning(site: Path):
    write_volume(site / "t1_0.nii.gz", anatomy(0)[:1])
    write_volume(site / "tumour_0.nii.gz", labels(1)[:1])
    assert problem(site).code is Code.IMAGE_SINGLE_SLICE


def test_a_patient_in_two_splits_is_left_out_whole(site: Path):
    spoil(site, 1, patient_id="p000")
    checked = check(CONTRACT, site)
    assert {p.code for p in checked.problems} == {Code.PATIENT_IN_TWO_SPLITS}
    assert [case.case_id for case in checked.cases] == ["case_002", "case_003"]
    assert checked.problems[0].text == 'patient "p000" is in train and in validation'


def test_every_mistake_is_told_at_once(site: Path):
    made = rows(4)
    made[0] |= {"age": "x", "sex": "?"}
    made[1] |= {"case_id": "case_000", "split": "val"}
    write_rows(site, made)
    (site / "t1_3.nii.gz").write_bytes(b"")
    checked = check(CONTRACT, site)
    assert [str(finding) for finding in checked.findings] == [
        'cohort.csv:3: case_id: "case_000" stands already in row 2',
        'cohort.csv:3: split: (case_000) unknown split "val" (known: train, validation, test)',
    ]
    assert [p.code for p in checked.problems] == [
        Code.VALUE_WRONG_TYPE,
        Code.VALUE_UNKNOWN_LEVEL,
        Code.IMAGE_UNREADABLE,
    ]
    assert checked.cases == ()


def test_a_missing_column_names_the_nearest(site: Path):
    text = (site / "cohort.csv").read_text().replace("sex", "sexe", 1)
    (site / "cohort.csv").write_text(text.replace("age", "Alter", 1))
    checked = check(CONTRACT, site)
    assert str(checked.findings[0]) == (
        'cohort.csv:1: sex: the column is missing (did you mean "sexe"?)'
    )
    assert [w.path for w in checked.warnings] == ["age"]


def test_columns_may_be_renamed_by_the_site(site: Path):
    text = (site / "cohort.csv").read_text().replace("sex", "Geschlecht", 1)
    (site / "cohort.csv").write_text(text)
    assert check(CONTRACT, site).findings
    assert len(check(CONTRACT, site, renames={"Geschlecht": "sex"}).cases) == 4


def test_no_case_left_says_why(site: Path):
    write_rows(site, [row | {"sex": "x"} for row in rows(4)])
    assert str(check(CONTRACT, site).findings[0]) == (
        "cohort.csv: no case fits the study: value_unknown_level (4)"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cohort.csv: the file is empty"),
        ("case_id,patient_id,t1,sex\n", "cohort.csv: no row below the heading"),
    ],
)
def test_an_empty_file_is_refused(site: Path, text: str, said: str):
    (site / "cohort.csv").write_text(text)
    assert [str(f) for f in check(CONTRACT, site).findings] == [said]


def test_a_missing_file_is_refused(tmp_path: Path):
    said = [str(f) for f in check(CONTRACT, tmp_path).findings]
    assert said == ["cohort.csv: cannot be read: No such file or directory"]


def test_a_shallow_check_opens_nothing(site: Path):
    (site / "t1_2.nii.gz").write_bytes(b"no image")
    assert not check(CONTRACT, site, deep=False).problems
    assert len(check(CONTRACT, site).problems) == 1


def test_a_table_needs_no_images(site: Path):
    columns = Cohort(columns=CONTRACT.columns)
    assert len(check(columns, site).cases) == 4


def test_the_flow_adds_up_when_a_case_has_two_problems(site: Path):
    spoil(site, 0, age="x", sex="y", t1="gone")
    flow = check(CONTRACT, site).flow
    assert sum(flow.excluded.values()) + flow.n_included == flow.n_screened == 4


@pytest.mark.parametrize("how", ["upwards", "absolute", "link", "link to a folder", "series"])
def test_a_file_outside_the_folder_is_refused_unread(site: Path, tmp_path_factory, how: str):
    other = tmp_path_factory.mktemp("other")
    shutil.copyfile(site / "t1_2.nii.gz", other / "a.nii.gz")
    (site / "link.nii.gz").symlink_to(other / "a.nii.gz")
    (site / "linked").symlink_to(other)
    (site / "series").mkdir()
    (site / "series" / "1.dcm").symlink_to(other / "a.nii.gz")
    cell = {
        "upwards": f"../{other.name}/a.nii.gz",
        "absolute": str(other / "a.nii.gz"),
        "link": "link.nii.gz",
        "link to a folder": "linked/a.nii.gz",
        "series": "series",
    }[how]
    spoil(site, 2, t1=cell)
    checked = check(CONTRACT, site)
    (finding,) = checked.findings
    assert (finding.line, finding.path) == (4, "t1")
    assert finding.message.startswith(f'"{cell}": outside the site\'s folder')
    assert checked.cases == ()
    assert how == "series" or check(CONTRACT, site, further=[other]).flow.n_included == 4


def test_files_outside_are_counted_and_links_inside_are_welcome(site: Path):
    (site / "link.nii.gz").symlink_to("t1_0.nii.gz")
    spoil(site, 0, t1="link.nii.gz")
    assert check(CONTRACT, site).findings == ()
    write_rows(site, [row | {"t1": "../x.nii.gz"} for row in rows(4)])
    (finding,) = check(CONTRACT, site).findings
    assert finding.message.startswith('"../x.nii.gz" and 3 more: outside')


def test_a_folder_whose_name_begins_alike_is_outside(site: Path):
    twin = site.with_name(site.name + "-2")
    twin.mkdir()
    shutil.copyfile(site / "t1_0.nii.gz", twin / "t1_0.nii.gz")
    spoil(site, 0, t1=f"../{twin.name}/t1_0.nii.gz")
    assert check(CONTRACT, site).findings


@pytest.mark.parametrize("cell", ["x" * 5000, "a\0b"])
def test_a_name_no_file_can_have_is_a_finding(site: Path, cell: str):
    spoil(site, 0, t1=cell)
    checked = check(CONTRACT, site)
    assert checked.findings or checked.problems


@pytest.mark.parametrize("cell", ["nan", "NaN", "NA", "N/A", "null", "None", ""])
def test_what_programs_write_for_nothing_is_missing(site: Path, cell: str):
    spoil(site, 2, age=cell, tumour=cell)
    checked = check(CONTRACT, site)
    assert not checked.problems
    assert math.isnan(checked.cases[2].values["age"])
    assert checked.cases[2].masks == {"tumour": None}


@pytest.mark.parametrize(
    ("setting", "is_said"), [("force2D: false", True), ("force2D: true", False)]
)
def test_single_slices_are_told_once_and_only_where_a_step_reads_volumes(
    site: Path, setting: str, is_said: bool
):
    for i in range(2):
        write_volume(site / f"t1_{i}.nii.gz", anatomy(i)[:1])
        write_volume(site / f"tumour_{i}.nii.gz", labels(1)[:1])
    setting = f"force2D: {str(not is_said).lower()}"
    profile = f"setting: {{{setting}}}\nfeatureClass: {{firstorder: [Mean]}}\n"
    step = {"kind": "extract", "of": ["t1"], "masks": ["tumour"], "profile": profile}
    study = Study.model_validate({"name": "s", "cohort": CONTRACT, "steps": {"features": step}})
    told = [*in_words(study, site, check(CONTRACT, site))]
    text = f'{site}/cohort.csv: 2 cases: "t1": a single slice'
    assert [t[0][: len(text)] for t in told] == [text] * is_said
    assert all(t[0].endswith("(case_000, case_001)") and t[1] for t in told)
