"""Real regions and made-up awkward ones, for the parity and the speed of the radiomics engine."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813

from common.radiomics.profile import Profile, read_profile

DATA = Path(
    os.environ.get("CONSORTIUM_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
FULL = "imageType: {Original: {}, LoG: {sigma: [1.0, 2.0, 3.0]}, Wavelet: {}}"
ORIGINAL = "imageType: {Original: {}}"
BENCH = ("hippocampus", "brain1", "sts_003_mr", "sts_002_ct", "chest_phantom", "sts_001_ct")
REAL = (
    "hippocampus", "hippocampus_posterior", "brain1", "brain2", "breast1", "prostate",
    "sts_003_mr", "sts_002_mr", "sts_025_mr", "sts_002_ct", "sts_025_ct", "chest_phantom",
    "sts_003_ct", "sts_001_ct",
)  # fmt: skip

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Region:
    """One region to extract from."""

    name: str
    image: Any
    mask: Any
    label: int
    profile: Profile


def real(name: str) -> tuple[Any, Any, int]:
    """Return image, mask and label of a real region.

    Raises:
        FileNotFoundError: its files are not below the data folder.
    """
    if name.startswith("hippocampus"):
        folder, file = DATA / "hippocampus", "hippocampus_003.nii.gz"
        mask = sitk.Cast(_read(folder / "labelsTr" / file), sitk.sitkUInt8)
        return _read(folder / "imagesTr" / file), mask, 2 if "posterior" in name else 1
    cases = DATA / "reference" / "pyradiomics" / "cases"
    if name == "prostate":
        stem = cases / "prostate_phantom_subvolume"
        return _read(Path(f"{stem}.nrrd")), _read(Path(f"{stem}-label.nrrd")), 1
    if name == "chest_phantom":
        return *chest_phantom(), 1
    if name.startswith("sts"):
        return *_sarcoma(*name.split("_")[1:]), 1
    return _read(cases / f"{name}_image.nrrd"), _read(cases / f"{name}_label.nrrd"), 1


def has(name: str) -> bool:
    """Say whether the image of a PyRadiomics test case is at hand."""
    return (DATA / "reference" / "pyradiomics" / "cases" / f"{name}_image.nrrd").is_file()


def chest_phantom() -> Pair:
    """Return the IBSI's chest CT (CC BY-NC, never shipped) and its tumour's mask."""
    folder = DATA / "reference" / "noncommercial" / "ibsi_1_ct_radiomics_phantom"
    image, mask = (next((folder / part).glob("*.nii.gz")) for part in ("image", "mask"))
    return _read(image), sitk.Cast(_read(mask), sitk.sitkUInt8)


def _sarcoma(number: str, kind: str) -> Pair:
    stem = f"STS_{number}_{'CT' if kind == 'ct' else 'MR_T1'}"
    image = _read(DATA / "sts" / "images" / f"{stem}.nii.gz")
    mask = _read(DATA / "sts" / "masks" / f"{stem}_mask.nii.gz")
    if kind == "mr":
        return image, mask
    return _to_1_mm(image, sitk.sitkBSpline), _to_1_mm(mask, sitk.sitkNearestNeighbor)


def _to_1_mm(image: Any, interpolator: int) -> Any:
    sizes = zip(image.GetSize(), image.GetSpacing(), strict=True)
    size = [round(n * spacing) for n, spacing in sizes]
    grid = (image.GetOrigin(), (1.0, 1.0, 1.0), image.GetDirection(), 0.0, image.GetPixelID())
    return sitk.Resample(image, size, sitk.Transform(), interpolator, *grid)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(path)
    return sitk.ReadImage(str(path))


_SHAPES = ("blob", "scatter", "slice", "line", "two voxels", "border", "box", "shell")
_KINDS = (np.int16, np.uint8, np.float32, np.float64, np.int32)
_SETTINGS = (
    "binWidth: 25", "binCount: 16", "binWidth: 5", "binWidth: 12.5",
    "{resegmentRange: [-150, 400], binWidth: 10}",
    "{resegmentRange: [-2, 2], resegmentMode: sigma, binWidth: 10}",
    "{force2D: true, binWidth: 15}",
    "{force2D: true, force2Ddimension: 1, binWidth: 15}",
    "{weightingNorm: euclidean, binWidth: 15}",
    "{distances: [1, 2], binWidth: 20, gldm_a: 1}",
    "{normalize: true, normalizeScale: 100, binWidth: 10, voxelArrayShift: 300}",
    "{resampledPixelSpacing: [1, 1, 1], padDistance: 8, binWidth: 15}",
    "{normalize: true, removeOutliers: 3, binWidth: 0.25}",
    "{preCrop: true, padDistance: 10, weightingNorm: infinity}",
)  # fmt: skip
_IMAGES = (
    "{Original: {}, LoG: {sigma: [1.0, 2.5]}, Wavelet: {}}",
    "{Original: {}, Square: {}, SquareRoot: {}, Logarithm: {}, Exponential: {}, Gradient: {}}",
    "{Original: {}, Wavelet: {wavelet: haar}, LoG: {sigma: [2], binWidth: 10}}",
    "{Wavelet: {level: 2, binWidth: 40}, Original: {}}",
)


def fuzzed(n: int, seed: int = 7) -> Iterator[Region]:
    """Make up small regions: borders, slices, lines, scatter; types, spacings and settings."""
    for k in range(n):
        rng = np.random.default_rng([seed, k])
        kind = _SHAPES[k % len(_SHAPES)]
        shape = tuple(int(v) for v in rng.integers(8, 26, 3))
        image = sitk.GetImageFromArray(_texture(rng, shape).astype(_KINDS[k % len(_KINDS)]))
        mask = sitk.GetImageFromArray(_inside(rng, shape, kind).astype(np.uint8))
        spacing = [float(v) for v in np.round(rng.uniform(0.6, 3.0, 3), 2)]
        part: Any
        for part in (image, mask):
            part.SetSpacing(spacing)
        setting = _SETTINGS[k % len(_SETTINGS)]
        setting = setting if setting.startswith("{") else f"{{{setting}}}"
        text = f"setting: {setting}\nimageType: {_IMAGES[k % len(_IMAGES)]}"
        yield Region(f"{k} {kind} {setting}", image, mask, 1, read_profile(_any_size(text)))


def _any_size(text: str) -> str:
    return text.replace("setting: {", "setting: {minimumROIDimensions: 1, ")


def _texture(rng: Any, shape: tuple[int, ...]) -> Any:
    noise = rng.normal(0, 1, shape)
    smooth = noise + sum(np.roll(noise, s, axis) for s in (-1, 1) for axis in range(3))
    trend = np.add.outer(np.add.outer(*(np.arange(m) * 2.0 for m in shape[:2])), np.zeros(shape[2]))
    values = 110 + 12 * smooth + trend
    return np.clip(values, 1, 190) if rng.random() < 0.3 else values


def _inside(rng: Any, shape: tuple[int, ...], kind: str) -> Any:
    inside = np.zeros(shape, bool)
    middle = [int(rng.integers(2, m - 2)) for m in shape]
    grid = np.indices(shape)
    radii = [max(1.5, m * rng.uniform(0.15, 0.45)) for m in shape]
    parts = zip(grid, middle, radii, strict=True)
    apart = sum(((g - m) / r) ** 2 for g, m, r in parts)
    if kind == "slice":
        inside[middle[0]] = apart[middle[0]] < 1.2
    elif kind == "line":
        inside[middle[0], middle[1], 1:-1] = True
    elif kind == "two voxels":
        inside[tuple(middle)] = inside[middle[0] - 1, middle[1] + 1, middle[2]] = True
    elif kind == "box":
        inside[tuple(slice(1, m) for m in middle)] = True
    elif kind == "scatter":
        inside = rng.random(shape) < 0.15
    elif kind == "shell":
        inside = (apart < 1) & (apart > 0.4)
    elif kind == "border":
        inside = apart < 3
    else:
        inside = apart < 1
    inside[tuple(middle)] = True
    inside[middle[0], middle[1], middle[2] - 1] = True
    inside[0, 0, 0] = inside[0, 0, 0] and kind == "border"
    return inside
