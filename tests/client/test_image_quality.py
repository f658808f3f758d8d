"""Figures of regions that might spoil features, and counts of those beyond the limits."""

from pathlib import Path

import numpy as np
import pytest

from client.image_quality import figures_of
from client.imageio import Grid, Volume
from common.radiomics.image_quality import ImageQuality
from server.simulate import simulate
from tests.client.test_extracting import POLICY, answer, columns
from tests.radiomics_sites import run_of, scan, tumour, write_image, write_site

GRID = Grid((4, 5, 6), (2.0, 1.0, 1.0), (0, 0, 0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))


def test_figures_of_a_region_made_by_hand() -> None:
    voxels = np.arange(120, dtype=np.float32).reshape(4, 5, 6)
    inside = np.zeros((4, 5, 6), bool)
    inside[1:3, 1:3, 1:3] = True
    inside[0, 0, 0] = True  # touches the 26 neighbours of the block, and holds the minimum
    inside[3, 4, 5] = True  # alone, at the corner, and holds the maximum
    figures = figures_of(Volume(voxels, GRID), inside)
    assert figures == {
        "volume_ml": pytest.approx(0.020),
        "parts": 2,
        "single_voxels": 1,
        "slices": 4,
        "touches_border": 1,
        "saturated": pytest.approx(0.2),
    }


def test_each_limit_flags_what_lies_beyond_it() -> None:
    step = ImageQuality.model_validate({"of": ["t2"], "masks": ["m"], "smallest_ml": 1})
    sound = {"volume_ml": 2, "parts": 1, "single_voxels": 0, "slices": 3, "touches_border": 0}
    good = {**sound, "saturated": 0.0}
    assert not any(step.flags(good).values())
    beyond = {"volume_ml": 0.5, "parts": 2, "single_voxels": 1, "slices": 1}
    bad = step.flags({**beyond, "touches_border": 1, "saturated": 0.5})
    assert all(bad.values())


def test_sites_release_counts_and_keep_figures(tmp_path: Path) -> None:
    for i in range(2):
        write_site(tmp_path / f"s{i}", 10, first=100 * i)
    spoilt = tumour()
    spoilt[0, 0, 0] = 1
    write_image(tmp_path / "s0" / "3_tumour.nii.gz", spoilt)
    flat = np.minimum(scan(4), 500)
    write_image(tmp_path / "s1" / "4_t2.nii.gz", flat)
    steps = "\n  q: {kind: image_quality, of: [t2], masks: [tumour], most_saturated: 0.1}\n"
    run = run_of(tmp_path, steps, sites=2, about={"policy": POLICY})
    simulate(run, engine="threads", workers=1)
    found = answer(run, "q")
    assert (found["n_regions"], found["n_flagged"], found["n_failed"]) == (20, 2, 0)
    flags = found["flags"]["t2"]
    assert {n for n, k in flags.items() if k} == {
        "many_parts", "single_voxels", "touches_border", "saturated",
    }  # fmt: skip
    assert columns(run, "s0", "q")["t2_parts"].tolist() == [1, 1, 1, 2, 1, 1, 1, 1, 1, 1]
