"""Masks that a step makes are masks to the steps after it."""

import json

import pytest

from client.imageio import read_image
from client.products import product_path, with_products
from client.site import Site, SiteSettings
from common.errors import ConfigError
from common.study import read_study
from server.problems import needed_steps
from server.simulate import simulate
from tests.client.small_cases import case
from tests.training import STUDY, training_run

AGAIN = """
  again:
    kind: train
    rounds: 1
    task:
      kind: segmentation
      images: [t1]
      mask: scores.organ
      recipe: {spacing_mm: [2.0, 2.0, 2.0], size: [16, 24, 16]}
      network: {kind: residual_unet, channels: [4, 8]}
"""
ALL_CASES = "  scores: {kind: predict, network: segment, cases: {split: [train, validation]}}"
CHAIN = (
    STUDY.replace("rounds: 4", "rounds: 1")
    .replace("    baselines: [local, ensemble, pooled]\n", "")
    .replace("  scores: {kind: predict, network: segment}", ALL_CASES)
    + AGAIN
)


def test_a_network_learns_from_the_masks_of_another(tmp_path) -> None:
    run = training_run(tmp_path, CHAIN)
    simulate(run, engine="threads", workers=1)
    answers = json.loads((run.folder / "answers.json").read_text())
    history = answers["answers"]["again"]["development"]["history"]
    assert history[0]["n"] > 0


def test_a_later_step_waits_for_the_step_that_makes_its_mask() -> None:
    assert needed_steps(read_study(CHAIN, "study.yaml"), "again") == {"scores"}


def test_a_mask_no_step_has_made_is_a_mistake_of_the_study() -> None:
    with pytest.raises(ConfigError, match=r'unknown mask "scores.organs".*"scores.organ"'):
        read_study(CHAIN.replace("mask: scores.organ", "mask: scores.organs"), "study.yaml")


def test_a_case_without_the_product_has_no_mask(tmp_path) -> None:
    study = read_study(CHAIN, "study.yaml")
    site = Site(SiteSettings(name="north", cohort="."), tmp_path)
    (found,) = with_products(site, study, "run", [case(tmp_path)])
    assert found.masks["scores.organ"] is None
    path = product_path(site, "run", "scores", "organ", found.case_id)
    path.parent.mkdir(parents=True)
    path.write_bytes(found.images["t1"].read_bytes())
    (found,) = with_products(site, study, "run", [case(tmp_path)])
    there = found.masks["scores.organ"]
    assert there is not None
    assert read_image(there).voxels.any()
