"""From an ask to the work of a site: which step, which cases, which sums."""

import hashlib
import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from client.cases import Case
from client.cohorts import SiteCohort, select
from client.derived import check_formulas
from client.disclosure import in_clear
from client.quarantine import Aside, write_asides, write_cohort_asides
from client.site import Site
from client.tables import Source, keep_columns, make_table, require
from common.analyses.analysis import APPLY, Answer
from common.analyses.derive import Derive
from common.messages import Posed, Round
from common.radiomics.faults import Fault, Faulty
from common.study import Study, schema_of
from common.sums import Schema, Sums
from common.table import Table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What one ask comes to at this site.

    Attributes:
        schema: the sums it will send.
        summarise: makes them.
        data: digest of the cases it looks at: kept sums of other data are not reused.
        account: what the audit log says of the privacy it costs; refuses where it is spent.
        alone: this site's own sums go out, or follow from those that do.
    """

    schema: Schema
    summarise: Callable[[], Sums]
    data: str
    account: Callable[[], Mapping[str, object]] = dict
    alone: bool = False


@dataclass(frozen=True)
class Job:
    """Everything a site needs to work on one ask.

    Attributes:
        cases: those the step selects; where it makes columns, all of the site.
        aside: cases that the work has put aside so far.
    """

    site: Site
    study: Study
    step: Any
    cases: tuple[Case, ...]
    message: Round
    posed: Posed
    cohort: SiteCohort
    aside: list[Aside] = field(default_factory=list)

    def put_aside(self, case_id: str, why: str | Exception, reason: Fault = Fault.FAILED) -> None:
        """Note, for the site's own people alone, that a case cannot be worked on."""
        fault, detail = reason, str(why)
        if isinstance(why, Faulty):
            fault, detail = why.fault, why.detail
        log.warning("%s: put aside: %s %s", case_id, fault, detail)
        self.aside.append(Aside(case_id, self.posed.step, str(fault), detail))

    @property
    def run(self) -> str:
        """The run this ask belongs to."""
        return self.message.hello.run

    @property
    def alone(self) -> bool:
        """Whether the reply goes out in clear, or follows from what does."""
        return in_clear(self.study, self.posed)


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

PICTURES = {"cluster": "client.heat_map"}
"""The module that draws what a kind of analysis found, for the site's own people."""


def find_work(site: Site, study: Study, cohort: SiteCohort, message: Round, posed: Posed) -> Work:
    """Return the work of one ask; nothing heavy has happened yet."""
    step = study.bound[posed.step]
    applies = posed.ask.phase == APPLY
    cases = cohort.cases if applies else select(study, cohort.cases, step.cases)
    job = Job(site, study, step, cases, message, posed, cohort)
    schema = schema_of(step, posed.ask, study.contract())
    data = _digest(cohort, cases)
    if applies or getattr(step, "noise", None) is None:
        return Work(schema, lambda: _summarise(job), data, lambda: _account(job), job.alone)
    return _noisy(job, schema, data)


def _noisy(job: Job, schema: Schema, data: str) -> Work:
    """Return the work of a statistic that gets noise before it may leave."""
    from client.noising import account, with_noise

    def summarise() -> Sums:
        return with_noise(job, _summarise(job), schema, data)

    return Work(schema, summarise, data, lambda: account(job, data), job.alone)


def _account(job: Job) -> Mapping[str, object]:
    if job.step.kind == "site_shapes":
        from client.shapes_account import account

        return account(job)
    if getattr(job.step, "privacy", None) is None:
        return {}
    from client.budget import account_of

    return account_of(job)


def _summarise(job: Job) -> Sums:
    module = WORK.get(job.step.kind)
    if job.cohort.aside:
        write_cohort_asides(job.site.room("runs", job.run), job.cohort.aside)
    if module is None:
        return _apply(job) if job.posed.ask.phase == APPLY else _analyse(job)
    summarise: Callable[[Job], Sums] = import_module(module).summarise
    sums = summarise(job)
    write_asides(job.site.room("runs", job.run), job.cohort.aside, job.posed.step, job.aside)
    return sums


def _analyse(job: Job) -> Sums:
    table = _table(job)
    # Many small products: threads would only wait for each other.
    with _threads(*(name in sys.modules for name in _WITH_THREADS)).limit(limits=1):
        sums: Sums = job.step.summarise(table, job.posed.ask)
    return sums


_WITH_THREADS = ("scipy.linalg", "sklearn", "torch")


@lru_cache(maxsize=8)
def _threads(*loaded: bool) -> ThreadpoolController:
    """Return what limits threads; looked for again where libraries have been loaded since."""
    del loaded
    return ThreadpoolController()


def _apply(job: Job) -> Sums:
    """Make the columns of an answered analysis for every case of this site.

    Cases outside the step's own `cases` too: a model fitted on one split is there to
    predict the others.
    """
    table = _table(job)
    chosen = {case.case_id for case in select(job.study, job.cases, job.step.cases)}
    table = replace(table, chosen=np.array([c.case_id in chosen for c in job.cases], np.bool_))
    ask = job.posed.ask
    answer = Answer(ask.values, ask.arrays)
    if isinstance(job.step, Derive):
        check_formulas(job.site, job.study, job.run, job.cases)
    columns = job.step.columns_from(table, answer)
    if job.step.kind in PICTURES:
        import_module(PICTURES[job.step.kind]).draw(job, table, answer, columns)
    ids = [case.case_id for case in job.cases]
    keep_columns(job.site, job.run, job.posed.step, ids, columns)
    filled = np.logical_and.reduce([~np.isnan(c) for c in columns.values()])
    return {"n": np.array(table.n), "filled": np.array(int(filled.sum()))}


def _table(job: Job) -> Table:
    columns = tuple(dict.fromkeys(job.step.columns()))
    # Where this site's sums only follow from others nothing may be hidden: the total would change.
    in_clear = len(job.posed.group) == 1
    table = make_table(Source(job.site, job.study, job.run), job.cases, columns, alone=in_clear)
    require(table, columns)
    return table


def _digest(cohort: SiteCohort, cases: tuple[Case, ...]) -> str:
    """Return the digest of cases; that of each is worked out once for a cohort."""
    known = cohort.known.setdefault("digests", {})
    sha = hashlib.sha256()
    for case in cases:
        if case.case_id not in known:
            row = [case.case_id, case.patient_id, case.split, sorted(case.values.items())]
            known[case.case_id] = hashlib.sha256(json.dumps(row).encode()).digest()
        sha.update(known[case.case_id])
    return sha.hexdigest()
