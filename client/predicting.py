"""The site's half of `predict`: what networks find in its own cases stays on its disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np

from client.cases import Case
from client.files import write_atomically
from client.learners.learner import Learner, Predicted, learner_of
from client.own_networks import OwnNetworks
from client.products import product_path, write_product
from client.steps import Job
from client.tables import keep_columns
from client.training import bench_of, left_out, whole_cases
from common.sums import Array, Sums
from common.table import Floats
from common.tasks.predict import Networks, networks_of
from common.tasks.train import Train

Ensemble: TypeAlias = Sequence[Mapping[str, Array]]


def summarise(job: Job) -> Sums:
    """Predict and score every case with every variant's networks; return counts."""
    trained: Train = job.study.bound[job.step.network]
    learner = learner_of(replace(bench_of(job, trained), combine=job.step.combine))
    cases = whole_cases(job)
    networks = networks_of(job.posed.ask)
    # A site without a network of its own has the columns all the same, and nothing in them.
    columns: dict[str, Floats] = {name: np.full(len(cases), np.nan) for name in _names(job)}
    failed: set[str] = set()
    for variant, folds in networks.variants.items():
        by_fold = {fold: networks_here(job, networks, variant, fold) for fold in folds}
        if any(by_fold.values()):
            choose = partial(_choose, job, networks, by_fold)
            failed |= _fill(columns, job, learner, variant, choose, cases)
    keep_columns(job.site, job.run, job.posed.step, [c.case_id for c in cases], columns)
    return {"done": np.array(len(cases) - len(failed)), "failed": np.array(len(failed))}


def _choose(job: Job, networks: Networks, by_fold: Mapping[int, Ensemble], case: Case) -> Ensemble:
    """Return the networks for a case: those that never saw its patient, else all."""
    seen = job.site.name in networks.sites and case.split == "train"
    if networks.n_folds and seen:
        return by_fold.get(left_out(job, case, networks.n_folds), [])
    return [weights for ensemble in by_fold.values() for weights in ensemble]


def _names(job: Job) -> list[str]:
    prefix = f"{job.posed.step}."
    known = job.study.contract()
    return [name.removeprefix(prefix) for name in known if name.startswith(prefix)]


def networks_here(job: Job, networks: Networks, variant: str, fold: int) -> Ensemble:
    """Return a variant's networks of a fold, with what only this site knows of them."""
    own = OwnNetworks(job.site, job.run, job.step.network, fold)
    sent = networks.variants[variant][fold]
    if not sent:
        weights = own.tuned() if variant == "tuned" else own.alone()
        return [] if weights is None else [weights]
    if variant or fold not in networks.rounds:
        return sent
    part = own.local_part(before=networks.rounds[fold])
    return [] if part is None else [{**weights, **part} for weights in sent]


def _fill(
    columns: Mapping[str, Floats],
    job: Job,
    learner: Learner,
    variant: str,
    choose: Callable[[Case], Ensemble],
    cases: Sequence[Case],
) -> set[str]:
    """Write a variant's scores into its columns; return the cases that failed."""
    prefix = f"{variant}." if variant else ""
    failed = set()
    for row, case in enumerate(cases):
        found = _one(job, learner, choose(case), case)
        if found is None:
            failed.add(case.case_id)
            continue
        for name, score in found.scores.items():
            columns[prefix + name][row] = score
        for name, volume in {**found.masks, **found.images}.items():
            path = product_path(job.site, job.run, job.posed.step, prefix + name, case.case_id)
            write_product(path, volume)
        for name, picture in found.pictures.items():
            folder = job.site.room("runs", job.run, "pictures", job.posed.step, prefix + name)
            write_atomically(folder / f"{case.case_id}.png", picture, durable=False)
    return failed


def _one(job: Job, learner: Learner, networks: Ensemble, case: Case) -> Predicted | None:
    """Return what is found in a case, or None, put aside, where it cannot be had."""
    if not networks:
        job.put_aside(case.case_id, "there is no network that has not seen it")
        return None
    try:
        return learner.predict(networks, case)
    except ValueError as error:
        job.put_aside(case.case_id, error)
        return None
