"""How many grey levels a region has in the image itself, where the engine does not say.

The steps are PyRadiomics' own, in its order: normalise, resample, cut the region, bin.
"""

from typing import Any

import numpy as np

from common.radiomics.profile import Profile


def count_levels(image: Any, mask: Any, profile: Profile) -> int:
    """Return the number of distinct grey levels of the region `mask == 1`.

    Args:
        image: SimpleITK image.
        mask: SimpleITK image on its grid.
        profile: says how grey levels are made.
    """
    import SimpleITK
    from radiomics import imageoperations

    settings = {k: v for k, v in profile.setting.as_pyradiomics().items() if v is not None}
    settings["label"] = 1
    if settings.get("normalize"):
        image = imageoperations.normalizeImage(image, **settings)
    if settings.get("interpolator") and settings.get("resampledPixelSpacing"):
        image, mask = imageoperations.resampleImage(image, mask, **settings)
    if settings.get("resegmentRange"):
        mask = imageoperations.resegmentMask(image, mask, **settings)
    read: Any = SimpleITK.GetArrayFromImage
    values = read(image)[read(mask) == 1]
    edges = imageoperations.getBinEdges(values, **settings)
    return int(np.unique(np.digitize(values, edges)).size)
