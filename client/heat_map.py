"""A heat map of the site's own patients by group, for its own people; it never leaves."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.files import write_atomically
from client.steps import Job
from common.analyses.analysis import Answer
from common.analyses.levels import level_codes, levels_of
from common.analyses.plain import floats
from common.table import Floats, Table

_MOST = 60  # features that can still be read
_LIMIT = 2.5  # standard deviations at which colours end
_COLOURS = ("#f2d16b", "#7a5195", "#2f9e77", "#c75146", "#4f6d7a")


@dataclass(frozen=True)
class Beside:
    """What is known of the patients besides.

    Attributes:
        codes: level of each case, -1 where not known.
        name: of the column.
        levels: their names.
    """

    codes: NDArray[np.int64]
    name: str
    levels: tuple[str, ...]


def draw(job: Job, table: Table, answer: Answer, groups: Mapping[str, Floats]) -> None:
    """Write a picture for each number of groups into the run's folder of pictures."""
    if "centre" not in answer.arrays:
        return
    z = table.matrix(job.step.of) - floats(answer.arrays["centre"])
    z /= floats(answer.arrays["unit"])
    folder = job.site.room("runs", job.run, "pictures", job.posed.step)
    beside = _beside(table, job.step.against)
    for name, group in groups.items():
        there = ~np.isnan(group)
        if there.any():
            known = beside and Beside(beside.codes[there], beside.name, beside.levels)
            write_atomically(
                folder / f"{name}.png", picture_of(z[there], group[there], job.step.of, known)
            )


def _beside(table: Table, name: str) -> Beside | None:
    if not name:
        return None
    levels = levels_of(name, table.contract)
    return Beside(level_codes(table, name), name, levels) if len(levels) <= len(_COLOURS) else None


def picture_of(z: Floats, group: Floats, names: Sequence[str], beside: Beside | None) -> bytes:
    """Return a PNG: a row a feature, a column a patient, patients of a group side by side.

    Args:
        z: cases by features, in standard deviations from the mean of all sites.
        group: of each case, from 0.
        names: of the features.
        beside: drawn above the map.
    """
    from matplotlib.figure import Figure

    rows, order = _order(z, group)
    canvas = Figure((8, 1.8 + 0.16 * len(rows)), layout="constrained")
    strip, axes = canvas.subplots(2, 1, height_ratios=(1, max(8, len(rows))), sharex=True)
    strip.set_axis_off()
    if beside is not None:
        _strip(strip, beside, order)
    shown = axes.imshow(z[np.ix_(order, rows)].T, cmap="RdBu_r", vmin=-_LIMIT, vmax=_LIMIT,
                        aspect="auto", interpolation="nearest")  # fmt: skip
    axes.vlines(np.flatnonzero(np.diff(group[order])) + 0.5, -0.5, len(rows) - 0.5, colors="black")
    axes.set_yticks(range(len(rows)), [names[i] for i in rows], fontsize=6)
    found = np.unique(group)
    middles = [np.flatnonzero(group[order] == g).mean() for g in found]
    labels = [f"group {int(g) + 1} (n = {int((group == g).sum())})" for g in found]
    axes.set_xticks(middles, labels)
    axes.tick_params(length=0)
    canvas.colorbar(shown, ax=axes, label="SD from the mean of all sites", shrink=0.6)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def _order(z: Floats, group: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return features in the order in which groups differ, and cases along it in each group."""
    means = np.array([z[group == g].mean(axis=0) for g in np.unique(group)])
    kept = np.argsort(-np.ptp(means, axis=0))[:_MOST]
    rows = kept[np.argsort(means[-1, kept] - means[0, kept], kind="stable")]
    along = z[:, rows] @ np.sign(means[-1] - means[0])[rows]
    return rows, np.lexsort((along, group))


def _strip(axes: Any, beside: Beside, order: NDArray[np.int64]) -> None:
    """Draw the level of each patient; white where it is not known."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    colours = [to_rgb(colour) for colour in _COLOURS[: len(beside.levels)]]
    row = [colours[code] if code >= 0 else (1.0, 1.0, 1.0) for code in beside.codes[order]]
    axes.imshow(np.array([row]), aspect="auto", interpolation="nearest")
    keys = [
        Patch(color=colour, label=f"{beside.name}: {level}")
        for colour, level in zip(colours, beside.levels, strict=True)
    ]
    axes.legend(handles=keys, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(keys),
                frameon=False, fontsize=7)  # fmt: skip
