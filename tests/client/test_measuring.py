"""Slices in the middle of masks, and sizes of masks, in the patient's own axes."""

import numpy as np
import pytest

from client.imageio import Volume, read_image, turn_to, write_image
from client.measuring import middle_mm, sizes, slice_at
from common.cohort import Mask
from common.tasks.measure import Slice
from tests.client.small_cases import grid, oblique

LABELS = Mask(on="ct", labels={"a": 3, "b": 7})
LPI = ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def box(axes=None, spacing_mm=(2.0, 1.0, 1.5)) -> Volume:
    """Return a mask with a slab of a thick and a thin part along z, and a stray voxel."""
    on = grid((12, 14, 16), spacing_mm, **({"axes": axes} if axes else {}))
    voxels = np.zeros(on.shape, np.uint8)
    voxels[3:8, 4:10, 5:11] = 3
    voxels[11, 0, 0] = 3
    return Volume(voxels, on)


def test_the_middle_slice_halves_the_volume_and_a_stray_voxel_moves_it_not() -> None:
    mask = box()
    at = middle_mm(Volume(mask.voxels > 0, mask.grid), "axial")
    found = slice_at(Volume(np.indices(mask.voxels.shape)[0], mask.grid), "axial", at)
    assert set(np.unique(found.voxels)) == {5}
    assert found.voxels.shape == (1, 14, 16)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("axes", [None, LPI, oblique(15.0)])
def test_a_slice_lies_where_it_lay_in_the_image(plane, axes) -> None:
    mask = box(axes)
    at = middle_mm(Volume(mask.voxels > 0, mask.grid), plane)
    found = slice_at(mask, plane, at)
    assert found.voxels.shape[0] == 1
    marked = np.argwhere(found.voxels == 3)
    whole = {tuple(np.round(mask.grid.point_mm(v), 4)) for v in np.argwhere(mask.voxels == 3)}
    cut = {tuple(np.round(found.grid.point_mm(v), 4)) for v in marked}
    assert cut
    assert cut <= whole


def test_the_same_slice_is_cut_however_the_image_is_stored() -> None:
    mask = box()
    turn = turn_to(mask.grid, "LPI")
    other = Volume(np.ascontiguousarray(turn.of(mask.voxels)), turn.of_grid(mask.grid))
    both = [slice_at(m, "coronal", middle_mm(m, "coronal")) for m in (mask, other)]
    assert np.array_equal(both[0].voxels, both[1].voxels)
    assert both[0].grid.matches(both[1].grid)


def test_a_slice_comes_back_from_disk_as_it_was(tmp_path) -> None:
    mask = box(oblique(10.0))
    found = slice_at(mask, "sagittal", middle_mm(mask, "sagittal"))
    write_image(tmp_path / "slice.nii.gz", found)
    again = read_image(tmp_path / "slice.nii.gz")
    assert again.grid.matches(found.grid, 1e-3)
    assert np.array_equal(again.voxels, found.voxels)


def test_an_empty_mask_has_no_middle_and_a_far_point_no_slice() -> None:
    mask = box()
    assert middle_mm(Volume(mask.voxels == 7, mask.grid), "axial") is None
    with pytest.raises(ValueError, match="outside"):
        slice_at(mask, "axial", np.array([0.0, 0.0, 1e4]))


def test_sizes_are_of_each_label_and_of_all() -> None:
    mask = box(spacing_mm=(2.0, 1.0, 1.5))
    mask.voxels[5, 4, 5:9] = 7
    n = np.count_nonzero(mask.voxels)
    found = sizes(mask, LABELS, "volume_ml")
    assert found["volume_ml"] == pytest.approx(n * 3 / 1000)
    assert found["volume_ml_b"] == pytest.approx(4 * 3 / 1000)
    one = Volume(mask.voxels[5:6], grid((1, 14, 16), (2.0, 1.0, 1.5)))
    area = sizes(one, LABELS, "area_cm2")
    assert area["area_cm2"] == pytest.approx(36 * 1.5 / 100)
    assert area["area_cm2_a"] == pytest.approx(32 * 1.5 / 100)


def test_the_area_of_neighbouring_slices_is_their_mean() -> None:
    mask = box(spacing_mm=(2.0, 1.0, 1.5))
    mask.voxels[4, 4, 5:9] = 0
    at = middle_mm(Volume(mask.voxels > 0, mask.grid), "axial")
    slab = slice_at(mask, "axial", at, 3)
    assert slab.grid.spacing_mm == mask.grid.spacing_mm
    assert np.array_equal(slab.voxels, mask.voxels[4:7])
    one = [
        sizes(slice_at(mask, "axial", at + np.array([0, 0, d])), LABELS, "area_cm2")
        for d in (-2, 0, 2)
    ]
    mean = np.mean([sums["area_cm2"] for sums in one])
    assert sizes(slab, LABELS, "area_cm2")["area_cm2"] == pytest.approx(mean)
    at_the_end = slice_at(mask, "axial", at + np.array([0, 0, 12]), 5)
    assert np.array_equal(at_the_end.voxels, mask.voxels[-3:])
    with pytest.raises(ValueError, match="expected an odd number, got 4"):
        Slice(images=("ct",), slices=4)
