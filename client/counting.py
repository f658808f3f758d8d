"""The site's half of `check_cohort`: how many cases came in, and why others did not."""

from client.cohorts import flow_sums
from client.steps import Job
from common.sums import Sums


def summarise(job: Job) -> Sums:
    """Return counts of cases; see `common.flow`."""
    return flow_sums(job.cohort.flows, alone=job.alone)
