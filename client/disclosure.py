"""Rules on the sums themselves, enforced in the site's process before masking."""

import numpy as np

from common.errors import Reason, Refused
from common.sites import PolicySettings
from common.sums import Field, Schema, Sums


def check_sums(policy: PolicySettings, sums: Sums, schema: Schema, *, alone: bool) -> None:
    """Check the counts behind every array, and cells where the reply goes out in clear.

    Args:
        policy: the hospital's thresholds.
        sums: conforming to `schema`.
        schema: says which count stands behind each array.
        alone: no other site is in the group.

    Raises:
        Refused: CELL_TOO_SMALL, PER_SITE_NOT_ALLOWED or NETWORK_NOT_SHARED.
    """
    if not alone:
        return
    for name, field in schema.items():
        _check_alone(policy, name, sums, field)


def check_cohort(policy: PolicySettings, n_patients: int) -> None:
    """Check that this site's cohort for the study is large enough for any reply at all.

    Raises:
        Refused: NO_CASES or COHORT_TOO_SMALL.
    """
    if n_patients < policy.smallest_cohort:
        detail = f"{n_patients} patients, policy: {policy.smallest_cohort}"
        raise Refused(Reason.COHORT_TOO_SMALL if n_patients else Reason.NO_CASES, detail)


def _check_alone(policy: PolicySettings, name: str, sums: Sums, field: Field) -> None:
    if field.alone == "never":
        raise Refused(Reason.PER_SITE_NOT_ALLOWED, f"{name} may only leave in a masked sum")
    if field.kind == "weight" and not policy.share_network:
        raise Refused(Reason.NETWORK_NOT_SHARED, "the policy keeps networks trained here")
    if field.alone == "cells":
        _check_cells(policy, name, sums[name])
    if field.behind:
        _check_cells(policy, field.behind, sums[field.behind])


def _check_cells(policy: PolicySettings, name: str, counts: np.ndarray) -> None:
    small = (counts > 0) & (counts < policy.smallest_cell)
    if small.any():
        raise Refused(Reason.CELL_TOO_SMALL, f"{name}: a cell below {policy.smallest_cell}")
