"""The filtered images of a case, each as its values at the region's voxels."""

from collections.abc import Iterator

import numpy as np

from client.radiomics.case import Case
from client.radiomics.compiled import Array
from client.radiomics.errors import Cause, RadiomicsError
from client.radiomics.gaussian import laplacian_of_gaussian
from client.radiomics.reference import filtered
from client.radiomics.region import Region
from client.radiomics.wavelet import filter_length, wavelet_bands
from common.radiomics.settings import Settings

Source = tuple[str, Settings, float | None]


def sources(images: dict[str, Settings]) -> list[Source]:
    """Return what can be computed apart: image type, its settings, and sigma in mm for LoG."""
    found: list[Source] = []
    for name, settings in images.items():
        sigmas = settings.sigma if name == "LoG" else (None,)
        found += [(name, settings, sigma) for sigma in sigmas]
    return found


def values_of(
    source: Source, case: Case, region: Region, device: str | None = None
) -> Iterator[tuple[str, Array]]:
    """Give name and values at the region's voxels of every image of a source.

    Raises:
        RadiomicsError: the image is too small for a filter; PyRadiomics leaves it out.
    """
    name, settings, sigma = source
    if name == "Original":
        place = tuple(w + low for w, (low, _) in zip(region.where, case.box, strict=True))
        yield "original", case.array[place]
    elif sigma is not None:
        _check_log(case, float(sigma))
        image = _log(case, float(sigma), device)
        yield f"log-sigma-{str(sigma).replace('.', '-')}-mm-3D", image[tuple(region.where)]
    elif name == "Wavelet" and _is_simple(case, settings):
        bands = wavelet_bands(case.array, case.box, region.where, settings.wavelet, _axes(settings))
        yield from ((f"wavelet-{band}", values) for band, values in bands)
    else:
        place = tuple(w + low for w, (low, _) in zip(region.where, case.box, strict=True))
        for image_name, array in filtered(name, case.image, settings):
            yield image_name, array[place]


def _log(case: Case, sigma_mm: float, device: str | None) -> Array:
    if device is None:
        return laplacian_of_gaussian(case.array, case.spacing_mm, sigma_mm, case.box)
    from client.radiomics import torch_filters

    where = (case.array, case.spacing_mm, sigma_mm, case.box)
    return torch_filters.laplacian_of_gaussian(*where, device)


def _axes(settings: Settings) -> list[int]:
    return [a for a in (2, 1, 0) if not (settings.force2d and a == settings.force2d_dimension)]


def _is_simple(case: Case, settings: Settings) -> bool:
    shortest = min(case.array.shape[axis] for axis in _axes(settings))
    first_only = settings.level == 1 and settings.start_level == 0
    return first_only and shortest >= filter_length(settings.wavelet)


def _check_log(case: Case, sigma_mm: float) -> None:
    shape = np.array(case.array.shape)
    if shape.min() < 4 or np.any(shape < np.ceil(sigma_mm / case.spacing_mm) + 1):
        raise RadiomicsError(Cause.TOO_SMALL, f"{shape} voxels for a LoG of {sigma_mm} mm")
