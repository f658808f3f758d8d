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


def picture_of(bench: Bench, case: Case, seen: Volume, title: str) -> bytes:
    """Return a PNG of the slice that was looked at most, beside itself with the map over it.

    Args:
        bench: the task and the machine.
        case: the case.
        seen: the map, on the grid of the window.
        title: of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    image = load_window(bench, case)[0]
    z = int(np.argmax(seen.voxels.sum((1, 2))))
    figure = Figure(figsize=(2.4 * (len(image) + 1), 2.8), dpi=100)
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(image) + 1)
    _, sy, sx = seen.grid.spacing_mm
    for axes, channel, name in zip(panels, image, bench.task.images, strict=False):
        axes.imshow(_grey(channel[z]), cmap="gray", aspect=sy / sx)
        axes.set_title(name, fontsize=9)
    panels[-1].imshow(_grey(image[0][z]), cmap="gray", aspect=sy / sx)
    panels[-1].imshow(seen.voxels[z], cmap="inferno", vmin=0, vmax=1, alpha=0.5, aspect=sy / sx)
    panels[-1].set_title(title, fontsize=9)
    for axes in panels:
        axes.set_axis_off()
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _grey(slice_: Floats) -> Floats:
    low, high = np.percentile(slice_, [1, 99])
    grey: Floats = np.clip((slice_ - low) / max(float(high - low), 1e-6), 0, 1)
    return grey
