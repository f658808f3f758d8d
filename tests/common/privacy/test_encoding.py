"""Fixed point is exact: checked against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Reason, Refused
from common.privacy.encoding import add_into, decode, encode, subtract_into
from common.sums import conform, count, fine_grid, real, weight

SCHEMA = {"n": count(), "x": real(3), "w": weight(2)}

reals = st.floats(-(2.0**50), 2.0**50, allow_nan=False)
updates = st.floats(-(2.0**20), 2.0**20, width=32)
site_sums = st.builds(
    lambda n, x, w: {"n": np.array(n), "x": np.array(x), "w": np.array(w, np.float32)},
    st.integers(0, 2**30),
    st.lists(reals, min_size=3, max_size=3),
    st.lists(updates, min_size=2, max_size=2),
)


def _total(sites: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    total = encode(sites[0], SCHEMA)
    for sums in sites[1:]:
        add_into(total, encode(sums, SCHEMA), SCHEMA)
    return decode(total, SCHEMA)


@given(st.lists(site_sums, min_size=1, max_size=6))
def test_total_of_reals_is_the_rational_sum_rounded_once(
    sites: list[dict[str, np.ndarray]],
) -> None:
    total = _total(sites)
    for i in range(3):
        grid = [Fraction(round(Fraction(float(s["x"][i])) * 2**64), 2**64) for s in sites]
        assert total["x"][i] == float(sum(grid, Fraction(0)))
    assert int(total["n"]) == sum(int(s["n"]) for s in sites)


@given(st.lists(site_sums, min_size=1, max_size=6))
def test_total_of_updates_is_within_the_resolution(sites: list[dict[str, np.ndarray]]) -> None:
    total = _total(sites)
    exact = [sum(Fraction(float(s["w"][i])) for s in sites) for i in range(2)]
    for got, true in zip(total["w"], exact, strict=True):
        assert abs(Fraction(float(got)) - true) <= Fraction(len(sites) + 1, 2**32)


@given(st.lists(site_sums, min_size=2, max_size=6), st.randoms())
def test_total_has_the_same_bits_in_any_order(
    sites: list[dict[str, np.ndarray]], random: object
) -> None:
    first = _total(sites)
    random.shuffle(sites)  # type: ignore[attr-defined]
    second = _total(sites)
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


@given(site_sums, site_sums)
def test_subtracting_undoes_adding(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    words = encode(a, SCHEMA)
    before = words.copy()
    add_into(words, encode(b, SCHEMA), SCHEMA)
    subtract_into(words, encode(b, SCHEMA), SCHEMA)
    assert (words == before).all()


def test_every_bit_length_decodes_to_the_nearest_double() -> None:
    rng = np.random.default_rng(0)
    high = np.array(
        [int(rng.integers(2**62)) >> k for k in range(62) for _ in range(40)], np.uint64
    )
    high[::3] = ~high[::3]
    low = rng.integers(0, 2**64, high.size, dtype=np.uint64)
    got = decode(np.concatenate([low, high]), {"x": real(high.size)})["x"]
    numbers = [(int(h) << 64) + int(w) for h, w in zip(high, low, strict=True)]
    true = [float(Fraction(v - 2**128 if v >= 2**127 else v, 2**64)) for v in numbers]
    assert got.tolist() == true


@pytest.mark.parametrize(
    ("name", "value"), [("x", [2.0**54, 0, 0]), ("w", [2.0**22, 0]), ("n", 2**41)]
)
def test_a_value_outside_the_range_raises(name: str, value: object) -> None:
    sums = {"n": np.array(1), "x": np.zeros(3), "w": np.zeros(2), name: np.array(value)}
    with pytest.raises(Refused) as refused:
        encode(sums, SCHEMA)
    assert refused.value.reason is Reason.OUT_OF_BOUND


def test_a_thousand_sites_at_the_bound_do_not_wrap() -> None:
    schema = {"x": real(1), "w": weight(1)}
    largest = {name: np.array([field.bound]) for name, field in schema.items()}
    total = encode(largest, schema)
    for _ in range(1022):
        add_into(total, encode(largest, schema), schema)
    decoded = decode(total, schema)
    assert decoded["x"][0] == 1023 * schema["x"].bound
    assert decoded["w"][0] == 1023 * schema["w"].bound


def test_a_bound_too_large_for_the_encoding_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="expected a bound"):
        encode({"x": np.zeros(1)}, {"x": real(1, bound=2.0**60)})


def test_the_vector_does_not_depend_on_the_order_of_the_schema() -> None:
    sums = {"n": np.array(1), "x": np.arange(3.0), "w": np.arange(2.0)}
    turned = dict(reversed(SCHEMA.items()))
    assert (encode(sums, SCHEMA) == encode(sums, turned)).all()


@given(st.lists(st.lists(st.integers(0, 2**21), min_size=5, max_size=5), min_size=1, max_size=6))
def test_short_counts_share_words_and_add_exactly(sites: list[list[int]]) -> None:
    schema = {"n": count(), "cells": fine_grid(5)}
    parts = [{"n": np.array(1), "cells": np.array(cells)} for cells in sites]
    total = encode(parts[0], schema)
    assert total.size == 1 + 3
    for part in parts[1:]:
        add_into(total, encode(part, schema), schema)
    assert decode(total, schema)["cells"].tolist() == np.sum(sites, axis=0).tolist()


def test_short_counts_of_the_most_sites_do_not_run_over() -> None:
    schema = {"cells": fine_grid(3)}
    words = encode({"cells": np.array([0, 2**21, 0])}, schema)
    total = words.copy()
    for _ in range(1023):
        add_into(total, words, schema)
    assert decode(total, schema)["cells"].tolist() == [0, 2**31, 0]


@pytest.mark.parametrize("value", [-1, 2**21 + 1])
def test_short_count_that_would_run_over_is_refused(value: int) -> None:
    schema = {"cells": fine_grid(2)}
    for check in (encode, conform):
        with pytest.raises(Refused) as refusal:
            check({"cells": np.array([0, value])}, schema)
        assert refusal.value.reason is Reason.OUT_OF_BOUND
