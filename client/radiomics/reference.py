"""PyRadiomics itself: what runs where the fast engine does not cover a setting."""

import functools
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

from client.radiomics.errors import Cause, RadiomicsError
from common.radiomics.names import FEATURES, ON_REQUEST
from common.radiomics.profile import Profile
from common.radiomics.settings import Settings

Array = npt.NDArray[Any]

# Beginnings of PyRadiomics' own messages, with the cause each stands for.
# scikit-image says so of every local binary pattern of real numbers, which may hang on rounding.
_ROUNDING = "Applying `local_binary_pattern` to floating-point images"
_CAUSES = (
    ("No labels found", Cause.EMPTY_MASK),
    ("Label (", Cause.EMPTY_MASK),
    ("Image/Mask", Cause.GEOMETRY_MISMATCH),
    ("Bounding box of ROI is larger", Cause.MASK_OFF_IMAGE),
    ("mask only contains 1", Cause.ONE_VOXEL),
    ("mask has too few", Cause.TOO_SMALL),
    ("Size of the ROI", Cause.TOO_SMALL),
    ("Resegmentation excluded", Cause.RESEGMENTED_AWAY),
)


@functools.cache
def _load() -> None:
    """Import PyRadiomics, which finds its own modules in a way Python has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import radiomics

        radiomics.getFeatureClasses()
        radiomics.getImageTypes()
    # It warns on standard error that SumAverage is twice JointAverage, for every image.
    logging.getLogger("radiomics").setLevel(logging.CRITICAL)


def extract_with_pyradiomics(
    image: Any, mask: Any, profile: Profile, label: int = 1
) -> dict[str, float]:
    """Return the features as PyRadiomics computes them, without its diagnostics.

    Args:
        image: SimpleITK image.
        mask: SimpleITK image of whole numbers.
        profile: what to extract.
        label: the mask's value inside the region.

    Raises:
        RadiomicsError: PyRadiomics refused the region.
    """
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    # It warns on standard error that SumAverage is twice JointAverage, for every image.
    logging.getLogger("radiomics").setLevel(logging.CRITICAL)

    # Set by hand, since the profile is checked already and its own check is slow.
    declared = profile.as_pyradiomics()
    extractor = RadiomicsFeatureExtractor(**declared["setting"] | {"additionalInfo": False})
    extractor.enabledImagetypes = declared["imageType"]
    extractor.enabledFeatures = declared["featureClass"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.filterwarnings("ignore", _ROUNDING)
            values = extractor.execute(image, mask, label=label)
    except (ValueError, RuntimeError, IndexError) as error:
        raise RadiomicsError(_cause(str(error)), str(error)) from error
    return {name: float(value) for name, value in values.items()}


def _cause(message: str) -> Cause:
    for beginning, cause in _CAUSES:
        if message.startswith(beginning):
            return cause
    return Cause.FAILED


def on_its_grid(image: Any, mask: Any, settings: Settings, label: int) -> tuple[Any, Any]:
    """Return image and mask after normalisation, resampling, cropping and mask correction.

    Raises:
        RadiomicsError: PyRadiomics refused the region.
    """
    _load()
    from radiomics import imageoperations
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    options = settings.as_pyradiomics() | {"label": label}
    try:
        image, mask = RadiomicsFeatureExtractor.loadImage(image, mask, None, **options)
        if settings.correct_mask:
            _, corrected = imageoperations.checkMask(image, mask, **options)
            mask = mask if corrected is None else corrected
    except (ValueError, RuntimeError, IndexError) as error:
        raise RadiomicsError(_cause(str(error)), str(error)) from error
    return image, mask


def filtered(name: str, image: Any, settings: Settings) -> Iterator[tuple[str, Array]]:
    """Give name and voxels of every image that a filter of PyRadiomics makes."""
    _load()
    import SimpleITK as sitk  # noqa: N813
    from radiomics import imageoperations

    make = getattr(imageoperations, f"get{name}Image")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _ROUNDING)
        found = list(make(image, None, **settings.as_pyradiomics()))
    for made, image_name, _ in found:
        yield image_name, sitk.GetArrayFromImage(made)


def flat_shape(case_image: Any, outline: Any, settings: Settings) -> dict[str, float]:
    """Return the two-dimensional shape features of a region in a single slice."""
    _load()
    import SimpleITK as sitk  # noqa: N813
    from radiomics.shape2D import RadiomicsShape2D

    mask: Any = sitk.GetImageFromArray(outline.astype("uint8"))
    mask.SetSpacing(case_image.GetSpacing())
    options = settings.as_pyradiomics() | {"label": 1}
    shape = RadiomicsShape2D(mask, mask, **options)
    names = (*FEATURES["shape2D"], *ON_REQUEST["shape2D"])
    return {name: float(getattr(shape, f"get{name}FeatureValue")()) for name in names}
