"""Numbers as journals print them."""

import math

import pytest

from server.report import numbers
from server.report.numbers import MINUS, NONE, SPACE, TIMES


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0000001, "< 0.001"),
        (0.00123, "0.001"),
        (0.0123, "0.01"),
        (0.049, "0.049"),
        (0.051, "0.051"),
        (0.23, "0.23"),
        (0.999, "> 0.99"),
        (None, NONE),
        (math.nan, NONE),
    ],
)
def test_p_value(p: float | None, text: str) -> None:
    assert numbers.p_value(p) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5678, f"1{SPACE}235"),
        (-0.05, f"{MINUS}0.0500"),
        (0.0, "0"),
        (3, "3"),
        (2.5e-9, f"2.50 {TIMES} 10^{MINUS}9"),
        (True, NONE),
        ("x", NONE),
    ],
)
def test_significant(value: object, text: str) -> None:
    assert numbers.significant(value) == text


def test_a_rounded_zero_has_no_sign() -> None:
    assert numbers.fixed(-0.0001, 2) == "0.00"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.004, "4 ms"), (2.5, "2.5 s"), (90, "1.5 min"), (7500, "2 h 05 min")],
)
def test_seconds(value: float, text: str) -> None:
    assert numbers.seconds(value).replace(SPACE, " ") == text


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12 B"), (51280, "51.3 kB"), (3_200_000, "3.20 MB")]
)
def test_size(value: int, text: str) -> None:
    assert numbers.size(value).replace(SPACE, " ") == text


def test_a_mean_has_the_digits_its_spread_deserves() -> None:
    assert numbers.decimals_for(10.3) == 1
    assert numbers.decimals_for(0.041) == 4
    assert numbers.decimals_for(None) == 1


def test_a_share_of_nothing_is_a_count() -> None:
    assert numbers.share(0, 0) == "0"
    assert numbers.share(5, 10).replace(SPACE, " ") == "5 (50 %)"
    assert numbers.share(None, 10) == NONE
