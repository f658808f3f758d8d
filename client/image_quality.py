"""The site's half of `image_quality`: figures of its own regions."""

import logging
from typing import Any

import numpy as np
from scipy import ndimage

from client.cases import Case
from client.imageio import Volume
from client.products import with_products
from client.regions import Bools, read_mask, read_scan, region_in
from client.steps import Job
from client.tables import keep_columns
from common.radiomics.faults import Fault, Faulty
from common.radiomics.image_quality import COUNTS, FIGURES, FLAGS, ImageQuality
from common.radiomics.regions import Region
from common.sums import Sums

log = logging.getLogger(__name__)

_AROUND = np.ones((3, 3, 3), bool)


def summarise(job: Job) -> Sums:
    """Measure every region, keep the figures, return counts."""
    step: ImageQuality = job.step
    regions = step.regions(job.study.holdings)
    cases = with_products(job.site, job.study, job.run, job.cases)
    columns = {r.prefix + n: np.full(len(cases), np.nan) for r in regions for n in FIGURES}
    flags, faults, numbers = (
        np.zeros((len(step.of), len(FLAGS)), np.int64),
        [],
        dict.fromkeys(COUNTS, 0),
    )
    for row, case in enumerate(cases):
        for region in regions:
            if case.masks.get(region.mask) is None:
                continue
            numbers["n_regions"] += 1
            found = _look(case, region)
            if isinstance(found, Faulty):
                faults.append(found.fault)
                job.put_aside(case.case_id, f"{region.prefix}: {found.detail}", found.fault)
                continue
            for name, value in found.items():
                columns[region.prefix + name][row] = value
            beyond = step.flags(found)
            flags[step.of.index(region.image)] += [beyond[name] for name in FLAGS]
            numbers["n_flagged"] += any(beyond.values())
            _note(case, region, [name for name in FLAGS if beyond[name]])
    keep_columns(job.site, job.run, job.posed.step, [c.case_id for c in cases], columns)
    sums: dict[str, Any] = {name: np.array(n) for name, n in numbers.items()}
    sums["n_failed"] = np.array(len(faults))
    if not job.posed.ask.values["alone"]:
        sums["flags"] = flags
        sums["reasons"] = np.array([faults.count(fault) for fault in Fault], np.int64)
    return sums


def figures_of(volume: Volume, inside: Bools) -> dict[str, float]:
    """Return the figures of a region, named as in `FIGURES`."""
    labels, n_parts = ndimage.label(inside, _AROUND)
    sizes = np.bincount(labels.ravel())[1:]
    values = volume.voxels[inside]
    ends = (volume.voxels == volume.voxels.min()) | (volume.voxels == volume.voxels.max())
    edge = np.ones(inside.shape, bool)
    edge[tuple(slice(1, -1) if n > 2 else slice(None) for n in inside.shape)] = False
    return {
        "volume_ml": float(values.size * np.prod(volume.grid.spacing_mm) / 1000),
        "parts": float(n_parts),
        "single_voxels": float((sizes == 1).sum()),
        "slices": float(inside.any(axis=(1, 2)).sum()),
        "touches_border": float((inside & edge).any()),
        "saturated": float(ends[inside].mean()),
    }


def _look(case: Case, region: Region) -> dict[str, float] | Faulty:
    try:
        scan = read_scan(case.images.get(region.image)).volume
        mask = read_mask(case.masks[region.mask])
        return figures_of(scan, region_in(mask, region.values, scan.grid, own=region.own))
    except Faulty as faulty:
        return faulty


def _note(case: Case, region: Region, beyond: list[str]) -> None:
    if beyond:
        log.warning("%s: %s: %s", case.case_id, region.prefix, ", ".join(beyond))
