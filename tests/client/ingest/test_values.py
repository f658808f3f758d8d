"""A cell becomes a number, or says what is the matter with it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cases import Code
from client.ingest.values import read_value
from common.cohort import Column

NUMBER = Column(type="number", range=(-1000, 1000), unit="ml")
INTEGER = Column(type="integer")
SEX = Column(type="category", levels=("f", "m"))
FLAG = Column(type="category", levels=("0", "1"))


@given(st.floats(-1000, 1000))
def test_every_number_comes_back(x: float):
    assert read_value(repr(x), NUMBER).number == x


@pytest.mark.parametrize(
    ("cell", "column", "number"),
    [
        ("63.0", INTEGER, 63.0),
        ("+1e2", INTEGER, 100.0),
        ("m", SEX, 1.0),
        ("1.0", FLAG, 1.0),
        ("-.5", NUMBER, -0.5),
    ],
)
def test_a_cell_that_fits_is_a_number(cell: str, column: Column, number: float):
    assert read_value(cell, column).number == number


@pytest.mark.parametrize(
    ("cell", "column", "code"),
    [
        ("1_000", NUMBER, Code.VALUE_WRONG_TYPE),
        ("inf", NUMBER, Code.VALUE_WRONG_TYPE),
        ("1e999", NUMBER, Code.VALUE_WRONG_TYPE),
        ("1,5", NUMBER, Code.VALUE_WRONG_TYPE),
        ("> 5", NUMBER, Code.VALUE_WRONG_TYPE),
        ("63.5", INTEGER, Code.VALUE_WRONG_TYPE),
        ("1001", NUMBER, Code.VALUE_OUT_OF_RANGE),
        ("F", SEX, Code.VALUE_UNKNOWN_LEVEL),
    ],
)
def test_a_cell_that_does_not_fit_says_why(cell: str, column: Column, code: Code):
    value = read_value(cell, column)
    assert math.isnan(value.number)
    assert value.code is code
    assert cell in value.text


def test_missing_is_no_mistake_unless_required():
    assert read_value("NA", NUMBER).code is None
    needed = NUMBER.model_copy(update={"required": True})
    assert read_value("NA", needed).code is Code.VALUE_MISSING


def test_a_decimal_comma_counts_only_where_it_can():
    assert read_value("1,5", NUMBER, decimal_comma=True).number == 1.5


def test_a_declared_level_is_never_missing():
    column = Column(type="category", levels=("NA", "None"))
    assert read_value("None", column).number == 1.0
    assert math.isnan(read_value("null", column).number)
    assert read_value("null", column).code is None


def test_a_level_that_the_study_also_calls_missing_is_a_mistake():
    with pytest.raises(ValueError, match="both a level and a text that means missing"):
        Column(type="category", levels=("a", "NA"), missing=("", "NA"))


@pytest.mark.parametrize("cell", ["nan", "N/A", "null", "None", "#N/A"])
def test_codes_for_missing_count_for_every_type(cell: str):
    for column in (NUMBER, INTEGER, SEX, FLAG):
        value = read_value(cell, column)
        assert math.isnan(value.number)
        assert value.code is None
    required = Column(type="integer", required=True)
    assert read_value(cell, required).code is Code.VALUE_MISSING
