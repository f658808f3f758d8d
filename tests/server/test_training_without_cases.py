"""A training of which no site has a case ends in words, not with weights that are no numbers."""

import numpy as np
import pytest

from common.study import read_study
from server.training import Training

STUDY = """
name: empty
cohort:
  images: {t1: {modality: MR}}
  masks: {organ: {on: t1, labels: {organ: 1}, required: false}}
steps:
  net:
    kind: train
    rounds: 2
    task: {kind: segmentation, images: [t1], mask: organ, recipe: {size: [16, 16, 16]}}
"""


def test_a_round_without_a_case_is_no_round() -> None:
    study = read_study(STUDY, "study.yaml")
    weights = {"w": np.zeros(3, np.float32)}
    solving = Training(study.bound["net"], study.holdings, 1, lambda: weights).solve(None)
    next(solving)
    nothing = {"n": np.array(0), "loss": np.array(0.0), "update.w": np.zeros(3)}
    validated = {"n_validated": np.array(0), "score": np.zeros(1)}
    with pytest.raises(ValueError, match="no site has a case to learn from"):
        solving.send(nothing | validated)
