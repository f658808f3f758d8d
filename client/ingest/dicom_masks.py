"""Regions that DICOM files draw: contours of an RTSTRUCT, segments of a SEG."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from client.imageio import Grid, Volume, resample

_OFF_PLANE = 0.25  # share of a slice by which a contour may lie beside it


@dataclass(frozen=True, slots=True)
class Outlines:
    """One region, as it is drawn on one series.

    Attributes:
        kind: where it is from.
        path: the file.
        series: of the images it was drawn on.
        name: what its author called it.
        number: in the file.
    """

    kind: Literal["rtstruct", "seg"]
    path: Path
    series: str
    name: str
    number: int


def outlines_in(path: Path, modality: str) -> Iterator[Outlines]:
    """Yield the regions of a file; those on no series are passed over."""
    from pydicom import dcmread

    data = dcmread(path, stop_before_pixels=True)
    if modality == "SEG":
        referenced = [r.SeriesInstanceUID for r in data.get("ReferencedSeriesSequence", ())]
        for segment in data.get("SegmentSequence", ()):
            name, number = str(segment.SegmentLabel), int(segment.SegmentNumber)
            yield from (Outlines("seg", path, str(s), name, number) for s in referenced)
        return
    referenced = [*_series_of(data)]
    for region in data.get("StructureSetROISequence", ()):
        name, number = str(region.ROIName), int(region.ROINumber)
        yield from (Outlines("rtstruct", path, s, name, number) for s in referenced)


def paint(drawn: Outlines, grid: Grid) -> tuple[NDArray[np.uint8], str]:
    """Return a region on a grid, 0 or 1, and a remark where something was passed over.

    A voxel belongs to a contour that its centre lies in; of contours in one slice an odd
    number must hold it, so that an inner one is a hole.
    """
    return _paint_segment(drawn, grid) if drawn.kind == "seg" else _paint_contours(drawn, grid)


def _series_of(data: Any) -> Iterator[str]:
    for frame in data.get("ReferencedFrameOfReferenceSequence", ()):
        for study in frame.get("RTReferencedStudySequence", ()):
            for series in study.get("RTReferencedSeriesSequence", ()):
                yield str(series.SeriesInstanceUID)


def _paint_contours(drawn: Outlines, grid: Grid) -> tuple[NDArray[np.uint8], str]:
    from pydicom import dcmread

    data = dcmread(drawn.path)
    voxels = np.zeros(grid.shape, np.uint8)
    skipped: dict[str, int] = defaultdict(int)
    for region in data.get("ROIContourSequence", ()):
        if int(region.ReferencedROINumber) != drawn.number:
            continue
        for contour in region.get("ContourSequence", ()):
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            why = _fill(voxels, _indices(points, grid), str(contour.ContourGeometricType))
            if why:
                skipped[why] += 1
    remark = ", ".join(f"{n} contours {why}" for why, n in skipped.items())
    return voxels, remark


def _indices(points_mm: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Return patient coordinates as (z, y, x) indices of a grid, with fractions."""
    steps = np.array(grid.axes) * np.array(grid.spacing_mm)[:, None]
    found = (points_mm - np.array(grid.origin_mm)) @ np.linalg.inv(steps)
    return np.asarray(found, np.float64)


def _fill(voxels: NDArray[np.uint8], corners: NDArray[np.float64], kind: str) -> str:
    """Flip the voxels inside a contour; return why it was passed over, or ""."""
    from matplotlib.path import Path as Polygon

    if kind != "CLOSED_PLANAR":
        return f"of type {kind} are not filled"
    z = corners[:, 0].mean()
    k = round(float(z))
    if np.abs(corners[:, 0] - k).max() > _OFF_PLANE:
        return "do not lie in a slice"
    if not 0 <= k < voxels.shape[0]:
        return "lie beyond the first or last slice"
    (ny, nx), yx = voxels.shape[1:], corners[:, 1:]
    low = np.maximum(np.floor(yx.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(yx.max(axis=0)).astype(int) + 1, (ny, nx))
    if (low >= high).any():
        return "lie beside the image"
    y, x = np.mgrid[low[0] : high[0], low[1] : high[1]]
    inside = Polygon(yx[:, ::-1]).contains_points(np.column_stack([x.ravel(), y.ravel()]))
    voxels[k, low[0] : high[0], low[1] : high[1]] ^= inside.reshape(y.shape).astype(np.uint8)
    return ""


def _paint_segment(drawn: Outlines, grid: Grid) -> tuple[NDArray[np.uint8], str]:
    import highdicom

    seg = highdicom.seg.segread(drawn.path)
    volume = seg.get_volume(segment_numbers=[drawn.number], combine_segments=True, relabel=True)
    found = Volume(np.asarray(volume.array, np.uint8), _grid_of(volume))
    if found.grid.matches(grid):
        return (found.voxels > 0).astype(np.uint8), ""
    moved = resample(found, grid, how="label", outside=0)
    share = _volume(moved > 0, grid) / max(_volume(found.voxels > 0, found.grid), 1e-9)
    remark = "" if abs(share - 1) < 0.02 else f"{share:.0%} of its volume lies on the image"
    return (moved > 0).astype(np.uint8), remark


def _volume(inside: NDArray[np.bool_], grid: Grid) -> float:
    return float(inside.sum() * np.prod(grid.spacing_mm))


def _grid_of(volume: Any) -> Grid:
    nz, ny, nx = volume.spatial_shape
    affine = np.array(volume.affine)
    steps = affine[:3, :3].T
    spacing = np.linalg.norm(steps, axis=1)
    a, b, c = ((float(x), float(y), float(z)) for x, y, z in steps / spacing[:, None])
    sz, sy, sx = (float(s) for s in spacing)
    ox, oy, oz = (float(x) for x in affine[:3, 3])
    return Grid((nz, ny, nx), (sz, sy, sx), (ox, oy, oz), (a, b, c))
