"""How much privacy of its patients a site has spent, over all runs of all studies.

Every private round of a training and every statistic with noise is a line of the audit log
with its noise, chance and steps; all are composed, as if every patient had been in each.
The same ask over the same cases comes to the same noise (`common.privacy.noise`) and is
counted once.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from client import audit
from client.site import Site
from client.spending import Spending
from client.steps import Job
from common.errors import Reason, Refused
from common.privacy.renyi import ORDERS, epsilon_of, gaussian
from common.table import Floats


def check_budget(site: Site, mark: str, spending: Spending) -> float:
    """Return the privacy loss of all that was let out so far and of this.

    Args:
        site: its audit log is the account.
        mark: digest of the ask and its cases; what has this mark is not counted again.
        spending: what this round takes.

    Raises:
        Refused: BUDGET_SPENT: it would be more than the policy's `most_epsilon`.
        AuditBroken: a line was changed: nothing leaves until a person has looked.
    """
    spent = spendings(audit.entries(site.workspace / "audit.jsonl"))
    epsilon = loss_of([*{**spent, mark: spending}.values()], site.policy.budget_delta)
    if epsilon > site.policy.most_epsilon:
        raise Refused(
            Reason.BUDGET_SPENT,
            f"epsilon {epsilon:.2f} with this round, policy: {site.policy.most_epsilon:g}",
        )
    return epsilon


def account_of(job: Job) -> dict[str, object]:
    """Return what the audit log says of an ask's privacy; nothing where it takes none.

    Raises:
        Refused: BUDGET_SPENT.
    """
    takes = job.posed.ask.values.get("train") and getattr(job.step, "privacy", None) is not None
    if not takes:
        return {}
    from client.training import account

    found = account(job)
    if found is None:
        return {}
    mark, spending = found
    epsilon = check_budget(job.site, mark, spending)
    return {"privacy": {"mark": mark, **spending.as_values(), "epsilon": round(epsilon, 3)}}


def spendings(entries: Iterable[Mapping[str, Any]]) -> dict[str, Spending]:
    """Return what private rounds took, by their marks, in the order of the log."""
    found = {}
    for entry in entries:
        privacy = entry.get("privacy")
        if entry.get("event") == "release" and privacy:
            found[str(privacy["mark"])] = Spending(
                float(privacy["noise"]), float(privacy["rate"]), int(privacy["steps"])
            )
    return found


def loss_of(taken: Iterable[Spending], delta: float) -> float:
    """Return epsilon at `delta` of all that was taken, together."""
    steps: dict[tuple[float, float], int] = {}
    for one in taken:  # rounds alike as one with all their steps: the same loss, found sooner
        steps[one.noise, one.rate] = steps.get((one.noise, one.rate), 0) + one.steps
    if not steps:
        return 0.0
    losses = [_loss(noise, rate, n) for (noise, rate), n in steps.items()]
    return epsilon_of(np.sum(losses, axis=0), delta)


def _loss(noise: float, rate: float, steps: int) -> Floats:
    """Return the loss at each order; only a training needs Opacus, and so torch."""
    if rate == 1:
        return gaussian(noise, steps)
    from opacus.accountants.analysis.rdp import compute_rdp

    found = compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=ORDERS)
    return np.asarray(found, np.float64)
