"""Features of layers: a region's own, the same at all sites, whatever the scanner's scale."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from client.bench import Bench
from client.cases import Case
from client.imageio import Grid, Volume, read_image
from client.network_features import Layers
from client.random_filters import random_features
from client.regions import region_in
from common.cohort import Cohort
from common.holdings import of_cohort
from common.networks.weights import initial_weights
from common.radiomics.deep_features import DeepFeatures
from common.radiomics.faults import Faulty
from common.tasks.predict import Networks
from common.tasks.segmentation import Segmentation
from server.simulate import simulate
from tests.client.test_extracting import POLICY, answer, columns
from tests.radiomics_sites import SHAPE, run_of, scan, tumour, write_image, write_site

GRID = Grid(SHAPE, (2.0, 1.0, 1.0), (0, 0, 0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
INSIDE = tumour() > 0
SETTING: dict[str, Any] = {"n": 60, "spacing_mm": 1.0, "seed": 3}


def test_random_features_ignore_scale_and_offset_but_not_texture_or_seed() -> None:
    image = Volume(scan(0), GRID)
    found = random_features(image, INSIDE, **SETTING)
    other_scale = Volume(scan(0) * 7 - 300, GRID)
    np.testing.assert_allclose(random_features(other_scale, INSIDE, **SETTING), found, rtol=1e-4)
    smooth = np.full(SHAPE, 500, np.float32)
    smooth[..., 7:] = 600
    assert np.abs(random_features(Volume(smooth, GRID), INSIDE, **SETTING) - found).min() > 1e-3
    other_seed = random_features(image, INSIDE, **SETTING | {"seed": 4})
    assert np.abs(other_seed - found).max() > 0.05


def test_a_random_feature_is_the_mean_positive_response_of_a_plain_convolution() -> None:
    grid = replace(GRID, spacing_mm=(1.0, 1.0, 1.0))
    from client.random_filters import _box, _filters

    voxels, region = _box(Volume(scan(1), grid), INSIDE, 1.0)
    (found,) = random_features(Volume(scan(1), grid), INSIDE, n=1, spacing_mm=1.0, seed=3)
    kernel = torch.from_numpy(_filters(3, 1, 1)[:, 0].reshape(1, 1, 3, 3, 3))
    padded = torch.from_numpy(np.pad(voxels, 1, mode="edge"))[None, None]
    response = nn.functional.conv3d(padded, kernel)[0, 0].numpy()
    assert found == pytest.approx(np.maximum(response, 0)[region].mean(), rel=1e-9)


TASK = Segmentation.model_validate(
    {
        "images": ["t2"],
        "mask": "tumour",
        "recipe": {"spacing_mm": [2.0, 1.0, 1.0], "size": [8, 16, 16]},
        "network": {"channels": [4, 8]},
    }
)
COHORT = Cohort.model_validate(
    {"images": {"t2": {"modality": "MR"}}, "masks": {"tumour": {"on": "t2", "labels": {"t": 1}}}}
)


def test_layers_are_pooled_over_the_region_alone(tmp_path: Path) -> None:
    write_image(tmp_path / "t2.nii.gz", scan(0))
    write_image(tmp_path / "m.nii.gz", tumour())
    case = Case("c", "p", "", "", {"t2": tmp_path / "t2.nii.gz"}, {}, {})
    bench = Bench(TASK, of_cohort(COHORT), tmp_path, device="cpu")
    weights = initial_weights(bench.network(), 1)
    mask = read_image(tmp_path / "m.nii.gz")
    found = Layers(bench, weights, 40).features(case, mask)
    assert found.shape == (40,)
    assert np.isfinite(found).all()
    moved = Volume(np.roll(mask.voxels, 4, axis=2), mask.grid)
    assert np.abs(Layers(bench, weights, 40).features(case, moved) - found).max() > 1e-3
    with pytest.raises(Faulty, match="the study wants 9999"):
        Layers(bench, weights, 9999).features(case, mask)
    assert region_in(mask, (1,), mask.grid, own=True).sum() == tumour().sum()


def test_a_network_with_too_few_features_is_told_before_anybody_is_asked() -> None:
    step = DeepFeatures.model_validate({"network": "net", "masks": ["tumour"], "features": 100})
    weights = {"a": np.zeros((4, 1, 3, 3, 3), np.float32)}
    with pytest.raises(ValueError, match="at most 8, got 100"):
        next(step.solve_with(Networks({"": {0: [weights]}})))


def test_sites_keep_the_columns_and_release_counts(tmp_path: Path) -> None:
    for i in range(2):
        write_site(tmp_path / f"s{i}", 10, first=100 * i)
    write_image(tmp_path / "s0" / "3_tumour.nii.gz", np.zeros_like(tumour()))
    steps = "\n  deep: {kind: deep_features, of: [t2], masks: [tumour], features: 12}\n"
    run = run_of(tmp_path, steps, sites=2, about={"policy": POLICY})
    simulate(run, engine="threads", workers=1)
    found = answer(run, "deep")
    assert (found["done"], found["failed"], found["reasons"]) == (19, 1, {"mask_empty": 1})
    made = columns(run, "s0", "deep")
    assert len(made) == 13
    assert np.isnan(made["t2_random_0011"]).sum() == 1
