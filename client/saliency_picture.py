"""A picture of what a network looked at, for the site's own people; it never leaves."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.bench import Bench
from client.cases import Case
from client.imageio import Volume
from client.sights import load_window

Floats = NDArray[np.floating[Any]]

_HEIGHT = 192
_GAP = 4
_STRENGTH = 0.55


def picture_of(bench: Bench, case: Case, seen: Volume) -> bytes:
    """Return a PNG: the slice that was looked at most in every image, then with the map over it.

    Args:
        bench: the task and the machine.
        case: the case.
        seen: the map, on the grid of the window.
    """
    from matplotlib import colormaps
    from matplotlib.image import imsave

    image = load_window(bench, case)[0]
    z = int(np.argmax(seen.voxels.sum((1, 2))))
    grey = [np.repeat(_grey(channel[z])[..., None], 3, axis=2) for channel in image]
    strength = _STRENGTH * seen.voxels[z][..., None]
    over = (1 - strength) * grey[0] + strength * colormaps["inferno"](seen.voxels[z])[..., :3]
    panels = [_large(panel, seen) for panel in (*grey, over)]
    gap = np.ones((panels[0].shape[0], _GAP, 3))
    row = np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)
    buffer = io.BytesIO()
    imsave(buffer, row, format="png")
    return buffer.getvalue()


def _grey(slice_: Floats) -> Floats:
    low, high = np.percentile(slice_, [1, 99])
    grey: Floats = np.clip((slice_ - low) / max(float(high - low), 1e-6), 0, 1)
    return grey


def _large(panel: Floats, seen: Volume) -> Floats:
    """Return a slice enlarged by whole factors, about as tall as pictures are, in proportion."""
    _, sy, sx = seen.grid.spacing_mm
    factor = max(1, round(_HEIGHT / panel.shape[0]))
    across = max(1, round(factor * sx / sy))
    return np.clip(np.repeat(np.repeat(panel, factor, axis=0), across, axis=1), 0, 1)
