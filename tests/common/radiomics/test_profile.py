"""A parameter file is read as PyRadiomics reads it, and nothing in it is passed over."""

import pytest

from common.errors import ConfigError
from common.radiomics.profile import Profile, read_profile

# examples/exampleSettings/exampleCT.yaml of PyRadiomics 3.0.1, without its comments.
EXAMPLE_CT = """
imageType:
  Original: {}
  LoG:
    sigma: [1.0, 2.0, 3.0, 4.0, 5.0]
  Wavelet: {}
featureClass:
  shape:
  firstorder:
  glcm: [Autocorrelation, JointAverage, Contrast]
  glrlm:
  glszm: []
  gldm:
setting:
  interpolator: 'sitkBSpline'
  resampledPixelSpacing: [1, 1, 1]
  padDistance: 10
  binWidth: 25
  voxelArrayShift: 1000
  label: 1
"""


def mistakes(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_profile(text, "params.yaml")
    return str(caught.value)


def test_an_example_of_pyradiomics_is_accepted_unchanged() -> None:
    profile = read_profile(EXAMPLE_CT)
    assert profile.setting.voxel_array_shift == 1000
    assert profile.images()["LoG"].sigma == (1.0, 2.0, 3.0, 4.0, 5.0)
    assert profile.images()["LoG"].pad_distance == 10
    assert profile.features()["glcm"] == ("Autocorrelation", "JointAverage", "Contrast")
    assert len(profile.features()["glszm"]) == 16


def test_settings_without_a_value_have_their_default() -> None:
    profile = read_profile("setting: {resampledPixelSpacing: , weightingNorm: , binWidth: }")
    assert profile.setting.resampled_pixel_spacing is None
    assert profile.setting.bin_width == 25


def test_every_mistake_is_named_with_its_line_and_the_nearest_key() -> None:
    text = mistakes("setting:\n  binWidht: 5\n  force2D: 3\nimageTypes: {}\n")
    assert 'params.yaml:2: setting.binWidht: unknown key; did you mean "binWidth"?' in text
    assert "params.yaml:3: setting.force2D" in text
    assert 'params.yaml:4: imageTypes: unknown key; did you mean "imageType"?' in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imageType: {LBP3D: {}}", "LBP3D gives no features"),
        ("imageType: {LBP2D: {}}", "LBP2D"),
        ("imageType: {LoG: {}}", "sigma is missing"),
        ("imageType: {Wavelets: {}}", 'did you mean "Wavelet"'),
        ("imageType: {Original: {normalize: true}}", "has no effect here"),
        ("featureClass: {glcm: [Dissimilarity]}", "it equals DifferenceAverage"),
        ("featureClass: {glcm: [Contras]}", 'did you mean "Contrast"'),
        ("featureClass: {shape2D: }", "needs force2D"),
        ("setting: {interpolator: sitkCubic}", "unknown interpolator"),
        ("setting: {resegmentRange: [1, 2, 3]}", "one or two thresholds"),
        ("setting: {wavelet: coif99}", "unknown wavelet"),
        ("voxelSetting: {kernelRadius: 2}", "maps of features, voxel by voxel"),
        ("ibsi: true", "needs resegmentRange"),
    ],
)
def test_what_would_be_left_out_in_silence_is_refused(text: str, message: str) -> None:
    assert message in mistakes(text)


def test_fingerprint_depends_on_values_and_not_on_how_they_are_written() -> None:
    written = "setting: {binWidth: 25, padDistance: 5, label: 2}\nimageType: {Original: {}}"
    assert read_profile(written).fingerprint() == Profile().fingerprint()
    for other in ("setting: {padDistance: 6}", "imageType: {Wavelet: {}}", "setting: {gldm_a: 1}"):
        assert read_profile(other).fingerprint() != Profile().fingerprint()
