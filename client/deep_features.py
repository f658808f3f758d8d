"""The site's half of `deep_features`: columns of its own table, counts to the coordinator."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from client.cases import Case
from client.imageio import Volume
from client.products import with_products
from client.regions import read_mask, read_scan, region_in
from client.steps import Job
from client.tables import keep_columns
from common.radiomics.deep_features import DeepFeatures
from common.radiomics.faults import Fault, Faulty
from common.radiomics.regions import Region
from common.sums import Sums

Floats = NDArray[np.float64]
Look = Callable[[Case, Region], Floats]


def summarise(job: Job) -> Sums:
    """Look at every region of every case; return how many went well."""
    step: DeepFeatures = job.step
    look = _network(job) if step.network else _filters(job)
    regions = step.regions(job.study.holdings)
    cases = with_products(job.site, job.study, job.run, job.cases)
    columns = {n: np.full(len(cases), np.nan) for r in regions for n in step.names(r)}
    faults: list[Fault] = []
    for row, case in enumerate(cases):
        faulty = _fill(columns, step, regions, (row, case), look)
        if faulty is not None:
            faults.append(faulty.fault)
            job.put_aside(case.case_id, faulty)
    keep_columns(job.site, job.run, job.posed.step, [c.case_id for c in cases], columns)
    numbers = {"n_cases": len(cases), "done": len(cases) - len(faults), "failed": len(faults)}
    sums = {name: np.array(n) for name, n in numbers.items()}
    if not job.posed.ask.values["alone"]:
        sums["reasons"] = np.array([faults.count(fault) for fault in Fault], np.int64)
    return sums


def _fill(
    columns: dict[str, Floats],
    step: DeepFeatures,
    regions: Sequence[Region],
    at: tuple[int, Case],
    look: Look,
) -> Faulty | None:
    """Fill the row of a case; return its first fault."""
    row, case = at
    faults: list[Faulty] = []
    n_drawn = 0
    for region in regions:
        if case.masks.get(region.mask) is None:
            continue
        n_drawn += 1
        try:
            values = look(case, region)
        except Faulty as faulty:
            faults.append(faulty)
        except ValueError as error:
            faults.append(Faulty(Fault.FAILED, str(error)))
        else:
            for name, value in zip(step.names(region), values, strict=True):
                columns[name][row] = value
    if not n_drawn:
        return Faulty(Fault.MASK_MISSING, "no mask of this case was drawn")
    return faults[0] if faults else None


def _filters(job: Job) -> Look:
    from client.random_filters import random_features

    step: DeepFeatures = job.step

    def look(case: Case, region: Region) -> Floats:
        scan = read_scan(case.images.get(region.image)).volume
        mask = read_mask(case.masks[region.mask])
        inside = region_in(mask, region.values, scan.grid, own=region.own)
        return random_features(
            scan, inside, n=step.features, spacing_mm=step.spacing_mm, seed=step.seed
        )

    return look


def _network(job: Job) -> Look:
    from client.network_features import Layers
    from client.training import bench_of

    step: DeepFeatures = job.step
    bench = bench_of(job, job.study.bound[step.network])
    layers: Layers = Layers(bench, job.posed.ask.arrays, step.features)

    def look(case: Case, region: Region) -> Floats:
        mask = read_mask(case.masks[region.mask])
        inside = region_in(mask, region.values, mask.grid, own=True)
        return layers.features(case, Volume(inside.astype(np.uint8), mask.grid))

    return look
