"""The features of one region: the fast engine where it covers the profile, else PyRadiomics."""

import hashlib
import logging
from typing import Any

from client.radiomics.features import Diagnostics, Features
from client.radiomics.reference import extract_with_pyradiomics
from common.radiomics.profile import Profile

log = logging.getLogger(__name__)


def extract(image: Any, mask: Any, profile: Profile, label: int = 1) -> Features:
    """Return the features of the region `mask == label`, with PyRadiomics' names and values.

    Args:
        image: SimpleITK image, three dimensions.
        mask: SimpleITK image of whole numbers on the image's grid.
        profile: what to extract.
        label: the mask's value inside the region.

    Raises:
        RadiomicsError: the region has no features; its cause is one of a fixed list.
    """
    reasons = tuple(covers(profile))
    values = extract_with_pyradiomics(image, mask, profile, label)
    return Features(values, Diagnostics("pyradiomics", reasons))


def covers(profile: Profile) -> list[str]:
    """Return why the fast engine does not cover the profile; empty if it does."""
    return [f"the fast engine is not here yet ({name})" for name in profile.images()]


def self_test(profile: Profile) -> str:
    """Return a digest of the rounded features of a built-in phantom, for sites to compare."""
    from client.radiomics.phantom import phantom

    image, mask = phantom()
    features = extract(image, mask, profile)
    text = "\n".join(f"{name} {value:.6e}" for name, value in features.items())
    return hashlib.sha256(text.encode()).hexdigest()


def warm_up() -> None:
    """Compile the kernels, or load them from the disk, so that the first case need not wait."""
