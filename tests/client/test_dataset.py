import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from client.dataset import load_examples, prepare
from client.imageio import Volume, write_image
from common.holdings import Holdings
from tests.client.small_cases import ball, bench, case, grid

CPU = torch.device("cpu")


def same(a, b) -> bool:
    return np.array_equal(np.asarray(a.image), np.asarray(b.image)) and np.array_equal(
        np.asarray(a.mask), np.asarray(b.mask)
    )


def test_the_cache_gives_what_was_put_in_without_opening_files(tmp_path, monkeypatch) -> None:
    b, c = bench(tmp_path), case(tmp_path)
    first = prepare(b, c)
    monkeypatch.setattr("client.dataset.load_image", None)
    assert same(first, prepare(b, c))
    assert first.spacing_mm == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("name", ["t1", "ball"])
def test_a_changed_file_is_seen(tmp_path, name) -> None:
    b, c = bench(tmp_path), case(tmp_path)
    first = prepare(b, c)
    image, labels = ball(grid(), seed=9)
    path = tmp_path / f"0_{name}.nii.gz"
    write_image(path, Volume(image if name == "t1" else labels, grid()))
    os.utime(path, ns=(1, 1))
    assert not same(first, prepare(b, c))


def test_the_time_of_a_file_counts_too(tmp_path, monkeypatch) -> None:
    b, c = bench(tmp_path), case(tmp_path)
    prepare(b, c)
    os.utime(c.images["t1"], ns=(1, 1))
    monkeypatch.setattr("client.dataset.load_image", None)
    with pytest.raises(TypeError):
        prepare(b, c)


@pytest.mark.parametrize(
    "recipe",
    [
        {"size": (8, 8, 8)},
        {"size": (8, 16, 8), "orientation": "LPS"},
        {"size": (8, 16, 8), "spacing_mm": [2, 2, 2]},
        {"size": (8, 16, 8), "normalise": {"kind": "percentile"}},
    ],
)
def test_another_recipe_is_not_taken_from_the_cache(tmp_path, recipe) -> None:
    c = case(tmp_path)
    assert not same(prepare(bench(tmp_path), c), prepare(bench(tmp_path, recipe=recipe), c))


def test_other_labels_are_not_taken_from_the_cache(tmp_path) -> None:
    b, c = bench(tmp_path), case(tmp_path)
    swapped = b.mask.model_copy(update={"labels": {"core": 3, "rim": 7}})
    other = Holdings(images=b.known.images, masks={"ball": swapped})
    first, second = prepare(b, c), prepare(replace(b, known=other), c)
    assert np.array_equal(first.mask == 1, second.mask == 2)


def test_a_case_without_a_mask_has_an_image(tmp_path) -> None:
    example = prepare(bench(tmp_path), case(tmp_path, masks={"ball": None}))
    assert example.mask.size == 0
    assert len(example.spots) == 0


def test_spots_lie_on_every_label(tmp_path) -> None:
    example = prepare(bench(tmp_path), case(tmp_path))
    labels = np.asarray(example.mask)[tuple(example.spots.T)]
    assert set(labels.tolist()) == {1, 2}


def test_what_does_not_fit_into_memory_stays_on_disk(tmp_path) -> None:
    cases = [case(tmp_path, seed) for seed in (1, 2)]
    held = load_examples(bench(tmp_path), cases, CPU)
    left = load_examples(replace(bench(tmp_path), memory_mb=0), cases, CPU)
    assert all(isinstance(e.image, torch.Tensor) for e in held)
    assert all(isinstance(e.image, np.memmap) for e in left)
    assert all(same(a, b) for a, b in zip(held, left, strict=True))
