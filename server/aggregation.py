"""From the sites' mean change to the next weights: FedAvg, FedAvgM, FedAdam, FedYogi."""

from collections.abc import Mapping

import numpy as np

from common.buffers import blank, used_up
from common.sums import Array
from common.tasks.train import Aggregation, FedAdam

Weights = dict[str, Array]
Moments = dict[str, Weights]

_BUFFERS = ("running_mean", "running_var")


def aggregate(
    how: Aggregation, weights: Mapping[str, Array], change: Mapping[str, Array], moments: Moments
) -> tuple[Weights, Moments]:
    """Return the next weights and the optimiser's moments.

    Args:
        how: the aggregation of the study.
        weights: the current ones, float32.
        change: mean change over the sites, weighted by their cases, float64; used up.
        moments: of the last round; empty in the first.
    """
    if isinstance(how, FedAdam):
        return _adaptive(how, weights, change, moments)
    if how.momentum == 0:
        return _moved(weights, change), {}
    old = moments.get("momentum", {})
    momentum = {n: (how.momentum * old.get(n, 0.0) + change[n]).astype(np.float64) for n in weights}
    step = {n: change[n] if _is_buffer(n) else momentum[n] for n in weights}
    return _moved(weights, step), {"momentum": momentum}


def _adaptive(
    how: FedAdam, weights: Mapping[str, Array], change: Mapping[str, Array], moments: Moments
) -> tuple[Weights, Moments]:
    """Reddi et al., ICLR 2021, algorithm 2; batch statistics are plainly averaged."""
    first, second, steps = {}, {}, {}
    for name in weights:
        d = change[name].astype(np.float64)
        m = moments.get("first", {}).get(name, np.zeros_like(d))
        v = moments.get("second", {}).get(name, np.full_like(d, how.tau**2))
        first[name] = how.beta_1 * m + (1 - how.beta_1) * d
        pull = np.sign(v - d * d) * d * d if how.kind == "fedyogi" else v - d * d
        second[name] = v - (1 - how.beta_2) * pull
        step = how.learning_rate * first[name] / (np.sqrt(second[name]) + how.tau)
        steps[name] = d if _is_buffer(name) else step
    return _moved(weights, steps), {"first": first, "second": second}


def _is_buffer(name: str) -> bool:
    return name.endswith(_BUFFERS)


def _moved(weights: Mapping[str, Array], steps: Mapping[str, Array]) -> Weights:
    """Return weights + steps, added in double precision; fresh steps are used up."""
    moved = blank(weights)
    flat = {name: steps[name].reshape(-1) for name in weights}
    for name, place in used_up(flat):
        sums = np.add(weights[name].reshape(-1)[place], flat[name][place], dtype=np.float64)
        moved[name].reshape(-1)[place] = sums
    return moved
