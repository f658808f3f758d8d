"""Turn one cell of a table into a number, or say what is the matter with it."""

import math
import re
from dataclasses import dataclass

from common.cohort import Column
from common.flow import Code
from common.settings import nearest

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Value:
    """A cell as a number.

    Attributes:
        number: the value, the index of a level, or NaN where it is missing or wrong.
        code: what is the matter, or None.
        text: the same for people.
    """

    number: float
    code: Code | None = None
    text: str = ""


def read_value(cell: str, column: Column, *, decimal_comma: bool = False) -> Value:
    """Return what a cell says under the contract of its column.

    Args:
        cell: the text, without outer spaces.
        column: the contract.
        decimal_comma: whether 3,5 is a number.
    """
    if cell in column.missing and cell not in column.levels:
        if column.required:
            return _wrong(Code.VALUE_MISSING, "missing, but the study requires it")
        return Value(math.nan)
    if column.type == "category":
        return _level(cell, column)
    return _number(cell.replace(",", ".") if decimal_comma else cell, cell, column)


def _wrong(code: Code, text: str) -> Value:
    return Value(math.nan, code, text)


def _level(cell: str, column: Column) -> Value:
    # A spreadsheet with a gap in a column of 0 and 1 writes 0.0 and 1.0.
    for text in (cell, cell.removesuffix(".0")):
        if text in column.levels:
            return Value(float(column.levels.index(text)))
    tip = nearest(cell, list(column.levels))
    return _wrong(Code.VALUE_UNKNOWN_LEVEL, f'unknown level "{cell}"{tip}')


def _number(text: str, cell: str, column: Column) -> Value:
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        article = "an integer" if column.type == "integer" else "a number"
        return _wrong(Code.VALUE_WRONG_TYPE, f'expected {article}, got "{cell}"')
    number = float(text)
    if column.type == "integer" and not number.is_integer():
        return _wrong(Code.VALUE_WRONG_TYPE, f'expected an integer, got "{cell}"')
    if column.range is not None and not column.range[0] <= number <= column.range[1]:
        low, high = column.range
        unit = f" {column.unit}" if column.unit else ""
        said = f"expected {low:g} to {high:g}{unit}, got {cell}"
        return _wrong(Code.VALUE_OUT_OF_RANGE, said)
    return Value(number)
