"""The site's half of `compare_masks`: scores of pairs of masks stay in its table."""

from pathlib import Path

import numpy as np

from client.cases import Case
from client.imageio import Volume, read_image
from client.products import with_products
from client.steps import Job
from client.tables import keep_columns
from common.cohort import Mask
from common.metrics.overlap import dice
from common.metrics.surface import hausdorff_95, surface_distances
from common.sums import Sums


def summarise(job: Job) -> Sums:
    """Compare the pairs of this site's cases; return how many."""
    cases = with_products(job.site, job.study, job.run, job.cases)
    prefix = f"{job.posed.step}."
    names = [n.removeprefix(prefix) for n in job.study.contract() if n.startswith(prefix)]
    columns = {name: np.full(len(cases), np.nan) for name in names}
    done = failed = 0
    for row, case in enumerate(cases):
        for pair, (a, b) in job.step.pairs.items():
            first, second = case.masks.get(a), case.masks.get(b)
            if first is None or second is None:
                continue
            found = _compared(job, case, (first, second), job.study.holdings.masks[b])
            done, failed = done + (found is not None), failed + (found is None)
            for name, score in (found or {}).items():
                columns[f"{pair}.{name}"][row] = score
    keep_columns(job.site, job.run, job.posed.step, [c.case_id for c in cases], columns)
    return {"done": np.array(done), "failed": np.array(failed)}


def _compared(
    job: Job, case: Case, paths: tuple[Path, Path], contract: Mask
) -> dict[str, float] | None:
    """Return the scores of a pair, or None, put aside, where it has none."""
    try:
        a, b = _on_one_grid(*(read_image(path) for path in paths))
    except ValueError as error:
        job.put_aside(case.case_id, error)
        return None
    scores: dict[str, float] = {}
    for score in job.step.scores:
        scores |= {f"{score}_{n}": _score(score, a, b, v) for n, v in contract.labels.items()}
    return scores


def _on_one_grid(a: Volume, b: Volume) -> tuple[Volume, Volume]:
    if not a.grid.matches(b.grid):
        raise ValueError(f"expected masks on one grid, got {a.grid.shape} and {b.grid.shape}")
    return a, b


def _score(score: str, a: Volume, b: Volume, value: int) -> float:
    one, other = a.voxels == value, b.voxels == value
    if score == "dice":
        return dice(one, other)
    return hausdorff_95(surface_distances(one, other, b.grid.spacing_mm))
