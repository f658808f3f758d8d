"""The site's half of `predict`: masks and scores of its own cases stay on its disk."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from client.cases import Case
from client.predict import Prediction, predict, write_prediction
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
    # A site without a network of its own has the columns all the same, and nothing in them.
    names = job.step.scores(trained, job.study.cohort)
    columns: dict[str, Floats] = {name: np.full(len(job.cases), np.nan) for name in names}
    failed: set[str] = set()
    for variant, ensemble in networks_of(job.posed.ask):
        networks = ensemble or _own(job)
        if networks:
            failed |= _fill(columns, job, trained, variant, networks)
    keep_columns(job.site, job.run, job.posed.step, [c.case_id for c in job.cases], columns)
    n = len(job.cases)
    return {"done": np.array(n - len(failed)), "failed": np.array(len(failed))}


def _own(job: Job) -> Sequence[Mapping[str, Array]]:
    weights = own_weights(job, job.step.network)
    return [] if weights is None else [weights]


def _fill(
    columns: Mapping[str, Floats],
    job: Job,
    trained: Train,
    variant: str,
    networks: Sequence[Mapping[str, Array]],
) -> set[str]:
    """Write a variant's scores into its columns; return the cases that failed."""
    prefix = f"{variant}." if variant else ""
    failed = set()
    for row, case in enumerate(job.cases):
        prediction = _one(job, trained, variant, networks, case)
        if prediction is None:
            failed.add(case.case_id)
            continue
        for name, score in prediction.scores.items():
            columns[prefix + name][row] = score
    return failed


def _one(
    job: Job, trained: Train, variant: str, networks: Sequence[Mapping[str, Array]], case: Case
) -> Prediction | None:
    """Return a case's prediction, or None, noted in the site's log, where it cannot be had."""
    try:
        prediction = predict(bench_of(job, trained), networks, case)
    except ValueError as error:
        log.warning("%s: %s", case.case_id, error)
        return None
    folder = job.site.room("runs", job.run, "predictions", job.posed.step, variant or "federated")
    write_prediction(folder / f"{case.case_id}.nii.gz", prediction)
    return prediction
