"""nnU-Net's raw format and BIDS become a site's folder."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from client.check import check
from client.ingest.bids import Wanted, import_bids
from client.ingest.nnunet import import_nnunet
from common.cohort import Cohort
from common.errors import ConfigError
from tests.client.folders import anatomy, labels, write_volume

LISTED = {
    "channel_names": {"0": "T1 w", "1": "ADC"},
    "labels": {"background": 0, "whole": [1, 2], "Edema": 1, "core": 2, "ignore": 3},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


def rows_of(folder: Path) -> list[dict[str, str]]:
    return [*csv.DictReader((folder / "cohort.csv").read_text().splitlines())]


def write_raw(folder: Path, listed: dict[str, Any] = LISTED) -> Path:
    for part, cases in (("Tr", ("p1_a", "p1_b")), ("Ts", ("p2_a",))):
        for kind in ("images", "labels"):
            (folder / f"{kind}{part}").mkdir(parents=True)
        for i, case in enumerate(cases):
            for channel in range(2):
                path = folder / f"images{part}" / f"{case}_{channel:04d}.nii.gz"
                write_volume(path, anatomy(4 * (part == "Ts") + 2 * i + channel))
            if part == "Tr":
                write_volume(folder / f"labels{part}" / f"{case}.nii.gz", labels(1, 2))
    (folder / "dataset.json").write_text(json.dumps(listed))
    return folder


def test_nnunet_s_raw_format_fits_the_study_that_it_declares(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "Dataset001_Brain")
    done = import_nnunet(raw, tmp_path / "north", mask="tumour", patient=r"(.+)_")
    assert done.labels == {"edema": 1, "core": 2}
    assert (done.images, done.n_cases, done.n_tests) == (("t1_w", "adc"), 2, 1)
    rows = rows_of(tmp_path / "north")
    assert [r["patient_id"] for r in rows] == ["p1", "p1", "p2"]
    assert [r["split"] for r in rows] == ["", "", "test"]
    assert [bool(r["tumour"]) for r in rows] == [True, True, False]
    contract = {
        "images": {"t1_w": {"modality": "MR"}, "adc": {"modality": "MR"}},
        "masks": {"tumour": {"on": "t1_w", "labels": done.labels, "required": False}},
    }
    checked = check(Cohort.model_validate(contract), tmp_path / "north", further=(raw,))
    assert not checked.problems
    assert checked.flow.n_included == 3


def test_nnunet_s_mistakes_are_named_at_once(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw")
    (raw / "imagesTr" / "p1_b_0001.nii.gz").unlink()
    (raw / "labelsTr" / "p1_a.nii.gz").unlink()
    with pytest.raises(ConfigError) as caught:
        import_nnunet(raw, tmp_path / "out", patient=r"q(\d)")
    assert len(caught.value.findings) == 5  # two files, and a patient for none of three cases
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="expected 2 distinct names for T1 w, ADC"):
        import_nnunet(raw, tmp_path / "out", images=["t1"])
    with pytest.raises(ConfigError, match="is not here"):
        import_nnunet(tmp_path, tmp_path / "out")


def touch(root: Path, *names: str) -> None:
    for name in names:
        subject, session = name.split("_")[:2]
        derived = root / "derivatives" / "reader" if name.endswith("mask.nii.gz") else root
        folder = derived / subject / (session if session.startswith("ses-") else "") / "anat"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_bids_makes_a_case_of_every_session(tmp_path: Path) -> None:
    root = tmp_path / "bids"
    touch(
        root,
        "sub-01_ses-1_T1w.nii.gz",
        "sub-01_ses-1_acq-post_T1w.nii.gz",
        "sub-01_ses-2_T1w.nii.gz",
        "sub-02_T1w.nii.gz",
        "sub-02_acq-post_run-1_T1w.nii.gz",
        "sub-01_ses-1_label-tumour_mask.nii.gz",
    )
    (root / "participants.tsv").write_text("participant_id\tage\nsub-01\t61\nsub-02\tn/a\n")
    wanted = Wanted({"t1": "T1w", "t1c": "acq-post_T1w"}, {"tumour": "label-tumour_mask"})
    assert import_bids(root, tmp_path / "out", wanted) == {"t1": 3, "t1c": 2, "tumour": 1}
    rows = rows_of(tmp_path / "out")
    assert [r["case_id"] for r in rows] == ["sub-01_ses-1", "sub-01_ses-2", "sub-02"]
    assert [r["session"] for r in rows] == ["ses-1", "ses-2", ""]
    assert [r["age"] for r in rows] == ["61", "61", ""]
    assert rows[0]["t1"] == "../bids/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"
    assert rows[0]["tumour"].startswith("../bids/derivatives/reader/sub-01/ses-1/")


def test_bids_says_what_is_ambiguous_or_nowhere(tmp_path: Path) -> None:
    touch(tmp_path, "sub-01_run-1_T1w.nii.gz", "sub-01_run-2_T1w.nii.gz")
    with pytest.raises(ConfigError, match='2 files fit "T1w": sub-01_run-1_T1w'):
        import_bids(tmp_path, tmp_path / "out", Wanted({"t1": "T1w"}, {}))
    with pytest.raises(ConfigError, match='no file fits "T2w"'):
        import_bids(tmp_path, tmp_path / "out", Wanted({"t1": "run-1_T1w", "t2": "T2w"}, {}))
    with pytest.raises(ConfigError, match=r"holds no folder sub-\*"):
        import_bids(tmp_path / "out", tmp_path / "out", Wanted({"t1": "T1w"}, {}))
