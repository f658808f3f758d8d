"""A made-up scan with a region, the same to the last bit on every machine."""

from typing import Any

import numpy as np


def phantom() -> tuple[Any, Any]:
    """Return image and mask: a smooth field with whole grey values, an off-centre ellipsoid.

    32 x 40 x 36 voxels of 1.2 x 0.9 x 0.8 mm (z, y, x); made of whole-number arithmetic only.
    """
    import SimpleITK as sitk  # noqa: N813

    z, y, x = np.indices((32, 40, 36), dtype=np.int64)
    waves = (z * z * 7 + y * x * 3 + x * x * 5) % 211 + ((z * 131 + y * 71 + x * 29) % 97)
    trend = 6 * z + 4 * y + 2 * x
    values = (waves + trend).astype(np.int16)
    inside = 4 * (z - 16) ** 2 + 2 * (y - 18) ** 2 + 3 * (x - 17) ** 2 < 500
    image = sitk.GetImageFromArray(values)
    mask = sitk.GetImageFromArray(inside.astype(np.uint8))
    part: Any
    for part in (image, mask):
        part.SetSpacing((0.8, 0.9, 1.2))
        part.SetOrigin((-10.0, 5.0, 20.0))
    return image, mask
