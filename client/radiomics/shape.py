"""Shape features of a region, in the order of `common.radiomics.names`."""

import numpy as np

from client.radiomics.compiled import Array, Floats
from client.radiomics.mesh import diameters, surface_and_volume


def shape_features(inside: Array, spacing_mm: Array) -> dict[str, float]:
    """Return the features of a mask cropped to its box, also those given on request.

    Args:
        inside: bool, (Z, Y, X).
        spacing_mm: voxel size along z, y, x.
    """
    spacing = np.asarray(spacing_mm, float)
    padded = np.pad(inside, 1)
    surface, volume = surface_and_volume(padded, spacing)
    in_slice, in_column, in_row, widest = diameters(padded, spacing)
    least, minor, major = _principal(inside, spacing)
    cube = 36 * np.pi * volume**2
    return {
        "Elongation": _ratio(minor, major),
        "Flatness": _ratio(least, major),
        "LeastAxisLength": _axis(least),
        "MajorAxisLength": _axis(major),
        "Maximum2DDiameterColumn": in_column,
        "Maximum2DDiameterRow": in_row,
        "Maximum2DDiameterSlice": in_slice,
        "Maximum3DDiameter": widest,
        "MeshVolume": volume,
        "MinorAxisLength": _axis(minor),
        "Sphericity": cube ** (1.0 / 3.0) / surface,
        "SurfaceArea": surface,
        "SurfaceVolumeRatio": surface / volume,
        "VoxelVolume": float(np.count_nonzero(inside) * np.prod(spacing)),
        "Compactness1": volume / (surface ** (3.0 / 2.0) * np.sqrt(np.pi)),
        "Compactness2": 36.0 * np.pi * volume**2.0 / surface**3.0,
        "SphericalDisproportion": surface / cube ** (1.0 / 3.0),
    }


def _principal(inside: Array, spacing: Floats) -> tuple[float, float, float]:
    """Return the variances along the principal axes in mm2, ascending."""
    places = np.array(np.nonzero(inside), float) * spacing[:, None]
    places -= places.mean(axis=1, keepdims=True)
    values = np.linalg.eigvalsh(places @ places.T / places.shape[1])
    values[(values < 0) & (values > -1e-10)] = 0
    return float(values[0]), float(values[1]), float(values[2])


def _axis(variance: float) -> float:
    return float(np.sqrt(variance) * 4) if variance >= 0 else float("nan")


def _ratio(variance: float, major: float) -> float:
    return float(np.sqrt(variance / major)) if variance >= 0 and major > 0 else float("nan")
