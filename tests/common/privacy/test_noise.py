"""Noise that only one site can draw."""

import numpy as np
from scipy import stats

from common.privacy.identity import new_identity
from common.privacy.noise import Noise, noise_key


def test_noise_is_standard_normal() -> None:
    drawn = Noise(bytes(32)).normal(200_000)
    assert stats.kstest(drawn, "norm").pvalue > 0.01
    assert abs(drawn.std() - 1) < 0.01


def test_the_same_ask_gets_the_same_noise_and_another_does_not() -> None:
    identity = new_identity()
    one, again, other = (
        Noise(noise_key(identity, context)).uniform(50) for context in (b"a", b"a", b"b")
    )
    assert np.array_equal(one, again)
    assert not np.isclose(one, other).any()


def test_another_site_draws_other_noise_for_the_same_ask() -> None:
    one, other = (Noise(noise_key(new_identity(), b"a")).uniform(50) for _ in range(2))
    assert not np.isclose(one, other).any()


def test_a_stream_goes_on_where_it_was() -> None:
    noise = Noise(bytes(32))
    parts = np.concatenate([noise.uniform(3), noise.uniform(5)])
    assert np.array_equal(parts, Noise(bytes(32)).uniform(8))
