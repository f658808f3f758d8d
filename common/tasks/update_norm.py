"""How far one site may move a network in a round: clipped at the site, checked on the sum.

A mean of changes, each within a norm and weighted by cases, lies within it as well; so a
total that does not says that a site sent more than it may. It does not say which, as only
the total can be read; and what lies within the norm it does not see (Sun et al., Can you
really backdoor federated learning?, arXiv 1911.07963).
"""

from collections.abc import Mapping
from math import fsum, sqrt

import numpy as np

from common.sums import Array

_ROUNDING = 2.0**-30  # of a sum's fixed point, for each weight


def norm_of(change: Mapping[str, Array]) -> float:
    """Return the Euclidean norm of all weights' changes together."""
    return sqrt(fsum(float(np.vdot(a, a)) for a in change.values()))


def share_within(change: Mapping[str, Array], largest: float) -> float:
    """Return the factor, at most 1, that brings a change within a norm."""
    norm = norm_of(change)
    return 1.0 if norm <= largest else largest / norm


def check_mean(change: Mapping[str, Array], largest: float) -> None:
    """Check the sites' mean change.

    Raises:
        ValueError: it is larger than any mean of changes within the norm.
    """
    norm, size = norm_of(change), sum(a.size for a in change.values())
    if not norm <= largest * (1 + 1e-6) + _ROUNDING * sqrt(size):
        raise ValueError(
            f"the sites' mean change has norm {norm:.4g}, largest_update_norm is {largest:g}: "
            "a site sent more than the study allows; masks hide which"
        )
