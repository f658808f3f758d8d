"""The fast engine gives PyRadiomics' numbers, and says what is wrong with a case."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from client.radiomics.engine import covers, extract, self_test
from client.radiomics.errors import Cause, RadiomicsError
from client.radiomics.phantom import phantom
from client.radiomics.reference import extract_with_pyradiomics
from common.radiomics.profile import Profile, read_profile

FULL = "imageType: {Original: {}, LoG: {sigma: [1.5, 3.0]}, Wavelet: {}}"
# Zero by cancellation: compared to the scale of their terms, not to themselves.
SCALES = {"ClusterShade": 1e3, "Skewness": 1.0, "Mean": 100.0, "Imc2": 1.0}


def differences(ours: Any, theirs: dict[str, float]) -> list[str]:
    assert list(ours) == list(theirs)
    far = []
    for name, value in theirs.items():
        floor = 1e-7 * SCALES.get(name.split("_")[2], 1e-5)
        if not abs(ours[name] - value) <= 1e-6 * abs(value) + floor:
            far.append(f"{name}: {ours[name]!r}, expected {value!r}")
    return far


@pytest.mark.parametrize(
    "setting",
    [
        "binWidth: 25",
        "binCount: 32, voxelArrayShift: 100",
        "binWidth: 10, force2D: true, force2Ddimension: 2",
        "binWidth: 10, weightingNorm: manhattan, distances: [1, 2], gldm_a: 1",
        "binWidth: 10, resegmentRange: [-1.5, 2], resegmentMode: sigma",
        "binWidth: 5, normalize: true, normalizeScale: 40, resampledPixelSpacing: [1, 1, 0]",
        "binWidth: 10, interpolator: sitkLinear, resampledPixelSpacing: [1.1, 1.1, 1.1]",
    ],
)
def test_every_feature_is_that_of_pyradiomics(setting: str) -> None:
    profile = read_profile(f"setting: {{{setting}}}\n{FULL}")
    assert covers(profile) == []
    ours = extract(*phantom(), profile)
    assert ours.diagnostics.engine == "fast"
    assert not differences(ours, extract_with_pyradiomics(*phantom(), profile))


@pytest.mark.parametrize("name", ["brain1", "breast1"])
@pytest.mark.realdata
def test_real_regions_at_the_image_s_border_and_inside_it(name: str, shared_data: Path) -> None:
    folder = shared_data / "reference" / "pyradiomics" / "cases"
    image, mask = (sitk.ReadImage(str(folder / f"{name}_{p}.nrrd")) for p in ("image", "label"))
    profile = read_profile(f"setting: {{binWidth: 5}}\n{FULL}")
    assert not differences(
        extract(image, mask, profile), extract_with_pyradiomics(image, mask, profile)
    )


def test_local_binary_patterns_are_those_of_pyradiomics() -> None:
    how = "binWidth: 1, lbp2DSamples: 9, lbp2DRadius: 1.5"
    profile = read_profile(f"imageType: {{LBP2D: {{{how}}}}}")
    found = extract(*phantom(), profile)
    assert sum(name.startswith("lbp-2D_") for name in found) == 93
    assert not differences(found, extract_with_pyradiomics(*phantom(), profile))


def test_threads_do_not_change_a_bit() -> None:
    profile = read_profile(FULL)
    assert dict(extract(*phantom(), profile)) == dict(extract(*phantom(), profile, n_threads=2))


def test_what_is_not_covered_runs_on_pyradiomics_and_says_so() -> None:
    profile = read_profile("setting: {symmetricalGLCM: false}")
    features = extract(*phantom(), profile)
    assert features.diagnostics.engine == "pyradiomics"
    assert features.diagnostics.reasons == ("Original: symmetricalGLCM is false",)
    assert len(features) == 107


def test_self_test_depends_on_the_profile_alone() -> None:
    coarse, fine = read_profile("setting: {binWidth: 30}"), Profile()
    assert self_test(fine) == self_test(fine)
    assert self_test(fine) != self_test(coarse)


def broken(cause: Cause) -> tuple[Any, Any]:
    image, mask = phantom()
    values, inside = sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(mask)
    if cause is Cause.NOT_FINITE:
        values = values.astype(np.float32)
        values[0, 0, 0] = np.nan
    if cause is Cause.ONE_GREY_LEVEL:
        values[:] = 7
    if cause in (Cause.EMPTY_MASK, Cause.ONE_VOXEL, Cause.TOO_SMALL):
        inside[:] = 0
        inside[4, 4, 4 : 4 + {Cause.ONE_VOXEL: 1, Cause.TOO_SMALL: 3}.get(cause, 0)] = 1
    made: list[Any] = [sitk.GetImageFromArray(a) for a in (values, inside)]
    made[0].CopyInformation(image)
    made[1].CopyInformation(mask)
    if cause is Cause.MASK_OFF_IMAGE:
        made[1].SetOrigin((5000.0, 0.0, 0.0))
    if cause is Cause.GEOMETRY_MISMATCH:
        made[1].SetOrigin((-8.0, 5.0, 20.0))
    return made[0], made[1]


@pytest.mark.parametrize(
    "cause",
    [
        Cause.EMPTY_MASK,
        Cause.MASK_OFF_IMAGE,
        Cause.GEOMETRY_MISMATCH,
        Cause.NOT_FINITE,
        Cause.ONE_VOXEL,
        Cause.TOO_SMALL,
        Cause.ONE_GREY_LEVEL,
    ],
)
def test_a_broken_case_has_its_cause(cause: Cause) -> None:
    with pytest.raises(RadiomicsError) as caught:
        extract(*broken(cause), Profile())
    assert caught.value.cause is cause


def test_a_region_that_is_resegmented_away_or_has_absurdly_many_levels_is_refused() -> None:
    for setting, cause in (
        ("resegmentRange: [90000, 90001]", Cause.RESEGMENTED_AWAY),
        ("binWidth: 0.0001", Cause.TOO_MANY_GREY_LEVELS),
    ):
        with pytest.raises(RadiomicsError) as caught:
            extract(*phantom(), read_profile(f"setting: {{{setting}}}"))
        assert caught.value.cause is cause


def test_too_few_and_too_many_grey_levels_are_warned_about() -> None:
    few = extract(*phantom(), read_profile("setting: {binWidth: 100}")).diagnostics
    assert few.warnings == ("original: 5 grey levels, expected 8-256",)
    assert few.grey_levels == {"original": 5}
    many = extract(*phantom(), read_profile("setting: {binWidth: 1}")).diagnostics
    assert "grey levels, expected 8-256" in many.warnings[0]


@pytest.mark.realdata
def test_ibsi_digital_phantom(shared_data: Path) -> None:
    """Values: IBSI reference manual 5.1-5.9, digital phantom, 3D."""
    folder = shared_data / "reference" / "ibsi" / "ibsi_1_digital_phantom"
    image, mask = (
        sitk.ReadImage(str(folder / p / f"{n}.nii.gz"))
        for p, n in (("image", "phantom"), ("mask", "mask"))
    )
    found = extract(image, mask, read_profile("setting: {binWidth: 1}"))
    published = {
        "original_shape_MeshVolume": 556,
        "original_firstorder_Mean": 2.15,
        "original_glcm_JointEntropy": 2.40,
        "original_glrlm_RunEntropy": 2.43,
        "original_glszm_ZoneEntropy": 2.32,
        "original_gldm_DependenceEntropy": 4.40,
        "original_ngtdm_Complexity": 13.5,
    }
    for name, value in published.items():
        assert found[name] == pytest.approx(value, rel=5e-3), name
