"""NaN voxels are found in every form of the format, though ITK hides them."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from client.imageio import read_image
from client.nifti import count_not_finite


def spoilt(kind: str) -> np.ndarray:
    voxels = np.random.default_rng(0).random((5, 6, 7)).astype(kind)
    voxels[1, 2, 3], voxels[0, 0, 0], voxels[4, 5, 6] = np.nan, np.inf, -np.inf
    return voxels


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", ["<f4", "<f8", ">f4", ">f8"])
@pytest.mark.parametrize("form", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_voxels_that_are_not_finite_are_counted(tmp_path: Path, form: type, kind: str, suffix: str):
    path = tmp_path / f"image{suffix}"
    heading = form.header_class(endianness=kind[0])
    heading.set_data_dtype(kind)
    nibabel.save(form(spoilt(kind), np.eye(4), heading), path)
    assert count_not_finite(path) == 3


def test_whole_numbers_are_always_finite(tmp_path: Path):
    path = tmp_path / "image.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 3, 3), np.int16), np.eye(4)), path)
    assert count_not_finite(path) == 0


def test_itk_still_hides_them(tmp_path: Path):
    """Where this fails, `client/nifti.py` may go."""
    path = tmp_path / "image.nii.gz"
    nibabel.save(nibabel.Nifti1Image(spoilt("<f4"), np.eye(4)), path)
    assert np.isfinite(read_image(path).voxels).all()


def test_another_file_is_no_nifti(tmp_path: Path):
    path = tmp_path / "image.nii"
    path.write_bytes(b"\0" * 600)
    with pytest.raises(ValueError, match="no NIfTI heading"):
        count_not_finite(path)
