"""Noise on a statistic's sums, drawn at this site, and its line in the account of privacy.

The key is the site's identity and the very ask with its cases: the same question over the
same patients gets the same noise, so asking again tells nothing new and costs nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from client.budget import check_budget
from client.spending import Spending
from client.steps import Job
from common.privacy.noise import Noise, noise_key
from common.sums import Schema, Sums


def with_noise(job: Job, sums: Sums, schema: Schema, data: str) -> Sums:
    """Return sums with this site's share of the noise on every one that is no count.

    Args:
        job: its step has `noise` and says its `sensitivity`.
        sums: what the site's cases come to.
        schema: the reals in it are what patients change; counts in it are public.
        data: digest of the cases.
    """
    noise = Noise(noise_key(job.site.identity(), _mark(job, data).encode()))
    sd = job.step.noise.sd_of_site(job.step.sensitivity())
    found = dict(sums)
    for name in sorted(name for name, field in schema.items() if field.kind == "real"):
        value = np.asarray(sums[name], np.float64)
        found[name] = value + sd * noise.normal(value.size).reshape(value.shape)
    return found


def account(job: Job, data: str) -> Mapping[str, object]:
    """Return what the audit log says of an ask's privacy.

    Raises:
        Refused: BUDGET_SPENT.
    """
    spending = Spending(job.step.noise.multiplier, rate=1.0, steps=1)
    mark = _mark(job, data)
    epsilon = check_budget(job.site, mark, spending)
    said: dict[str, Any] = {"mark": mark, **spending.as_values(), "epsilon": round(epsilon, 3)}
    return {"privacy": said}


def _mark(job: Job, data: str) -> str:
    words = [job.message.hello.study, job.posed.step, job.posed.ask.digest(), data]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()
