"""From an image and a mask to the voxels that features are taken from.

Checks, normalisation, resampling and re-segmentation in PyRadiomics' order. What needs a
new grid is done by PyRadiomics' own functions; the rest looks at the region's box only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from client.radiomics.compiled import Array
from client.radiomics.errors import Cause, RadiomicsError
from client.radiomics.gaussian import Box
from client.radiomics.ibsi import resampled
from client.radiomics.reference import on_its_grid
from client.radiomics.region import bounding_box
from common.radiomics.profile import Profile
from common.radiomics.settings import Settings


@dataclass(frozen=True, slots=True)
class Case:
    """One region in one image, ready for filters.

    Attributes:
        image: SimpleITK image after normalisation and resampling.
        array: its voxels, (Z, Y, X), not a copy.
        spacing_mm: along z, y, x.
        box: of the voxels that textures are taken from.
        inside: bool, shape of the box.
        outline: bool, shape of the box; the region that shape is taken from.
    """

    image: Any
    array: Array
    spacing_mm: Array
    box: Box
    inside: Array
    outline: Array


def read_case(image: Any, mask: Any, profile: Profile, label: int) -> Case:
    """Return the region `mask == label`, checked.

    Raises:
        RadiomicsError: with what is wrong with it.
    """
    import SimpleITK as sitk  # noqa: N813

    settings = profile.setting
    _check_image(image, sitk)
    mask = _one_channel(mask, settings, sitk)
    image, mask = _on_grid(image, mask, profile, label)
    if not _same_grid(image, mask, settings):
        _fail_on_grid(image, mask)
    array = sitk.GetArrayViewFromImage(image)
    whole = sitk.GetArrayViewFromImage(mask) == label
    box = bounding_box(whole)
    inside = whole[_slices(box)]
    _check_size(inside, settings)
    outline = inside
    if settings.resegment_range is not None:
        inside = _resegmented(array[_slices(box)], inside, settings)
        outline = inside if settings.resegment_shape else outline
        inner = bounding_box(inside)
        box, inside = _shifted(box, inner), inside[_slices(inner)]
        # PyRadiomics takes shape from what lies inside the smaller box; IBSI from the outline.
        outline = outline if profile.ibsi else outline[_slices(inner)]
        _check_size(inside, settings)
    spacing = np.array(image.GetSpacing()[::-1])
    return Case(image, array, spacing, box, np.ascontiguousarray(inside), outline)


def _check_image(image: Any, sitk: Any) -> None:
    if image.GetDimension() != 3:
        raise RadiomicsError(Cause.NOT_3D, f"{image.GetDimension()} dimensions")
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise RadiomicsError(Cause.NOT_3D, "more than one value a voxel")
    voxels = sitk.GetArrayViewFromImage(image)
    if voxels.dtype.kind == "f" and not np.isfinite(voxels.sum(dtype=np.float64)):
        n_bad = int(np.count_nonzero(~np.isfinite(voxels)))
        raise RadiomicsError(Cause.NOT_FINITE, f"{n_bad} voxels are not numbers")


def _one_channel(mask: Any, settings: Settings, sitk: Any) -> Any:
    n = mask.GetNumberOfComponentsPerPixel()
    if n > 1:
        if settings.label_channel >= n:
            raise RadiomicsError(Cause.EMPTY_MASK, f"label_channel {settings.label_channel} of {n}")
        mask = sitk.VectorIndexSelectionCast(mask, settings.label_channel)
    if sitk.GetArrayViewFromImage(mask).dtype.kind not in "iu":
        mask = sitk.Cast(mask, sitk.sitkUInt32)
    return mask


def _on_grid(image: Any, mask: Any, profile: Profile, label: int) -> tuple[Any, Any]:
    settings = profile.setting
    if profile.ibsi and settings.resampled_pixel_spacing is not None:
        if not _same_grid(image, mask, settings):
            _fail_on_grid(image, mask)
        return resampled(image, mask, settings, label)
    if _needs_a_grid(settings) or (settings.correct_mask and not _same_grid(image, mask, settings)):
        return on_its_grid(image, mask, settings, label)
    return image, mask


def _needs_a_grid(settings: Settings) -> bool:
    resampled = settings.resampled_pixel_spacing is not None and settings.interpolator is not None
    return settings.normalize or settings.pre_crop or resampled


def _same_grid(image: Any, mask: Any, settings: Settings) -> bool:
    """Compare as ITK does: to a millionth of a voxel, or the given tolerance."""
    tolerance = float(settings.geometry_tolerance or 1e-6)
    if image.GetSize() != mask.GetSize():
        return False
    near = tolerance * image.GetSpacing()[0]
    pairs = (
        (image.GetOrigin(), mask.GetOrigin(), near),
        (image.GetSpacing(), mask.GetSpacing(), near),
        (image.GetDirection(), mask.GetDirection(), tolerance),
    )
    return all(np.max(np.abs(np.subtract(a, b))) <= limit for a, b, limit in pairs)


def _fail_on_grid(image: Any, mask: Any) -> None:
    low = [image.TransformContinuousIndexToPhysicalPoint([-0.5] * 3)]
    high = [n - 0.5 for n in image.GetSize()]
    low.append(image.TransformContinuousIndexToPhysicalPoint(high))
    ends = [mask.TransformPhysicalPointToContinuousIndex(p) for p in low]
    begin, end = np.min(ends, axis=0), np.max(ends, axis=0)
    if np.any(end < -0.5) or np.any(begin > np.array(mask.GetSize()) - 0.5):
        raise RadiomicsError(Cause.MASK_OFF_IMAGE, "mask and image do not overlap")
    raise RadiomicsError(
        Cause.GEOMETRY_MISMATCH,
        f"image {image.GetSize()} at {image.GetOrigin()} with {image.GetSpacing()} mm, "
        f"mask {mask.GetSize()} at {mask.GetOrigin()} with {mask.GetSpacing()} mm",
    )


def _check_size(inside: Array, settings: Settings) -> None:
    n = int(np.count_nonzero(inside))
    if n == 0:
        raise RadiomicsError(Cause.EMPTY_MASK)
    n_wide = sum(n > 1 for n in inside.shape)
    if n_wide == 0:
        raise RadiomicsError(Cause.ONE_VOXEL)
    if n_wide < settings.minimum_roi_dimensions:
        raise RadiomicsError(Cause.TOO_SMALL, f"extends in {n_wide} dimensions")
    if settings.minimum_roi_size is not None and n <= settings.minimum_roi_size:
        raise RadiomicsError(Cause.TOO_SMALL, f"{n} voxels")


def _resegmented(array: Array, inside: Array, settings: Settings) -> Array:
    values = array[inside]
    limits: list[Any] = sorted(settings.resegment_range or ())
    if settings.resegment_mode == "relative":
        limits = [values.max() * limit for limit in limits]
    elif settings.resegment_mode == "sigma":
        mean, deviation = np.mean(values), np.std(values)
        limits = [mean + deviation * limit for limit in limits]
    kept = values >= limits[0]
    if len(limits) == 2:
        kept &= values <= limits[1]
    if np.count_nonzero(kept) <= 1:
        raise RadiomicsError(Cause.RESEGMENTED_AWAY, f"of {len(values)} voxels")
    out = np.zeros_like(inside)
    out[inside] = kept
    return out


def _shifted(box: Box, inner: Box) -> Box:
    pairs = [(low + a, low + b) for (low, _), (a, b) in zip(box, inner, strict=True)]
    return (pairs[0], pairs[1], pairs[2])


def _slices(box: Box) -> tuple[slice, ...]:
    return tuple(slice(low, high) for low, high in box)
