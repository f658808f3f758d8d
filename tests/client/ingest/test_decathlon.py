"""A Decathlon or MONAI data list becomes sites' folders, split by patient."""

import json
from pathlib import Path

import pytest

from client.check import check
from client.ingest.decathlon import Columns, import_decathlon
from common.cohort import Cohort
from common.errors import ConfigError
from tests.client.folders import anatomy, labels, write_volume

NAMES = Columns(images=("t1",), mask="tumour")
CONTRACT = Cohort.model_validate(
    {
        "images": {"t1": {"modality": "MR"}},
        "masks": {"tumour": {"on": "t1", "labels": {"a": 1, "b": 2}, "required": False}},
    }
)
SPLITS = {
    "about": "for readers",
    "sites": {
        "north": {"train": ["c0", "c1"], "val": ["c2"]},
        "south": {"train": ["c3"], "validation": ["c4"], "test": ["c5"]},
    },
    "external_test": ["c6"],
    "patients": {"c0": "p0", "c1": "p0"},
}


class Source:
    """A data list of eight cases on disk, which tests may spoil."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for kind, make in (("imagesTr", anatomy), ("labelsTr", lambda _: labels(1, 2))):
            (folder / kind).mkdir(parents=True)
            for i in range(8):
                write_volume(folder / kind / f"c{i}.nii.gz", make(i))
        self.cases = [
            {"image": f"./imagesTr/c{i}.nii.gz", "label": f"./labelsTr/c{i}.nii.gz"}
            for i in range(8)
        ]
        self.splits = json.loads(json.dumps(SPLITS))
        self.bare: dict[str, list[str]] = {}

    def load(self, out: Path, **options):
        listed = {"name": "Test", "labels": {"0": "none"}, "training": self.cases, **self.bare}
        (self.folder / "dataset.json").write_text(json.dumps(listed, indent="\t"))
        (self.folder / "splits.json").write_text(json.dumps(self.splits, indent=1))
        return import_decathlon(
            self.folder / "dataset.json",
            self.folder / "splits.json",
            out,
            columns=NAMES,
            **options,
        )

    def refuses(self, out: Path) -> list[str]:
        with pytest.raises(ConfigError) as error:
            self.load(out)
        assert not out.exists()
        prefix = f"{self.folder}/"
        return [str(finding).replace(prefix, "") for finding in error.value.findings]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "source")


@pytest.mark.parametrize("link", ["reference", "symlink", "copy"])
def test_every_site_gets_a_folder_that_passes_the_check(source, tmp_path, link):
    report = source.load(tmp_path / "out", link=link)
    assert report.n_unused == 1
    assert report.counts == {
        "north": {"train": 2, "validation": 1},
        "south": {"train": 1, "validation": 1, "test": 1},
        "external": {"test": 1},
    }
    assert str(report).splitlines()[0] == "north: 2 train, 1 validation"
    for site, folder in report.folders.items():
        checked = check(CONTRACT, folder, further=[source.folder])
        assert not checked.findings
        assert not checked.problems
        assert checked.flow.splits == report.counts[site]
    north = check(CONTRACT, report.folders["north"], further=[source.folder])
    assert [case.patient_id for case in north.cases] == ["p0", "p0", "c2"]


def test_copies_live_without_their_source(source, tmp_path):
    report = source.load(tmp_path / "out", link="copy")
    source.folder.rename(tmp_path / "gone")
    assert not check(CONTRACT, report.folders["north"]).problems


def test_a_second_import_replaces_the_first(source, tmp_path):
    source.load(tmp_path / "out", link="symlink")
    source.splits["sites"]["north"]["val"] = []
    report = source.load(tmp_path / "out", link="symlink")
    assert report.counts["north"] == {"train": 2}
    assert len(check(CONTRACT, report.folders["north"], further=[source.folder]).cases) == 2


def test_a_patient_stands_for_all_its_cases(source, tmp_path):
    source.splits["sites"]["north"]["train"] = ["p0"]
    assert source.load(tmp_path / "out").counts["north"]["train"] == 2


def test_patients_come_from_cases_csv_where_the_splits_name_none(source, tmp_path):
    del source.splits["patients"]
    (source.folder / "cases.csv").write_text("case,subject\nc0,s0\nc1,s0\nc2,s0\n")
    assert source.refuses(tmp_path / "out") == [
        'splits.json: sites.north.val.0: patient "s0" is in train of north and in '
        "validation of north; a patient goes to one place only"
    ]


def test_unlabelled_cases_train_without_their_mask(source, tmp_path):
    source.splits["sites"]["north"] = {"labelled": ["c0", "c1"], "unlabelled": ["c2"]}
    del source.cases[2]["label"]
    folder = source.load(tmp_path / "out").folders["north"]
    cases = check(CONTRACT, folder, further=[source.folder]).cases
    assert [case.split for case in cases] == ["train"] * 3
    assert [case.masks["tumour"] is None for case in cases] == [False, False, True]


def test_every_mistake_is_told_at_once(source, tmp_path):
    source.splits["sites"]["south"]["train"] = ["c33", "c2"]
    source.splits["sites"]["south"]["test"] = ["c5", "c5"]
    source.splits["patients"] |= {"c4": "p0"}
    source.cases[3] = dict(source.cases[3], image="./imagesTr/c0.nii.gz")
    del source.cases[1]["label"]
    (source.folder / "imagesTr" / "c6.nii.gz").unlink()
    assert source.refuses(tmp_path / "out") == [
        'dataset.json: case "c0" stands here twice',
        'splits.json: sites.south.train.0: "c33" is not in the data list',
        'splits.json: sites.south.train.1: case "c2" stands already at sites.north.val.0',
        'splits.json: sites.south.test.1: case "c5" stands already at sites.south.test.0',
        'splits.json: sites.south.validation.0: patient "p0" is in train of north and '
        "in validation of south; a patient goes to one place only",
        'splits.json: sites.south.train.1: patient "c2" is in validation of north and '
        "in train of south; a patient goes to one place only",
        'dataset.json: c1: no label; in training a case without one belongs under "unlabelled"',
        'dataset.json: c6: no such file: "./imagesTr/c6.nii.gz"',
    ]


def test_an_unknown_key_names_the_nearest(source, tmp_path):
    source.splits["sites"]["north"]["validaton"] = []
    (said,) = source.refuses(tmp_path / "out")
    assert said.endswith('validaton: unknown key; did you mean "validation"?')


def test_a_column_name_must_be_one(source, tmp_path):
    source.load(tmp_path / "out")
    with pytest.raises(ConfigError, match='--mask: expected a name like "tumour"'):
        import_decathlon(
            source.folder / "dataset.json",
            source.folder / "splits.json",
            tmp_path / "out",
            columns=Columns(images=("t1",), mask="Tumour"),
        )


@pytest.mark.realdata
def test_the_hippocampus_comes_through_whole(shared_data: Path, tmp_path: Path):
    source = shared_data / "hippocampus"
    names = Columns(images=("t1",), mask="hippocampus")
    report = import_decathlon(
        source / "dataset.json", source / "splits.json", tmp_path, columns=names
    )
    counts = {site: dict(splits) for site, splits in report.counts.items()}
    assert counts == {
        "site_1": {"train": 34, "validation": 9},
        "site_2": {"train": 58, "validation": 15},
        "site_3": {"train": 33, "validation": 8},
        "site_4": {"train": 18, "validation": 4},
        "external": {"test": 21},
    }
    contract = Cohort.model_validate(
        {
            "images": {"t1": {"modality": "MR"}},
            "masks": {"hippocampus": {"on": "t1", "labels": {"anterior": 1, "posterior": 2}}},
        }
    )
    folders = report.folders.values()
    assert all("outside the site" in str(check(contract, f).findings) for f in folders)
    checks = [check(contract, folder, further=[source]) for folder in folders]
    assert sum(checked.flow.n_included for checked in checks) == 200
    assert not [str(p) for checked in checks for p in checked.problems]


@pytest.mark.parametrize("given", [True, False])
def test_labels_of_tests_may_lie_elsewhere(source, tmp_path, given):
    secret = tmp_path / "secret"
    secret.mkdir()
    write_volume(secret / "c5.nii.gz", labels(1, 2))
    bare = {"test": ["./imagesTr/c5.nii.gz"]}
    source.cases, source.bare = [c for c in source.cases if "c5" not in c["image"]], bare
    source.load(tmp_path / "out", test_labels=secret if given else None)
    checked = check(CONTRACT, tmp_path / "out" / "south", further=[tmp_path])
    masks = {case.case_id: case.masks["tumour"] for case in checked.cases}
    assert (masks["c5"] is not None) == given
    assert not given or masks["c5"].resolve() == (secret / "c5.nii.gz").resolve()
    assert masks["c4"] is not None
