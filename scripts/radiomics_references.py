"""Published numbers: PyRadiomics' baseline and the consensus values of the IBSI."""

import ast
import csv
from collections.abc import Iterator
from typing import Any

import radiomics_cases as cases
import SimpleITK as sitk  # noqa: N813

from client.radiomics.case import read_case
from client.radiomics.engine import measure
from common.radiomics.profile import Profile, read_profile

_REFERENCE = cases.DATA / "reference"
_FIRST = "Mean:mean Variance:var Skewness:skew Kurtosis:kurt Median:median Minimum:min "
_FIRST += "10Percentile:p10 90Percentile:p90 Maximum:max InterquartileRange:iqr Range:range "
_FIRST += "MeanAbsoluteDeviation:mad RobustMeanAbsoluteDeviation:rmad Energy:energy "
_FIRST += "RootMeanSquared:rms"
_SHAPE = "MeshVolume:volume VoxelVolume:vol_approx SurfaceArea:area_mesh SurfaceVolumeRatio:av "
_SHAPE += "Sphericity:sphericity Maximum3DDiameter:diam MajorAxisLength:pca_maj_axis "
_SHAPE += "MinorAxisLength:pca_min_axis LeastAxisLength:pca_least_axis "
_SHAPE += "Elongation:pca_elongation Flatness:pca_flatness"
_GLCM = "MaximumProbability:joint_max JointAverage:joint_avg SumSquares:joint_var "
_GLCM += "JointEntropy:joint_entr DifferenceAverage:diff_avg DifferenceVariance:diff_var "
_GLCM += "DifferenceEntropy:diff_entr SumAverage:sum_avg SumEntropy:sum_entr JointEnergy:energy "
_GLCM += "Contrast:contrast Id:inv_diff Idn:inv_diff_norm Idm:inv_diff_mom "
_GLCM += "Idmn:inv_diff_mom_norm InverseVariance:inv_var Correlation:corr "
_GLCM += "Autocorrelation:auto_corr ClusterTendency:clust_tend ClusterShade:clust_shade "
_GLCM += "ClusterProminence:clust_prom Imc1:info_corr1 Imc2:info_corr2"
_RUNS = "ShortRunEmphasis:sre LongRunEmphasis:lre LowGrayLevelRunEmphasis:lgre "
_RUNS += "HighGrayLevelRunEmphasis:hgre ShortRunLowGrayLevelEmphasis:srlge "
_RUNS += "ShortRunHighGrayLevelEmphasis:srhge LongRunLowGrayLevelEmphasis:lrlge "
_RUNS += "LongRunHighGrayLevelEmphasis:lrhge GrayLevelNonUniformity:glnu "
_RUNS += "GrayLevelNonUniformityNormalized:glnu_norm RunLengthNonUniformity:rlnu "
_RUNS += "RunLengthNonUniformityNormalized:rlnu_norm RunPercentage:r_perc "
_RUNS += "GrayLevelVariance:gl_var RunVariance:rl_var RunEntropy:rl_entr"
_ZONES = "SmallAreaEmphasis:sze LargeAreaEmphasis:lze LowGrayLevelZoneEmphasis:lgze "
_ZONES += "HighGrayLevelZoneEmphasis:hgze SmallAreaLowGrayLevelEmphasis:szlge "
_ZONES += "SmallAreaHighGrayLevelEmphasis:szhge LargeAreaLowGrayLevelEmphasis:lzlge "
_ZONES += "LargeAreaHighGrayLevelEmphasis:lzhge GrayLevelNonUniformity:glnu "
_ZONES += "GrayLevelNonUniformityNormalized:glnu_norm SizeZoneNonUniformity:zsnu "
_ZONES += "SizeZoneNonUniformityNormalized:zsnu_norm ZonePercentage:z_perc "
_ZONES += "GrayLevelVariance:gl_var ZoneVariance:zs_var ZoneEntropy:zs_entr"
_DEPENDENCE = "SmallDependenceEmphasis:lde LargeDependenceEmphasis:hde LowGrayLevelEmphasis:lgce "
_DEPENDENCE += "HighGrayLevelEmphasis:hgce SmallDependenceLowGrayLevelEmphasis:ldlge "
_DEPENDENCE += "SmallDependenceHighGrayLevelEmphasis:ldhge "
_DEPENDENCE += "LargeDependenceLowGrayLevelEmphasis:hdlge "
_DEPENDENCE += "LargeDependenceHighGrayLevelEmphasis:hdhge GrayLevelNonUniformity:glnu "
_DEPENDENCE += "DependenceNonUniformity:dcnu DependenceNonUniformityNormalized:dcnu_norm "
_DEPENDENCE += "GrayLevelVariance:gl_var DependenceVariance:dc_var DependenceEntropy:dc_entr"
_NEIGHBOURS = "Coarseness:coarseness Contrast:contrast Busyness:busyness Complexity:complexity "
_NEIGHBOURS += "Strength:strength"
_PAIRS = (
    ("firstorder", "stat_{}", _FIRST),
    ("firstorder", "ih_{}", "Entropy:entropy Uniformity:uniformity"),
    ("shape", "morph_{}", _SHAPE),
    ("glcm", "cm_{}_3D_avg", _GLCM),
    ("glrlm", "rlm_{}_3D_avg", _RUNS),
    ("glszm", "szm_{}_3D", _ZONES),
    ("gldm", "ngl_{}_3D", _DEPENDENCE),
    ("ngtdm", "ngt_{}_3D", _NEIGHBOURS),
)
# Kurtosis is not excess; axis lengths divide by N, not N - 1: PyRadiomics' definitions.
KNOWN_DIGITAL = {"Kurtosis", "MinorAxisLength", "LeastAxisLength"}
KNOWN_CHEST = {"Kurtosis"}
CONFIGURATION_C = """
ibsi: true
setting: {resampledPixelSpacing: [2, 2, 2], interpolator: sitkLinear, binWidth: 25,
          resegmentRange: [-1000, 400]}
"""


def show_digital_phantom() -> bool:
    """Print the comparison with the digital phantom's consensus values."""
    folder = _REFERENCE / "ibsi" / "ibsi_1_digital_phantom"
    image, mask = (sitk.ReadImage(str(next((folder / p).glob("*")))) for p in ("image", "mask"))
    profile = read_profile("setting: {binWidth: 1}")
    title = "IBSI digital phantom"
    return _show(title, (image, mask), profile, "ibsi_1_dig_phantom", KNOWN_DIGITAL)


def show_chest_phantom() -> bool:
    """Print the comparison with configuration C on the chest CT, where it is at hand."""
    try:
        image, mask = cases.chest_phantom()
    except (FileNotFoundError, StopIteration):
        print("\nIBSI configuration C: the chest CT is not here")
        return True
    profile = read_profile(CONFIGURATION_C)
    title = "IBSI configuration C, profile with ibsi: true"
    return _show(title, (image, mask), profile, "ibsi_1_chest_config_c", KNOWN_CHEST)


def _show(title: str, pair: tuple[Any, Any], profile: Profile, table: str, known: set[str]) -> bool:
    values = measure(read_case(*pair, profile, 1), profile)[0]
    found, missed = ibsi_agreement(values, table)
    print(f"\n{title}: {found} of {found + len(missed)} consensus values")
    for name, line in missed.items():
        print(f"  {name}: {line}{' (a known definition)' if name in known else ''}")
    return set(missed) <= known


def ibsi_agreement(values: dict[str, float], table: str) -> tuple[int, dict[str, str]]:
    """Return how many consensus values are met, and those that are not."""
    path = _REFERENCE / "ibsi" / "reference_values" / f"{table}.csv"
    with path.open(encoding="utf-8") as file:
        published = {row["tag"]: row for row in csv.DictReader(file, delimiter=";")}
    n, missed = 0, {}
    for feature_class, pattern, pairs in _PAIRS:
        for pair in pairs.split():
            feature, tag = pair.split(":")
            row = published[pattern.format(tag)]
            text, tolerance = row["reference value"], float(row["tolerance"] or 0)
            ours = values[f"original_{feature_class}_{feature}"]
            if abs(ours - float(text)) <= max(tolerance, _half_unit(text)) * (1 + 1e-9):
                n += 1
            else:
                missed[feature] = f"{ours:.6g}, consensus {text} +- {tolerance:g}"
    return n, missed


def _half_unit(text: str) -> float:
    """Return half a unit of a printed number's third significant digit, or of its last."""
    value = abs(float(text))
    if value == 0:
        return 0.0
    digits = len(text.lower().split("e")[0].replace(".", "").replace("-", "").strip("0")) or 1
    exponent = int(f"{value:e}".split("e")[1])
    return float(0.5 * 10 ** (exponent - max(digits, 3) + 1))


def baseline_cases() -> Iterator[tuple[str, Profile, Any, Any, dict[str, float]]]:
    """Give name, profile, image, mask and values of every column whose image is at hand."""
    for path in sorted((_REFERENCE / "pyradiomics" / "baseline").glob("baseline_*.csv")):
        with path.open(encoding="utf-8") as file:
            rows = list(csv.reader(file))
        for column in range(1, len(rows[0])):
            cells = {row[0]: row[column] for row in rows}
            name = cells["diagnostics_Configuration_TestCase"]
            if not cases.has(name):
                continue
            yield _baseline_column(f"{rows[0][column]} {path.stem}", name, cells)


def _baseline_column(
    where: str, name: str, cells: dict[str, str]
) -> tuple[str, Profile, Any, Any, dict[str, float]]:
    image, mask, _ = cases.real(name)
    values = {k: float(v) for k, v in cells.items() if k.count("_") == 2 and k[:4] != "diag" and v}
    settings = ast.literal_eval(cells["diagnostics_Configuration_Settings"])
    image_types = ast.literal_eval(cells["diagnostics_Configuration_EnabledImageTypes"])
    chosen: dict[str, list[str]] = {}
    for key in values:
        _, feature_class, feature = key.split("_", 2)
        chosen.setdefault(feature_class, []).append(feature)
    text = {"setting": settings, "imageType": image_types, "featureClass": chosen}
    return where, Profile.model_validate(text), image, mask, values
