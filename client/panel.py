"""A picture of a coarse image, its finer ones and the original, for the site's own people.

It lies in the site's workspace and never leaves it.
"""

import io

import numpy as np

from client.finer import Refined
from client.pairs import Floats

_TITLES = {"coarse": "low resolution", "bspline": "B-spline", "fine": "network"}


def panel(refined: Refined) -> bytes:
    """Return a PNG of the middle slice of each image side by side.

    Args:
        refined: of one case.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    slices = _slices(refined)
    last = list(slices.values())[-1]
    low, high = np.percentile(last, [0.5, 99.5])
    figure = Figure(figsize=(2.5 * len(slices), 2.9), dpi=110)
    FigureCanvasAgg(figure)
    _, sy, sx = refined.scan.fine.spacing_mm
    for axes, (title, image) in zip(figure.subplots(1, len(slices)), slices.items(), strict=True):
        height, width = last.shape[0] * sy, last.shape[1] * sx
        axes.imshow(image, cmap="gray", vmin=low, vmax=high, extent=(0, width, height, 0))
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _slices(refined: Refined) -> dict[str, Floats]:
    """Return the middle slice of every image, by its title."""
    scan = refined.scan
    coarse = np.ascontiguousarray(scan.turn.back(scan.coarse))
    share = 0.5
    found = {_TITLES["coarse"]: coarse[int(len(coarse) * share)]}
    z = int(scan.fine.shape[0] * share)
    for name in ("bspline", "fine"):
        title = _TITLES[name]
        if scan.original is not None:
            tail = "" if name == "fine" else f"_{name}"
            title += f", {refined.scores[f'psnr_db{tail}']:.1f} dB"
        found[title] = refined.images[name][z]
    if scan.original is not None:
        found["original"] = scan.original[z]
    return found
