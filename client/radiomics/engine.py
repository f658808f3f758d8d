"""The features of one region: the fast engine where it covers the profile, else PyRadiomics."""

import functools
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from client.radiomics.case import Case, read_case
from client.radiomics.compiled import Array, Floats
from client.radiomics.errors import Cause, RadiomicsError
from client.radiomics.features import Diagnostics, Features
from client.radiomics.images import Source, sources, values_of
from client.radiomics.phantom import phantom
from client.radiomics.reference import extract_with_pyradiomics, flat_shape
from client.radiomics.region import Region, region_of
from client.radiomics.shape import shape_features
from client.radiomics.textures import (
    CLASSES,
    CompiledCounts,
    Counts,
    Discretisation,
    discretise,
    texture_features,
)
from common.radiomics.names import FEATURES, ON_REQUEST
from common.radiomics.profile import Profile, read_profile
from common.radiomics.settings import Settings

FEWEST_LEVELS, MOST_LEVELS = 8, 256
_FARTHEST = 2
_SHAPES = ("shape", "shape2D")

Made = tuple[str, Settings, Array]
Found = tuple[str, int, dict[str, Floats]]


def extract(
    image: Any, mask: Any, profile: Profile, label: int = 1,
    *, n_threads: int = 1, device: str | None = None,
) -> Features:  # fmt: skip
    """Return the features of the region `mask == label`, with PyRadiomics' names and values.

    Args:
        image: SimpleITK image, three dimensions.
        mask: SimpleITK image of whole numbers on the image's grid.
        profile: what to extract.
        label: the mask's value inside the region.
        n_threads: images that are worked on at once; for a cohort, one process a core with
            one thread each is faster.
        device: a torch device that filters and counts, such as "cuda"; None for the
            compiled kernels, which are faster than a GPU on small regions.

    Raises:
        RadiomicsError: the region has no features; its cause is one of a fixed list.
    """
    case = read_case(image, mask, profile, label)
    reasons = tuple(covers(profile))
    n_voxels = int(np.count_nonzero(case.inside))
    if reasons:
        values = extract_with_pyradiomics(image, mask, profile, label)
        return Features(values, Diagnostics("pyradiomics", reasons, n_voxels))
    values, levels = measure(case, profile, n_threads, device)
    _check_levels(levels)
    warnings = tuple(_warnings(levels))
    return Features(values, Diagnostics("fast", (), n_voxels, levels, warnings))


def covers(profile: Profile) -> list[str]:
    """Return why the fast engine does not cover the profile; empty if it does."""
    reasons = []
    for name, settings in profile.images().items():
        if not settings.symmetrical_glcm:
            reasons.append(f"{name}: symmetricalGLCM is false")
        if max(settings.distances) > _FARTHEST:
            reasons.append(f"{name}: distances beyond {_FARTHEST}")
    return reasons


def self_test(profile: Profile) -> str:
    """Return a digest of the rounded features of a built-in phantom, for sites to compare."""
    features = extract(*phantom(), profile)
    text = "\n".join(f"{name} {_rounded(value)}" for name, value in features.items())
    return hashlib.sha256(text.encode()).hexdigest()


def is_warm() -> bool:
    """Tell whether compiled kernels lie on the disk; else the first region waits for them."""
    import numba

    config: Any = numba.config
    return next(Path(str(config.CACHE_DIR)).rglob("*.nbi"), None) is not None


def warm_up() -> None:
    """Compile the kernels, or load them from the disk, so that the first case need not wait."""
    import SimpleITK as sitk  # noqa: N813

    filters = "imageType: {Original: {}, LoG: {sigma: [2.0]}, Wavelet: {}}"
    image, mask = phantom()
    extract(image, mask, read_profile(filters))
    # Filters are compiled for each kind of voxel.
    for kind in (sitk.sitkFloat32, sitk.sitkFloat64):
        few = read_profile(f"{filters}\nfeatureClass: {{firstorder: [Mean]}}")
        extract(sitk.Cast(image, kind), mask, few)  # type: ignore[no-untyped-call]


def _rounded(value: float) -> str:
    # Zero up to rounding must read the same everywhere.
    return "0" if abs(value) < 1e-9 else f"{value:.6e}"


def measure(
    case: Case, profile: Profile, n_threads: int = 1, device: str | None = None
) -> tuple[dict[str, float], dict[str, int]]:
    """Return the fast engine's features, and the grey levels of each image, unjudged."""
    features = profile.features()
    out = _shapes(case, profile)
    wanted = tuple(name for name in CLASSES if name in features)
    found = list(_textures(case, profile, wanted, n_threads, device)) if wanted else []
    for image_name, _, classes in _in_order(found):
        for name in features:
            if name not in _SHAPES:
                out.update(_named(image_name, name, features[name], classes[name]))
    return out, {image_name: n for image_name, n, _ in found}


def _shapes(case: Case, profile: Profile) -> dict[str, float]:
    features, out = profile.features(), {}
    if "shape" in features:
        values = shape_features(case.outline, case.spacing_mm)
        out.update({f"original_shape_{name}": values[name] for name in features["shape"]})
    axis = profile.setting.force2d_dimension
    if "shape2D" in features:
        if case.outline.shape[axis] != 1:
            raise RadiomicsError(Cause.NOT_3D, "shape2D needs a region in a single slice")
        values = flat_shape(case.image, case.outline, profile.setting)
        out.update({f"original_shape2D_{name}": values[name] for name in features["shape2D"]})
    return out


def _textures(
    case: Case, profile: Profile, wanted: tuple[str, ...], n_threads: int, device: str | None
) -> Iterator[Found]:
    images = profile.images()
    regions = {key: region_of(case.inside, case.box, case.spacing_mm, *key)
               for key in {_neighbourhood(settings) for settings in images.values()}}  # fmt: skip

    def made(source: Source) -> Iterator[Made]:
        region = regions[_neighbourhood(source[1])]
        for image_name, values in values_of(source, case, region, device):
            yield image_name, source[1], values

    def measured(one: Made) -> Found:
        image_name, settings, values = one
        levels = discretise(values, settings, _origin(profile, image_name))
        region = regions[_neighbourhood(settings)]
        counts = _counts(region, levels, device)
        classes = texture_features(values, levels, region, settings, wanted, counts)
        return image_name, levels.n_present, classes

    parts = sources(images)
    if n_threads == 1:
        for source in parts:
            yield from map(measured, made(source))
        return
    with ThreadPoolExecutor(n_threads) as pool:
        filters = list(pool.map(lambda source: list(made(source)), parts))
        yield from pool.map(measured, [one for part in filters for one in part])


def _counts(region: Region, found: Discretisation, device: str | None) -> Counts:
    if device is None:
        return CompiledCounts(region, found.levels, found.n_levels)
    from client.radiomics.torch_counts import TorchCounts

    return TorchCounts(region, found.levels, found.n_levels, device)


def _origin(profile: Profile, image_name: str) -> float | None:
    """Return where IBSI's first grey level begins: at the lower bound of re-segmentation."""
    limits = profile.setting.resegment_range
    if not (profile.ibsi and limits and image_name == "original"):
        return None
    return float(min(limits))


def _neighbourhood(settings: Settings) -> tuple[tuple[int, ...], int | None]:
    return settings.distances, settings.force2d_dimension if settings.force2d else None


def _in_order(found: list[Found]) -> list[Found]:
    """Put the approximation of a wavelet behind its details, as PyRadiomics does."""
    approximations = [one for one in found if set(one[0].removeprefix("wavelet-")) == {"L"}]
    if not approximations:
        return found
    last = max(k for k, one in enumerate(found) if one[0].startswith("wavelet-"))
    rest = [one for one in found if one not in approximations]
    at = last + 1 - len(approximations)
    return [*rest[:at], *approximations, *rest[at:]]


def _named(
    image: str, feature_class: str, features: tuple[str, ...], values: Floats
) -> dict[str, float]:
    found = values.tolist()
    places = _places(feature_class, features)
    start = f"{image}_{feature_class}_"
    return {start + name: found[at] for name, at in zip(features, places, strict=True)}


@functools.lru_cache(maxsize=64)
def _places(feature_class: str, features: tuple[str, ...]) -> tuple[int, ...]:
    names = (*FEATURES[feature_class], *ON_REQUEST.get(feature_class, ()))
    return tuple(names.index(feature) for feature in features)


def _check_levels(levels: dict[str, int]) -> None:
    flat = [name for name, n in levels.items() if n < 2]
    if flat:
        raise RadiomicsError(
            Cause.ONE_GREY_LEVEL,
            f"{', '.join(flat)}: one grey level in the region; the bin width is too coarse, or "
            "the region is flat",
        )


def _warnings(levels: dict[str, int]) -> Iterator[str]:
    for name, n in levels.items():
        if not FEWEST_LEVELS <= n <= MOST_LEVELS:
            yield f"{name}: {n} grey levels, expected {FEWEST_LEVELS}-{MOST_LEVELS}"
