"""PSNR and SSIM against scikit-image, and at their ends."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from common.metrics.likeness import MOST_DB, psnr_db, ssim
from common.seeds import numpy_rng


def images(shape=(20, 24, 22)) -> tuple[np.ndarray, np.ndarray]:
    rng = numpy_rng("images", len(shape))
    original = rng.normal(100, 20, shape)
    return original + rng.normal(0, 6, shape), original


@pytest.mark.parametrize("shape", [(20, 24, 22), (30, 40)])
@pytest.mark.parametrize("data_range", [80.0, 255.0])
def test_both_agree_with_scikit_image(shape, data_range) -> None:
    image, original = images(shape)
    expected = peak_signal_noise_ratio(original, image, data_range=data_range)
    assert psnr_db(image, original, data_range) == pytest.approx(expected, abs=1e-12)
    # The settings of Wang et al. (2004), as scikit-image's documentation gives them.
    expected = structural_similarity(
        original,
        image,
        data_range=data_range,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(image, original, data_range) == pytest.approx(expected, abs=1e-12)


def test_the_same_image_has_the_best_scores() -> None:
    _, original = images()
    assert psnr_db(original, original, 100.0) == pytest.approx(MOST_DB)
    assert ssim(original, original, 100.0) == pytest.approx(1.0)


def test_an_axis_too_short_for_a_rim_keeps_its_voxels() -> None:
    image, original = images((4, 24, 22))
    assert 0 < ssim(image, original, 100.0) < 1


@pytest.mark.parametrize("score", [psnr_db, ssim])
def test_what_cannot_be_compared_is_refused(score) -> None:
    image, original = images()
    with pytest.raises(ValueError, match="one shape"):
        score(image[1:], original, 1.0)
    with pytest.raises(ValueError, match="above 0"):
        score(image, original, 0.0)
