"""From an ask to the work of a site: which step, which cases, which sums."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from client.cases import Case
from client.cohorts import SiteCohort, select
from client.site import Site
from client.tables import keep_columns, make_table, require
from common.analyses.analysis import APPLY, Answer
from common.messages import Posed, Round
from common.study import Study, schema_of
from common.sums import Schema, Sums


@dataclass(frozen=True)
class Work:
    """What one ask comes to at this site.

    Attributes:
        schema: the sums it will send.
        summarise: makes them.
        data: digest of the cases it looks at: kept sums of other data are not reused.
    """

    schema: Schema
    summarise: Callable[[], Sums]
    data: str


@dataclass(frozen=True)
class Job:
    """Everything a site needs to work on one ask.

    Attributes:
        cases: those the step selects.
    """

    site: Site
    study: Study
    step: Any
    cases: tuple[Case, ...]
    message: Round
    posed: Posed
    cohort: SiteCohort

    @property
    def run(self) -> str:
        """The run this ask belongs to."""
        return self.message.hello.run

    @property
    def alone(self) -> bool:
        """Whether the reply goes out in clear."""
        return len(self.posed.group) == 1


WORK = {
    "check_cohort": "client.counting",
    "train": "client.training",
    "predict": "client.predicting",
    "extract": "client.extracting",
    "deep_features": "client.deep_features",
    "image_quality": "client.image_quality",
    "pseudo_label": "client.pseudo_labelling",
    "measure": "client.measuring",
    "compare_masks": "client.comparing",
}
"""The module that does a kind of step at a site, with `summarise(job) -> Sums`.

Imported when it is needed, for most of them import torch. A kind that is not here is an
analysis: it sees the table and nothing else.
"""


def find_work(site: Site, study: Study, cohort: SiteCohort, message: Round, posed: Posed) -> Work:
    """Return the work of one ask; nothing heavy has happened yet."""
    step = study.bound[posed.step]
    cases = select(study, cohort.cases, step.cases)
    data = _digest(cases)
    job = Job(site, study, step, cases, message, posed, cohort)
    schema = schema_of(step, posed.ask, study.contract())
    return Work(schema, lambda: _summarise(job), data)


def _summarise(job: Job) -> Sums:
    module = WORK.get(job.step.kind)
    if module is None:
        return _apply(job) if job.posed.ask.phase == APPLY else _analyse(job)
    summarise: Callable[[Job], Sums] = import_module(module).summarise
    return summarise(job)


def _analyse(job: Job) -> Sums:
    table = make_table(job.site, job.study, job.cases, job.run, alone=job.alone)
    require(table, job.step.columns())
    with threadpool_limits(1):  # many small products: threads would only wait for each other
        sums: Sums = job.step.summarise(table, job.posed.ask)
    return sums


def _apply(job: Job) -> Sums:
    """Make the columns of an answered analysis from this site's own rows."""
    table = make_table(job.site, job.study, job.cases, job.run, alone=job.alone)
    require(table, job.step.columns())
    ask = job.posed.ask
    columns = job.step.columns_from(table, Answer(ask.values, ask.arrays))
    ids = [case.case_id for case in job.cases]
    keep_columns(job.site, job.run, job.posed.step, ids, columns)
    filled = np.logical_and.reduce([~np.isnan(c) for c in columns.values()])
    return {"n": np.array(table.n), "filled": np.array(int(filled.sum()))}


def _digest(cases: tuple[Case, ...]) -> str:
    rows = [[c.case_id, c.patient_id, c.split, sorted(c.values.items())] for c in cases]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
