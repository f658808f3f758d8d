"""The next weights: against the papers' formulas, and with batch statistics left alone."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from common.tasks.train import FedAdam, FedAvg, Schedule
from server.aggregation import Moments, aggregate

RNG = np.random.default_rng(0)
WEIGHTS = {"w": RNG.normal(size=(3, 2)).astype(np.float32), "b": np.zeros(2, np.float32)}


def _change(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=w.shape) for name, w in WEIGHTS.items()}


def test_fedavg_adds_the_mean_change() -> None:
    after, moments = aggregate(FedAvg(), WEIGHTS, _change(1), {})
    for name, change in _change(1).items():
        np.testing.assert_array_equal(after[name], (WEIGHTS[name] + change).astype(np.float32))
    assert moments == {}


def test_server_momentum_is_that_of_torch_sgd() -> None:
    parameter = torch.nn.Parameter(torch.tensor(WEIGHTS["w"], dtype=torch.float64))
    sgd = torch.optim.SGD([parameter], lr=1.0, momentum=0.9)
    weights, moments = WEIGHTS, {}
    for seed in range(4):
        parameter.grad = torch.tensor(-_change(seed)["w"])
        sgd.step()
        weights, moments = aggregate(FedAvg(momentum=0.9), weights, _change(seed), moments)
    np.testing.assert_allclose(weights["w"], parameter.detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize("kind", ["fedadam", "fedyogi"])
def test_adaptive_servers_follow_algorithm_2(kind: str) -> None:
    how = FedAdam(kind=kind, learning_rate=0.1, beta_1=0.9, beta_2=0.99, tau=1e-3)  # type: ignore[arg-type]
    weights: dict[str, np.ndarray] = dict(WEIGHTS)
    moments: Moments = {}
    m, v, x = np.zeros((3, 2)), np.full((3, 2), 1e-6), WEIGHTS["w"].astype(np.float64)
    for seed in range(5):
        d = _change(seed)["w"]
        m = 0.9 * m + 0.1 * d
        if kind == "fedadam":
            v = 0.99 * v + 0.01 * d**2
        else:
            v = v - 0.01 * d**2 * np.sign(v - d**2)
        x = x + 0.1 * m / (np.sqrt(v) + 1e-3)
        weights, moments = aggregate(how, weights, _change(seed), moments)
    np.testing.assert_allclose(weights["w"], x, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("how", [FedAvg(momentum=0.9), FedAdam(), FedAdam(kind="fedyogi")])
def test_batch_statistics_are_plainly_averaged(how: FedAvg | FedAdam) -> None:
    weights = {"norm.running_var": np.ones(2, np.float32)}
    after, moments = aggregate(how, weights, {"norm.running_var": np.full(2, -0.5)}, {})
    after, _ = aggregate(how, after, {"norm.running_var": np.full(2, 0.25)}, moments)
    np.testing.assert_allclose(after["norm.running_var"], 0.75)


def test_the_schedule_rises_falls_and_ends() -> None:
    cosine = Schedule(kind="cosine", warm_up=2, final=0.1)
    factors = [cosine.factor(r, 10) for r in range(10)]
    assert factors[0] < factors[1] < factors[2] == 1.0
    assert factors[-1] == pytest.approx(0.1)
    assert all(a >= b for a, b in pairwise(factors[2:]))
    assert Schedule(kind="constant", warm_up=0).factor(7, 10) == 1.0
