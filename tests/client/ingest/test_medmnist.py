import json

import numpy as np
import pytest

from client.check import check
from client.imageio import read_image
from client.ingest.medmnist import Labels, import_medmnist
from common.cohort import Cohort, Column, Image
from common.errors import ConfigError
from common.seeds import numpy_rng

LABELS = Labels("gland", "abnormal", ("normal", "mass"))
SPLITS = {
    "about": "indices",
    "sites": {"one": {"train": [0, 2], "val": [1]}, "two": {"train": [1], "test": [0, 1]}},
}


def files(tmp_path, splits=SPLITS, **changes):
    rng = numpy_rng("mnist")
    arrays = {}
    for part, n in (("train", 3), ("val", 2), ("test", 2)):
        arrays[f"{part}_images"] = rng.integers(0, 2, (n, 4, 5, 6)).astype(np.uint8) * 255
        arrays[f"{part}_labels"] = np.arange(n)[:, None] % 2
    np.savez(
        tmp_path / "mnist.npz", **{k: v for k, v in (arrays | changes).items() if v is not None}
    )
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    return tmp_path / "mnist.npz", tmp_path / "splits.json", arrays


def test_every_volume_becomes_a_case_of_its_site_with_its_label(tmp_path) -> None:
    npz, splits, arrays = files(tmp_path)
    report = import_medmnist(npz, splits, tmp_path / "out", LABELS)
    assert str(report) == "one: 2 train, 1 validation\ntwo: 1 train, 2 test"
    levels = ("normal", "mass")
    contract = Cohort(
        images={"gland": Image(modality="other")},
        columns={"abnormal": Column(type="category", levels=levels)},
    )
    checked = check(contract, tmp_path / "out" / "one")
    assert not checked.findings
    cases = {case.case_id: case for case in checked.cases}
    assert sorted(cases) == ["train_0000", "train_0002", "val_0001"]
    assert cases["val_0001"].split == "validation"
    assert cases["val_0001"].values["abnormal"] == 1.0
    stored = read_image(cases["train_0002"].images["gland"])
    np.testing.assert_array_equal(stored.voxels, arrays["train_images"][2])


@pytest.mark.parametrize(
    ("splits", "changes", "says"),
    [
        ({"sites": {"one": {"train": [0, 7]}}}, {}, "there is no 7, only 0 to 2"),
        ({"sites": {"one": {"train": [0, 0]}}}, {}, "0 stands twice"),
        ({"sites": {"one": {"val": [1]}, "two": {"val": [1]}}}, {}, 'also at "one"'),
        ({"sites": {"one": {"training": [1]}}}, {}, "'train', 'val' or 'test'"),
        (SPLITS, {"val_labels": None}, "expected val_images and val_labels"),
        (SPLITS, {"val_labels": np.array([0, 2])}, "expected labels 0 to 1, got 2"),
        (SPLITS, {"val_labels": np.array([0])}, "expected volumes and one label each"),
    ],
)
def test_a_wrong_file_is_refused_and_nothing_written(tmp_path, splits, changes, says) -> None:
    npz, places, _ = files(tmp_path, splits, **changes)
    with pytest.raises(ConfigError) as raised:
        import_medmnist(npz, places, tmp_path / "out", LABELS)
    assert says in str(raised.value)
    assert not (tmp_path / "out").exists()
