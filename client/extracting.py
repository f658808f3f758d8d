"""The site's half of `extract`: features of its own cases, kept in its own table.

Beside the columns lies where they come from, `<step>.provenance.json`; it stays at the site.
"""

import json
import logging
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from client.case_features import Extracted, Wanted, extract_case
from client.cohorts import flow_sums
from client.files import write_atomically
from client.pool import each
from client.products import with_products
from client.steps import Job
from client.tables import keep_columns
from common.errors import Reason, Refused
from common.radiomics.agreement import marks_of
from common.radiomics.extract import COUNTS, FEW_LEVELS, MANY_LEVELS, Extract
from common.radiomics.faults import Fault
from common.radiomics.presets import UNITS
from common.radiomics.profile import Profile
from common.radiomics.regions import Region
from common.sums import Sums

log = logging.getLogger(__name__)

_PACKAGES = ("pyradiomics", "SimpleITK", "numpy", "PyWavelets", "scikit-image")


def summarise(job: Job) -> Sums:
    """Say what software is here; extract every case, keep the columns, return counts.

    Raises:
        Refused: OTHER_SOFTWARE.
    """
    profiles = job.step.read()
    _check(job, profiles)
    if job.posed.ask.phase == "agree":
        return _marks(profiles)
    _say_engine(profiles)
    step: Extract = job.step
    regions = step.regions(job.study.holdings)
    found = _extract_all(job, regions)
    _keep(job, regions, found)
    return _counts(job, regions, found)


def _check(job: Job, profiles: dict[str, Profile]) -> None:
    """Check that this software means the same by the profiles as the coordinator's."""
    own = {image: profile.fingerprint() for image, profile in profiles.items()}
    if own != job.posed.ask.values["fingerprints"]:
        detail = f"fingerprints here: {own}, asked: {job.posed.ask.values['fingerprints']}"
        raise Refused(Reason.OTHER_SOFTWARE, detail)


def _say_engine(profiles: dict[str, Profile]) -> None:
    """Log where PyRadiomics runs, once: processes of their own do not reach this log."""
    from client.radiomics.engine import covers

    for image, profile in profiles.items():
        if reasons := covers(profile):
            where = image or "shape"
            log.info("%s: PyRadiomics runs, not the fast engine: %s", where, "; ".join(reasons))
        elif "LBP2D" in profile.images():
            log.info("%s: PyRadiomics makes the images of LBP2D, with scikit-image", image)


def _marks(profiles: dict[str, Profile]) -> Sums:
    from client.radiomics.engine import is_warm, self_test

    if not is_warm():
        log.info("the radiomics kernels are compiled now, once on this machine: about a minute")
    marks = [self_test(profile) for profile in profiles.values()]
    log.info("self-test: %s", dict(zip(profiles, marks, strict=True)))
    return marks_of(marks)


def _extract_all(job: Job, regions: tuple[Region, ...]) -> list[Extracted]:
    """Return every case in the order of the job; what was done before is only read."""
    wanted = _wanted(job, regions)
    order = {case.case_id: i for i, case in enumerate(wanted)}
    found: list[Extracted] = []
    step = max(1, len(wanted) // 10)
    for one in each(extract_case, wanted, processes=job.site.settings.processes, crashed=_lost):
        found.append(one)
        fault, detail = one.fault
        if fault:
            job.put_aside(one.case_id, detail, Fault(fault))
        if len(found) % step == 0:
            log.info("%s: %d of %d cases", job.posed.step, len(found), len(wanted))
    return sorted(found, key=lambda one: order[one.case_id])


def _wanted(job: Job, regions: tuple[Region, ...]) -> list[Wanted]:
    step: Extract = job.step
    held = job.study.holdings.images
    medians = {image: UNITS[held[image].unit] for image in step.of if held[image].unit in UNITS}
    return [
        Wanted(
            case.case_id,
            {image: case.images[image] for image in step.of if image in case.images},
            {mask: case.masks.get(mask) for mask in step.masks},
            regions,
            {image: step.text(image) for image in step.of or ("",)},
            {i: s for i, s in job.site.settings.scales.items() if i in step.of},
            medians,
            job.site.room("cache", "radiomics"),
        )
        for case in with_products(job.site, job.study, job.run, job.cases)
    ]


def _lost(wanted: Wanted) -> Extracted:
    from client.case_features import Measured

    broken = Measured(fault=str(Fault.CRASHED), detail="its process died twice")
    return Extracted(wanted.case_id, tuple(broken for _ in wanted.regions))


def _keep(job: Job, regions: tuple[Region, ...], found: Sequence[Extracted]) -> None:
    """Write columns and provenance."""
    step: Extract = job.step
    columns = {}
    for i, region in enumerate(regions):
        measured = [one.regions[i] for one in found]
        for name in step.features(region.image):
            values = [np.nan if m is None else m.features.get(name, np.nan) for m in measured]
            columns[region.prefix + name] = np.array(values, np.float64)
    keep_columns(job.site, job.run, job.posed.step, [one.case_id for one in found], columns)
    folder, name = job.site.room("runs", job.run, "columns"), job.posed.step
    text = json.dumps(_provenance(step, regions, found), indent=1)
    write_atomically(folder / f"{name}.provenance.json", text.encode())


def _provenance(
    step: Extract, regions: tuple[Region, ...], found: Sequence[Extracted]
) -> dict[str, Any]:
    return {
        "profiles": {image: step.text(image) for image in step.of or ("",)},
        "fingerprints": {image: p.fingerprint() for image, p in step.read().items()},
        "versions": {name: version(name) for name in _PACKAGES},
        "cases": {
            one.case_id: {
                f"{region.prefix}{region.mask}": None if m is None else {**m.about, **_of(m.fault)}
                for region, m in zip(regions, one.regions, strict=True)
            }
            for one in found
        },
        "seconds": {one.case_id: one.seconds for one in found},
    }


def _of(fault: str) -> dict[str, str]:
    return {"fault": fault} if fault else {}


def _counts(job: Job, regions: tuple[Region, ...], found: Sequence[Extracted]) -> Sums:
    step: Extract = job.step
    faults = [one.fault[0] for one in found if one.fault[0]]
    flows = job.cohort.flows
    numbers = (
        sum(flow.n_screened for flow in flows),
        len(job.cohort.cases),
        len(found),
        len(found) - len(faults),
        len(faults),
    )
    sums: dict[str, Any] = dict(zip(COUNTS, map(np.array, numbers), strict=True))
    if job.posed.ask.values["alone"]:
        return sums
    sums["reasons"] = np.array([faults.count(str(fault)) for fault in Fault], np.int64)
    sums["left_out"] = flow_sums(flows, alone=False)["excluded"]
    sums["levels"] = np.zeros((len(step.of), 3), np.int64)
    for one in found:
        for region, measured in zip(regions, one.regions, strict=True):
            levels = measured.about.get("grey_levels", {}) if measured else {}
            if region.image and "original" in levels:
                row = sums["levels"][step.of.index(region.image)]
                row[_class_of(int(levels["original"]))] += 1
    return sums


def _class_of(n_levels: int) -> int:
    return 0 if n_levels < FEW_LEVELS else 1 if n_levels <= MANY_LEVELS else 2
