"""The site's half of `measure`: sizes of masks, and slices in the middle of them."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from client.cases import Case
from client.imageio import Grid, Turn, Volume, read_image, turn_to
from client.products import product_path, with_products, write_product
from client.steps import Job
from client.tables import keep_columns
from common.cohort import Mask, Plane
from common.sums import Sums
from common.tasks.measure import Slice, plain_name, sized

Numbers = dict[str, float]

_NORMAL: Mapping[Plane, int] = {"axial": 0, "coronal": 1, "sagittal": 2}
_ORDER = {0: (0, 1, 2), 1: (1, 0, 2), 2: (2, 0, 1)}


def summarise(job: Job) -> Sums:
    """Measure this site's cases; return how many."""
    cases = with_products(job.site, job.study, job.run, job.cases)
    prefix = f"{job.posed.step}."
    names = [n.removeprefix(prefix) for n in job.study.contract() if n.startswith(prefix)]
    columns = {name: np.full(len(cases), np.nan) for name in names}
    became: Counter[str] = Counter()
    for row, case in enumerate(cases):
        path = case.masks.get(job.step.mask)
        if path is None:
            continue
        try:
            numbers = _one(job, case, read_image(path))
        except ValueError as error:
            job.put_aside(case.case_id, error)
            became["failed"] += 1
            continue
        became["empty" if numbers.pop("empty") else "done"] += 1
        for name, number in numbers.items():
            columns[name][row] = number
    keep_columns(job.site, job.run, job.posed.step, [c.case_id for c in cases], columns)
    return {name: np.array(became[name]) for name in ("done", "empty", "failed")}


def _one(job: Job, case: Case, mask: Volume) -> Numbers:
    """Return a case's numbers, after its slices have been written."""
    contract: Mask = job.study.holdings.masks[job.step.mask]
    marked = np.isin(mask.voxels, list(contract.labels.values()))
    numbers: Numbers = {"empty": float(not marked.any())}
    for size in job.step.sizes:
        numbers |= sizes(mask, contract, size)
    cut: Slice | None = job.step.slice
    if cut is None:
        return numbers
    if cut.label:
        marked = mask.voxels == contract.labels[cut.label]
    at = middle_mm(Volume(marked, mask.grid), cut.plane)
    for name in (*cut.images, *cut.masks):
        source = {**case.images, **case.masks}.get(name)
        path = product_path(job.site, job.run, job.posed.step, plain_name(name), case.case_id)
        if source is None or at is None:
            path.unlink(missing_ok=True)
        else:
            write_product(path, slice_at(read_image(source), cut.plane, at, cut.slices))
    if at is None:
        return numbers | {"empty": 1.0}
    return numbers | {"position_mm": _along(at, cut.plane)}


def sizes(mask: Volume, contract: Mask, size: str) -> Numbers:
    """Return volume, or area (the mean over the mask's slices), of each label and of all."""
    a, b, c = mask.grid.spacing_mm
    unit = a * b * c / 1000.0
    if size == "area_cm2":
        unit = b * c / 100.0 / mask.voxels.shape[0]
    counts = {name: float((mask.voxels == v).sum()) for name, v in contract.labels.items()}
    each = zip(sized(size, contract.labels), counts.values(), strict=False)
    return {size: unit * sum(counts.values()), **{name: unit * n for name, n in each}}


def middle_mm(marked: Volume, plane: Plane) -> NDArray[np.float64] | None:
    """Return a point (left, back, head) in the slice that halves a volume; None if empty."""
    turned, grid = _turned(marked, plane)
    filled = turned.sum(axis=(1, 2), dtype=np.float64)
    if not filled.any():
        return None
    half = np.cumsum(filled) / filled.sum()
    at = int(np.searchsorted(half, 0.5 - 1e-9))
    _, ny, nx = grid.shape
    return np.array(grid.point_mm((at, (ny - 1) / 2, (nx - 1) / 2)))


def slice_at(volume: Volume, plane: Plane, at_mm: NDArray[np.float64], n: int = 1) -> Volume:
    """Return the slice of a volume that is nearest to a point, and those about it.

    Args:
        volume: to cut.
        plane: of the slices; their normal is the first axis of what is returned.
        at_mm: the point (left, back, head).
        n: odd number of slices; fewer where the volume ends.

    Raises:
        ValueError: the point lies outside.
    """
    turned, grid = _turned(volume, plane)
    normal = np.array(grid.axes[0])
    k = round(float((at_mm - grid.origin_mm) @ normal) / grid.spacing_mm[0])
    if not 0 <= k < grid.shape[0]:
        raise ValueError(f"the slice lies outside an image of {grid.shape[0]} slices")
    _, ny, nx = grid.shape
    first, end = max(k - n // 2, 0), min(k + n // 2 + 1, grid.shape[0])
    start = grid.point_mm((first, 0, 0))
    here = Grid((end - first, ny, nx), grid.spacing_mm, start, grid.axes)
    return Volume(np.ascontiguousarray(turned[first:end]), here)


def _turned(volume: Volume, plane: Plane) -> tuple[NDArray[np.generic], Grid]:
    """Return voxels and grid with the plane's normal first, axes towards right, front, head."""
    turn = turn_to(volume.grid, "RAS")
    order = tuple(turn.order[i] for i in _ORDER[_NORMAL[plane]])
    flips = tuple(turn.flips[i] for i in _ORDER[_NORMAL[plane]])
    a, b, c = order
    p, q, r = flips
    full = Turn((a, b, c), (p, q, r))
    return full.of(volume.voxels), full.of_grid(volume.grid)


def _along(at_mm: NDArray[np.float64], plane: Plane) -> float:
    """Return the coordinate of a point along a plane's normal: head, front or right."""
    x, y, z = at_mm.tolist()
    return float({"axial": z, "coronal": -y, "sagittal": -x}[plane])
