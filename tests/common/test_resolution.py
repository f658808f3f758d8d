"""What a coarser acquisition takes away, and what interpolation gives back."""

import numpy as np
import pytest

from common.resolution import coarsening, finer
from common.resolution import coarser as made_coarser
from common.seeds import numpy_rng
from common.tasks.acquisition import Acquisition, KSpaceCrop, SliceProfile

BLURS = [
    KSpaceCrop(),
    KSpaceCrop(window="hamming"),
    SliceProfile(),
    SliceProfile(width=1.5),
    SliceProfile(shape="box"),
]


def waves(n: int, n_kept: int) -> np.ndarray:
    """Return a signal without frequencies beyond `n_kept`, on n voxels of one extent."""
    at, rng = (np.arange(n) + 0.5) / n, numpy_rng("waves")
    return sum(rng.normal() * np.cos(np.pi * k * at) for k in range(n_kept))


@pytest.mark.parametrize("blur", BLURS)
def test_a_flat_image_stays_as_it_is(blur) -> None:
    assert coarsening(24, 2, blur).sum(axis=1) == pytest.approx(np.ones(12), abs=1e-12)


@pytest.mark.parametrize("blur", BLURS)
def test_the_acquisition_does_not_move_the_image(blur) -> None:
    matrix = coarsening(24, 2, blur)
    assert matrix[::-1, ::-1] == pytest.approx(matrix, abs=1e-12)


def test_a_k_space_crop_keeps_every_low_frequency() -> None:
    assert coarsening(24, 2, KSpaceCrop()) @ waves(24, 12) == pytest.approx(waves(12, 12))


def test_a_box_of_one_coarse_voxel_is_the_mean_of_its_fine_ones() -> None:
    matrix = coarsening(8, 2, SliceProfile(shape="box"))
    assert matrix == pytest.approx(np.kron(np.eye(4), [0.5, 0.5]))


def test_a_gaussian_profile_is_at_half_its_height_half_a_slice_away() -> None:
    # With slices of 4 fine voxels the middle lies between two, at 0.5 and 2.5 of them.
    row = coarsening(40, 4, SliceProfile())[5]
    near, far = row[22], row[24]
    assert far / near == pytest.approx(2 ** -((2.5 / 2) ** 2 - (0.5 / 2) ** 2))


@pytest.mark.parametrize("order", ["linear", "bspline"])
def test_interpolation_keeps_the_place_of_voxels(order) -> None:
    ramp = np.broadcast_to(np.arange(16.0)[:, None, None], (16, 4, 4))
    coarse = made_coarser(ramp, (2, 1, 1), Acquisition(through_plane=SliceProfile(shape="box")))
    inner = finer(coarse, (2, 1, 1), (16, 4, 4), order)[4:12]
    assert inner == pytest.approx(ramp[4:12], abs=0.02)


def test_a_length_that_is_no_multiple_is_continued_and_cut_again() -> None:
    image = numpy_rng("odd").normal(size=(7, 6, 5))
    coarse = made_coarser(image, (2, 2, 2), Acquisition())
    assert coarse.shape == (4, 3, 3)
    assert finer(coarse, (2, 2, 2), (7, 6, 5), "bspline").shape == (7, 6, 5)


def test_axes_of_factor_one_are_left_alone() -> None:
    image = numpy_rng("axes").normal(size=(6, 4, 4)).astype(np.float32)
    assert np.array_equal(made_coarser(image, (1, 1, 1), Acquisition()), image)
