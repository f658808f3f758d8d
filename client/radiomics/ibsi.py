"""Resampling as the Image Biomarker Standardisation Initiative defines it.

IBSI reference manual, section 2.4 (Zwanenburg et al., Radiology 295:328, 2020): the new
grid shares the image's centre, whole grey values stay whole, and a voxel is inside the
mask where the interpolated mask is at least one half.
"""

from typing import Any

import numpy as np

from common.radiomics.settings import Settings


def resampled(image: Any, mask: Any, settings: Settings, label: int) -> tuple[Any, Any]:
    """Return image and mask (0, label) on a grid of the profile's spacing.

    Args:
        image: SimpleITK image.
        mask: SimpleITK image on the same grid.
        settings: spacing in mm (0 keeps an axis) and interpolator.
        label: the mask's value inside the region.
    """
    import SimpleITK

    sitk: Any = SimpleITK
    old, size = np.array(image.GetSpacing()), np.array(image.GetSize())
    wished = np.array(settings.resampled_pixel_spacing or (0, 0, 0), float)
    new = np.where(wished == 0, old, wished)
    new_size = np.ceil(size * old / new - 1e-9)
    first = 0.5 * (size - 1) - 0.5 * (new_size - 1) * new / old
    origin = image.TransformContinuousIndexToPhysicalPoint(first.tolist())
    filter_: Any = sitk.ResampleImageFilter()
    filter_.SetSize([int(n) for n in new_size])
    filter_.SetOutputOrigin(origin)
    filter_.SetOutputSpacing(new.tolist())
    filter_.SetOutputDirection(image.GetDirection())
    filter_.SetUseNearestNeighborExtrapolator(True)
    name = settings.interpolator
    filter_.SetInterpolator(getattr(sitk, name) if isinstance(name, str) else name)
    values = filter_.Execute(sitk.Cast(image, sitk.sitkFloat64))
    voxels = sitk.GetArrayViewFromImage(image)
    # Hounsfield units are whole even where a file stores them as floating-point numbers.
    if np.array_equal(voxels, np.rint(voxels)):
        values = sitk.Round(values)
    filter_.SetInterpolator(sitk.sitkLinear)
    share = filter_.Execute(sitk.Cast(mask == label, sitk.sitkFloat64))
    return values, sitk.Cast(share >= 0.5 - 1e-9, sitk.sitkUInt32) * label
