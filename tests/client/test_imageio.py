from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK

from client.imageio import Grid, Turn, Volume, read_image, resample, turn_to, write_image
from tests.client.small_cases import RAS, grid, oblique

SHAPE = (3, 4, 5)
VOXELS = np.arange(60, dtype=np.int16).reshape(SHAPE)
ORIENTATIONS = [
    "".join(letters) for axes in permutations(("LR", "PA", "SI")) for letters in product(*axes)
]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_volume_comes_back_from_disk_as_it_was(tmp_path, suffix) -> None:
    volume = Volume(VOXELS, grid(SHAPE, (2.5, 0.5, 1.0), oblique()))
    write_image(tmp_path / f"a{suffix}", volume)
    back = read_image(tmp_path / f"a{suffix}")
    assert np.array_equal(back.voxels, VOXELS)
    assert back.grid.matches(volume.grid, 1e-4)
    np.testing.assert_allclose(back.grid.axes, volume.grid.axes, atol=1e-5)


def test_a_grid_says_where_simpleitk_says_a_voxel_lies(tmp_path) -> None:
    path = tmp_path / "a.nii.gz"
    write_image(path, Volume(VOXELS, grid(SHAPE, (2.5, 0.5, 1.0), oblique())))
    there = SimpleITK.ReadImage(str(path))
    for z, y, x in [(0, 0, 0), (2, 0, 0), (0, 3, 0), (1, 2, 4)]:
        expected = there.TransformIndexToPhysicalPoint((x, y, z))
        assert read_image(path).grid.point_mm((z, y, x)) == pytest.approx(expected, abs=1e-4)
        assert there[x, y, z] == VOXELS[z, y, x]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turning_is_what_simpleitk_does_and_can_be_undone(tmp_path, orientation) -> None:
    path = tmp_path / "a.nii.gz"
    write_image(path, Volume(VOXELS, grid(SHAPE, (2.5, 0.5, 1.0), oblique())))
    stored = read_image(path)
    turn = turn_to(stored.grid, orientation)
    expected = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(path)), orientation)
    assert np.array_equal(turn.of(stored.voxels), SimpleITK.GetArrayFromImage(expected))
    turned = turn.of_grid(stored.grid)
    assert turned.origin_mm == pytest.approx(expected.GetOrigin(), abs=1e-4)
    assert turned.spacing_mm[::-1] == pytest.approx(expected.GetSpacing())
    assert np.array_equal(turn.back(turn.of(VOXELS)), VOXELS)
    assert np.array_equal(turn.back(turn.of(VOXELS[None])), VOXELS[None])


def test_as_stored_turns_nothing() -> None:
    assert turn_to(grid(axes=oblique(70)), "as_stored") == Turn((0, 1, 2), (False,) * 3)


def test_grids_match_within_a_share_of_a_voxel() -> None:
    def moved(mm: float) -> Grid:
        return Grid(SHAPE, (1.0, 1.0, 1.0), (mm, 0.0, 0.0), RAS)

    assert moved(0).matches(moved(0.05))
    assert not moved(0).matches(moved(0.2))
    assert not grid(SHAPE).matches(grid((3, 4, 6)))


def test_resampling_interpolates_in_patient_coordinates() -> None:
    start = Volume(VOXELS.astype(np.float32), Grid(SHAPE, (2.0, 1.0, 1.0), (0, 0, 0), RAS))
    onto = Grid((5, 4, 5), (1.0, 1.0, 1.0), (0, 0, 0), RAS)
    found = resample(start, onto, how="linear", outside=-1)
    np.testing.assert_allclose(found[::2], VOXELS, atol=1e-3)
    np.testing.assert_allclose(found[1], (VOXELS[0] + VOXELS[1]) / 2, atol=1e-3)


def test_resampled_labels_are_labels_and_background_outside() -> None:
    labels = np.where(VOXELS > 30, 9, 4).astype(np.uint8)
    onto = Grid((9, 9, 9), (0.7, 0.7, 0.7), (0.5, 0, 0), RAS)
    found = resample(Volume(labels, grid(SHAPE)), onto, how="label", outside=0)
    assert set(np.unique(found)) <= {0, 4, 9}
    far = Grid((2, 2, 2), (1, 1, 1), (500.0, 0, 0), RAS)
    assert not resample(Volume(labels, grid(SHAPE)), far, how="label", outside=0).any()


def test_a_single_slice_has_one_voxel_along_z(tmp_path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOXELS[0]), str(tmp_path / "a.mha"))
    assert read_image(tmp_path / "a.mha").voxels.shape == (1, 4, 5)


def test_scale_factors_of_a_file_are_applied(tmp_path) -> None:
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(VOXELS.T, np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "a.nii")
    stored = nibabel.load(tmp_path / "a.nii").get_fdata().T
    np.testing.assert_allclose(read_image(tmp_path / "a.nii").voxels, stored, atol=1e-3)


def test_colours_and_time_series_are_refused(tmp_path) -> None:
    colours = SimpleITK.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(colours, str(tmp_path / "rgb.nrrd"))
    with pytest.raises(ValueError, match="one value a voxel, got 3"):
        read_image(tmp_path / "rgb.nrrd")
    series = SimpleITK.GetImageFromArray(np.zeros((2, 3, 4, 5), np.float32), isVector=False)
    SimpleITK.WriteImage(series, str(tmp_path / "4d.nii.gz"))
    with pytest.raises(ValueError, match="2 or 3 dimensions, got 4"):
        read_image(tmp_path / "4d.nii.gz")


def write_series(folder, voxels, uid: str) -> None:
    for z, part in enumerate(voxels):
        image = SimpleITK.GetImageFromArray(part[None])
        image.SetSpacing((0.5, 0.75, 2.0))
        image.SetMetaData("0020|000e", f"1.2.3.{uid}")
        image.SetMetaData("0020|0032", f"0\\0\\{2 * z}")
        image.SetMetaData("0020|0037", "1\\0\\0\\0\\1\\0")
        image.SetMetaData("0020|0013", str(z))
        image.SetMetaData("0008|0060", "MR")
        writer = SimpleITK.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{uid}_{9 - z}.dcm"))
        writer.Execute(image)


def test_a_folder_is_read_as_one_dicom_series_in_order(tmp_path) -> None:
    write_series(tmp_path, VOXELS, "1")
    volume = read_image(tmp_path)
    assert np.array_equal(volume.voxels, VOXELS)
    assert volume.grid.spacing_mm == pytest.approx((2.0, 0.75, 0.5))
    write_series(tmp_path, VOXELS, "2")
    with pytest.raises(ValueError, match="one DICOM series, got 2"):
        read_image(tmp_path)
