"""Every setting of a scanner changes its image, as it says."""

import numpy as np
import pytest

from common.errors import ConfigError
from common.phantoms.anatomy import Traits
from common.phantoms.fields import Grid, stream
from common.phantoms.organ_lesion import OrganLesion
from common.phantoms.scanner import draw_masks, expose, fine_grid
from common.phantoms.spec import Scanner, load_spec

ANATOMY = OrganLesion()
GRID = Grid.over(ANATOMY.size_mm, (1.0, 1.0, 1.0))
BODY = ANATOMY.draw(fine_grid(GRID), Traits(0.2, 0.0, 1.0, left=True), "body")
ORGAN = draw_masks(BODY, GRID)["organ"] > 0


def exposed(image: str = "t1", **scanner: object):
    plain = {"noise": 0.0, "bias": 0.0, "scale": 1000.0, "stored_as": "float32"}
    settings = Scanner.model_validate(plain | scanner)
    weighting = ANATOMY.weighting(image)
    return expose(BODY, weighting, settings, GRID, stream("scan")).astype(np.float64)


CLEAN = exposed()


def test_white_matter_has_the_grey_level_of_the_scale():
    assert np.percentile(CLEAN, 95) == pytest.approx(1000.0, rel=0.06)
    assert exposed(scale=250.0) == pytest.approx(CLEAN / 4.0, rel=1e-5)


def test_contrast_stretches_about_grey_matter():
    stretched = exposed(contrast=1.2)
    bright, dark = CLEAN > 700, (CLEAN > 200) & (CLEAN < 640)
    assert np.all(stretched[bright] > CLEAN[bright])
    assert np.all(stretched[dark] < CLEAN[dark])


def test_noise_is_rician():
    noise = exposed(noise=0.05) - CLEAN
    assert np.std(noise[CLEAN > 600]) == pytest.approx(50.0, rel=0.05)
    # A magnitude is never negative: where there is little signal, noise adds up.
    strong = exposed(noise=0.5) - CLEAN
    assert np.mean(strong[CLEAN < 300]) > 300.0


def test_shading_is_smooth_and_strong_as_set():
    share = np.log(exposed(bias=0.2)[CLEAN > 300] / CLEAN[CLEAN > 300])
    assert 0.05 < np.ptp(share) < 1.2
    steps = np.diff(np.log(exposed(bias=0.2) / np.maximum(CLEAN, 1.0)), axis=1)
    assert np.abs(steps[(CLEAN > 300)[:, 1:, :]]).max() < 0.1


@pytest.mark.parametrize("kind", ["uint8", "int16", "float32"])
def test_voxels_are_stored_as_asked(kind):
    settings = Scanner(scale=180.0, stored_as=kind)
    image = expose(BODY, ANATOMY.weighting("t1"), settings, GRID, stream("scan"))
    assert image.dtype == kind
    assert len(np.unique(image)) > 50


def test_the_organ_cannot_be_found_by_a_threshold():
    grey = CLEAN[ORGAN]
    low, high = np.percentile(grey, [5, 95])
    alike = np.abs(CLEAN - (low + high) / 2) <= (high - low) / 2
    assert np.count_nonzero(alike & ~ORGAN) > 2 * np.count_nonzero(ORGAN)


def test_a_heterogeneous_lesion_is_patchier():
    def deviation(heterogeneity: float) -> float:
        traits = Traits(0.5, heterogeneity, 1.0, left=True)
        body = ANATOMY.draw(fine_grid(GRID), traits, "body")
        core = draw_masks(body, GRID)["lesion"] > 0
        settings = Scanner(noise=0.0, bias=0.0, stored_as="float32")
        weighting = ANATOMY.weighting("t1")
        image = expose(body, weighting, settings, GRID, stream("scan"))
        return float(np.std(image[core]))

    assert deviation(2.0) > 1.3 * deviation(-2.0)


def test_one_image_may_be_worse_than_the_others():
    scanner = Scanner.model_validate({"noise": 0.1, "images": {"t1": {"noise": 0.4, "bias": 0.0}}})
    assert (scanner.of("t1").noise, scanner.of("t1").bias) == (0.4, 0.0)
    assert (scanner.of("flair").noise, scanner.of("flair").bias) == (0.1, 0.1)
    with pytest.raises(ConfigError, match='unknown image "t3"'):
        load_spec("seed: 1\nsites: {a: {n_patients: 1, scanner: {images: {t3: {}}}}}", "p.yaml")
