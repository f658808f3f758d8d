import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from common.tasks.segmentation import Segmentation

TASK: dict[str, Any] = {
    "images": ["t1", "t2"],
    "mask": "tumour",
    "recipe": {"size": [16, 32, 24]},
}


def task(**changes: Any) -> Segmentation:
    return Segmentation.model_validate(TASK | changes)


def test_the_network_has_a_channel_an_image_and_a_class_a_label() -> None:
    weights = task().build(3).state_dict()
    assert weights["down.0.body.0.weight"].shape[1] == 2
    assert weights["heads.0.weight"].shape[0] == 4


def test_each_label_gets_every_score_with_a_range() -> None:
    columns = task().score_columns(["core", "rim"])
    assert set(columns) == {
        f"{score}_{label}"
        for score in ("dice", "hd95_mm", "surface_dice", "volume_error_ml")
        for label in ("core", "rim")
    }
    assert all(column.range is not None for column in columns.values())
    assert columns["volume_error_ml_rim"].unit == "ml"


def test_ranges_of_scores_are_the_studys() -> None:
    columns = task(scores={"largest_mm": 30, "largest_ml": 9}).score_columns(["a"])
    assert columns["hd95_mm_a"].range == (0, 30)
    assert columns["volume_error_ml_a"].range == (-9, 9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": {"size": [16, 32]}}, r"expected \(z, y, x\) in 3D"),
        ({"recipe": {"size": [16, 32, 24]}, "dimensions": 2}, r"expected \(y, x\) in 2D"),
        ({"recipe": {"size": [16, 32, 20]}}, r"multiples of \[8, 8, 8\]"),
        ({"recipe": {"size": [16, 32, 20], "patch": [16, 16, 12]}}, "expected multiples of"),
        ({"recipe": {}}, "size, or patch"),
        ({"recipe": {"size": [16, 16, 16], "orientation": "RAX"}}, "orientation"),
        ({"recipe": {"size": [16, 16, 16], "orientation": "RLS"}}, "orientation"),
        (
            {
                "recipe": {
                    "size": [8, 8, 8],
                    "normalise": {"kind": "hu_window", "low": 9, "high": 1},
                }
            },
            "low < high",
        ),
        (
            {"recipe": {"size": [8, 8, 8], "normalise_image": {"t3": {"kind": "zscore"}}}},
            'unknown image "t3".*t1, t2',
        ),
        ({"network": {"strides": [1, 2]}}, "one for each of the 4 channels"),
        ({"network": {"strides": [1, [2, 2], 2, 2]}}, "expected 3 axes"),
        ({"network": {"deep_supervision": 5}}, "at most 4"),
        ({"loss": {"dice": 0, "cross_entropy": 0}}, "above 0"),
        ({"images": []}, "at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message) -> None:
    with pytest.raises(ValidationError, match=message):
        task(**changes)


def test_strides_say_what_sizes_fit() -> None:
    flat = {"strides": [1, [1, 2, 2], 2, 2]}
    assert task(network=flat, recipe={"size": [4, 16, 16]}).divisor == (4, 8, 8)


def test_a_study_can_be_read_without_torch() -> None:
    program = "import common.tasks.segmentation, sys; sys.exit('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0
