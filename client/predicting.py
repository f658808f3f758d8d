"""The site's half of `predict`: what networks find in its own cases stays on its disk."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from client.cases import Case
from client.learners.learner import Learner, Predicted, learner_of
from client.products import product_path, with_products, write_product
from client.steps import Job
from client.tables import keep_columns
from client.training import bench_of, own_weights
from common.sums import Array, Sums
from common.table import Floats
from common.tasks.predict import networks_of
from common.tasks.train import Train

log = logging.getLogger(__name__)


def summarise(job: Job) -> Sums:
    """Predict and score every case with every variant's networks; return counts."""
    trained: Train = job.study.bound[job.step.network]
    learner = learner_of(bench_of(job, trained))
    cases = with_products(job.site, job.study, job.run, job.cases)
    # A site without a network of its own has the columns all the same, and nothing in them.
    columns: dict[str, Floats] = {name: np.full(len(cases), np.nan) for name in _names(job)}
    failed: set[str] = set()
    for variant, ensemble in networks_of(job.posed.ask):
        networks = ensemble or _own(job)
        if networks:
            failed |= _fill(columns, job, learner, variant, networks, cases)
    keep_columns(job.site, job.run, job.posed.step, [c.case_id for c in cases], columns)
    return {"done": np.array(len(cases) - len(failed)), "failed": np.array(len(failed))}


def _names(job: Job) -> list[str]:
    prefix = f"{job.posed.step}."
    known = job.study.contract()
    return [name.removeprefix(prefix) for name in known if name.startswith(prefix)]


def _own(job: Job) -> Sequence[Mapping[str, Array]]:
    weights = own_weights(job, job.step.network)
    return [] if weights is None else [weights]


def _fill(
    columns: Mapping[str, Floats],
    job: Job,
    learner: Learner,
    variant: str,
    networks: Sequence[Mapping[str, Array]],
    cases: Sequence[Case],
) -> set[str]:
    """Write a variant's scores into its columns; return the cases that failed."""
    prefix = f"{variant}." if variant else ""
    failed = set()
    for row, case in enumerate(cases):
        found = _one(learner, networks, case)
        if found is None:
            failed.add(case.case_id)
            continue
        for name, score in found.scores.items():
            columns[prefix + name][row] = score
        for name, volume in {**found.masks, **found.images}.items():
            path = product_path(job.site, job.run, job.posed.step, prefix + name, case.case_id)
            write_product(path, volume)
    return failed


def _one(learner: Learner, networks: Sequence[Mapping[str, Array]], case: Case) -> Predicted | None:
    """Return what is found in a case, or None, noted in the site's log, where it cannot be had."""
    try:
        return learner.predict(networks, case)
    except ValueError as error:
        log.warning("%s: %s", case.case_id, error)
        return None
