"""PyRadiomics itself: what runs where the fast engine does not cover a setting."""

import logging
import warnings
from typing import Any

from client.radiomics.errors import Cause, RadiomicsError
from common.radiomics.profile import Profile

# Beginnings of PyRadiomics' own messages, with the cause each stands for.
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

    extractor = RadiomicsFeatureExtractor(profile.as_pyradiomics(), additionalInfo=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            values = extractor.execute(image, mask, label=label)
    except (ValueError, RuntimeError, IndexError) as error:
        raise RadiomicsError(_cause(str(error)), str(error)) from error
    return {name: float(value) for name, value in values.items()}


def _cause(message: str) -> Cause:
    for beginning, cause in _CAUSES:
        if message.startswith(beginning):
            return cause
    return Cause.FAILED
