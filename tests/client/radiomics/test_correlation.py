"""The maximal correlation coefficient is the root of the second eigenvalue of Haralick's Q."""

import numpy as np
import pytest

from client.radiomics.glcm import glcm_features
from common.radiomics.names import FEATURES

MCC = FEATURES["glcm"].index("MCC")


@pytest.mark.parametrize(
    ("n_levels", "n_pairs"), [(2, 9), (5, 40), (12, 20), (30, 25), (40, 2000), (90, 400)]
)
def test_it_is_what_all_eigenvalues_say(n_levels: int, n_pairs: int) -> None:
    rng = np.random.default_rng(n_levels + n_pairs)
    first = rng.integers(0, n_levels, n_pairs)
    second = np.clip(first + rng.integers(-2, 3, n_pairs), 0, n_levels - 1)
    counts = np.zeros((n_levels + 1, 1, n_levels + 1), np.uint32)
    np.add.at(counts, (first + 1, 0, second + 1), 1)
    p = (counts[:, 0] + counts[:, 0].T).astype(float)
    present = np.flatnonzero(p.sum(axis=0))
    p = p[np.ix_(present, present)] / p.sum()
    px = p.sum(axis=1)
    q = np.einsum("ik,jk,ik->ij", p, p, 1 / (np.outer(px, px) + np.spacing(1)))
    largest = np.sort(np.linalg.eigvals(q).real)[-2]
    found = glcm_features(counts, present, np.empty(0))[MCC]
    assert found == pytest.approx(np.sqrt(largest), rel=1e-8)
