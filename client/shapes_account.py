"""What the noisy histograms of `site_shapes` have told about a patient, over all runs.

Their noise is a law of its own (pure epsilon, column by column, fresh each time) and adds up
over columns to far more than a training or a histogram over sites may cost, so it has an
account and a limit of its own.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from client import audit
from client.steps import Job
from common.errors import Reason, Refused


def account(job: Job) -> Mapping[str, object]:
    """Return what the audit log says of an ask's noisy histograms.

    Raises:
        Refused: BUDGET_SPENT: more than the policy's `most_shapes_epsilon`.
    """
    taken = round(job.step.most_epsilon, 3)
    total = round(spent(audit.entries(job.site.workspace / "audit.jsonl")) + taken, 3)
    limit = job.site.policy.most_shapes_epsilon
    if limit is not None and total > limit:
        raise Refused(
            Reason.BUDGET_SPENT, f"site_shapes: epsilon {total:g} with this, policy: {limit:g}"
        )
    return {"shapes": {"epsilon": taken, "total": total}}


def spent(entries: Iterable[Mapping[str, Any]]) -> float:
    """Return the sum of what was let out, of an audit log's entries."""
    shapes = (e["shapes"] for e in entries if e.get("event") == "release" and e.get("shapes"))
    return sum(float(one["epsilon"]) for one in shapes)
