"""The accountant without torch: the same numbers as Opacus, and noise that costs its target."""

import pytest
from opacus.accountants import RDPAccountant

from common.privacy.renyi import ORDERS, epsilon_of, gaussian, noise_for
from common.privacy.sum_noise import SumNoise


@pytest.mark.parametrize(("noise", "times"), [(0.9, 1), (2.0, 1), (7.5, 40)])
def test_a_gaussian_costs_what_opacus_says(noise: float, times: int) -> None:
    account = RDPAccountant()
    account.history = [(noise, 1.0, times)]
    assert list(ORDERS) == list(RDPAccountant.DEFAULT_ALPHAS)
    mine = epsilon_of(gaussian(noise, times), 1e-5)
    assert mine == pytest.approx(account.get_epsilon(1e-5), rel=1e-12)


@pytest.mark.parametrize("epsilon", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("delta", [1e-6, 1e-3])
def test_the_noise_costs_the_target_and_less_would_cost_more(epsilon: float, delta: float) -> None:
    noise = noise_for(epsilon, delta)
    assert epsilon * (1 - 1e-6) < epsilon_of(gaussian(noise), delta) <= epsilon
    assert epsilon_of(gaussian(noise * 0.999), delta) > epsilon


def test_any_two_sites_have_together_what_epsilon_asks_for() -> None:
    noise = SumNoise(epsilon=1, delta=1e-5)
    one = noise.sd_of_site(3.0)
    assert (2 * one**2) ** 0.5 == pytest.approx(3.0 * noise_for(1, 1e-5))
    assert noise.sd_of_total(3.0, 5) == pytest.approx(one * 5**0.5)
