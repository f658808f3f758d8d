"""A parameter file is read as PyRadiomics reads it, and nothing in it is passed over."""

import pytest

from common.errors import ConfigError
from common.radiomics.profile import Profile, read_profile
from common.study import read_study

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
        ("imageType: {LBP3D: {}}", "imageType.LBP3D: gives no features"),
        ("imageType: {LBP2D: {}}", "imageType.LBP2D.binWidth: grey levels are 0, 1, 2"),
        ("imageType: {LoG: {}}", "imageType.LoG.sigma: missing; for instance"),
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


# What is wrong, with its line in the file.
WRONG = (
    ("imageType:", ""),
    ("  Orignal: {}", 'imageType.Orignal: unknown image type "Orignal" (did you mean "Original"?)'),
    ("  LoG: {}", "imageType.LoG.sigma: missing; for instance sigma: [1.0, 3.0]"),
    ("  Wavelet:", ""),
    ("    normalize: true", "imageType.Wavelet.normalize: has no effect here"),
    ("featureClass:", ""),
    ("  glcm:", ""),
    ("    - Contrast", ""),
    (
        "    - Contrats",
        'featureClass.glcm.1: unknown feature "Contrats" (did you mean "Contrast"?)',
    ),
    ("    - Homogeneity1", "featureClass.glcm.2: Homogeneity1 was withdrawn, it equals Id"),
    ("  glrmm:", 'featureClass.glrmm: unknown feature class "glrmm" (did you mean "glrlm"?)'),
    ("  shape2D:", "featureClass.shape2D: needs force2D: true"),
    ("setting:", ""),
    ("  binWidth: abc", "setting.binWidth: expected a number, got 'abc'"),
    ("  interpolator: []", "setting.interpolator: expected text or a whole number, got []"),
)
STUDY = """\
name: s
cohort:
  images: {t2: {modality: MR}}
  masks: {tumour: {on: t2, labels: {tumour: 1}}}
steps:
  radiomics:
    kind: extract
    of: [t2]
    masks: [tumour]
    profile:"""


def told(error: ConfigError) -> list[tuple[int | None, str]]:
    return [(f.line, f"{f.path}: {f.message}") for f in error.findings]


@pytest.mark.parametrize("head", ["", "# a comment\n\n"])
def test_a_mistake_in_any_section_has_the_line_of_its_key(head: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_profile(head + "\n".join(row for row, _ in WRONG), "params.yaml")
    found = told(caught.value)
    expected = [(head.count("\n") + i, said) for i, (_, said) in enumerate(WRONG, 1) if said]
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, words), (_, said) in zip(found, expected, strict=True):
        assert words.startswith(said)


@pytest.mark.parametrize("mark", ["", " |"], ids=["as settings", "as text"])
def test_a_mistake_in_a_profile_within_a_study_has_its_line_in_the_study(mark: str) -> None:
    rows = [f"      {row}" for row, _ in WRONG]
    with pytest.raises(ConfigError) as caught:
        read_study("\n".join([STUDY + mark, *rows]), "s.yaml")
    begin = STUDY.count("\n") + 1
    expected = [(begin + i, said) for i, (_, said) in enumerate(WRONG, 1) if said]
    found = told(caught.value)
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, words), (_, said) in zip(found, expected, strict=True):
        assert words.startswith(f"steps.radiomics.profile.{said}")


def test_a_text_that_is_no_yaml_or_says_a_key_twice_is_told_with_its_own_line() -> None:
    for text, said in (
        ("setting: {}\n      setting: {binWidth: 5}", 'line 2 of this text: the key "setting"'),
        ("setting: [1,", "not readable as YAML"),
        ("setting: {{}}", "found unhashable key"),
    ):
        with pytest.raises(ConfigError, match=r"s\.yaml:10: steps\.radiomics\.profile: ") as caught:
            read_study(f"{STUDY} |\n      {text}\n", "s.yaml")
        assert said in str(caught.value)


def test_fingerprint_depends_on_values_and_not_on_how_they_are_written() -> None:
    written = "setting: {binWidth: 25, padDistance: 5, label: 2}\nimageType: {Original: {}}"
    assert read_profile(written).fingerprint() == Profile().fingerprint()
    for other in ("setting: {padDistance: 6}", "imageType: {Wavelet: {}}", "setting: {gldm_a: 1}"):
        assert read_profile(other).fingerprint() != Profile().fingerprint()
