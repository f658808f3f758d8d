"""Read cohort.csv as spreadsheets really write it, and write it as it should be.

Reading takes UTF-8 with or without a byte order mark, commas, semicolons or tabs, any
line ends and stray spaces. What the cells mean is for `client/check.py` to judge.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.files import write_atomically
from common.errors import Finding

FILE = "cohort.csv"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file.

    Attributes:
        line: its number, the heading being line 1.
        cells: text of each column under the study's name, without outer spaces.
    """

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The file as text.

    Attributes:
        columns: names of the heading, renamed to the study's.
        rows: in the order of the file; blank lines are left out.
        decimal_comma: whether 3,5 is a number: so where semicolons part the columns.
        findings: mistakes of form; the rows are incomplete where there are any.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    decimal_comma: bool
    findings: tuple[Finding, ...]


def read_sheet(path: Path, renames: Mapping[str, str] | None = None) -> Sheet:
    """Return the rows of a cohort.csv, with every mistake of form.

    Args:
        path: the file.
        renames: the study's name of a column by the site's own.
    """
    text, problem = _text(path)
    if problem:
        return Sheet((), (), False, (problem,))
    delimiter = _delimiter(text)
    lines = list(_lines(text, delimiter))
    if not lines:
        return Sheet((), (), False, (Finding(FILE, None, "", "the file is empty"),))
    own = lines[0][1]
    columns, findings = _heading(own, renames or {})
    rows = []
    for line, cells in lines[1:]:
        while len(cells) > len(columns) and not cells[-1]:
            cells.pop()
        if len(cells) != len(columns):
            said = f"expected {len(columns)} cells, got {len(cells)}"
            findings.append(Finding(FILE, line, "", said))
        else:
            rows.append(Row(line, dict(zip(columns, cells, strict=True))))
    return Sheet(tuple(columns), tuple(rows), delimiter == ";", tuple(findings))


def write_sheet(folder: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    """Write cohort.csv into a folder; a cell that a row lacks is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / FILE, text.getvalue().encode())


def _text(path: Path) -> tuple[str, Finding | None]:
    try:
        data = path.read_bytes()
    except OSError as error:
        return "", Finding(FILE, None, "", f"cannot be read: {error.strerror}")
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return "", Finding(FILE, line, "", "not UTF-8; save it as CSV UTF-8")


def _delimiter(text: str) -> str:
    heading = text.lstrip().partition("\n")[0]
    return max(",;\t", key=heading.count)


def _lines(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    before = 0
    for cells in reader:
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield before + 1, stripped
        before = reader.line_num


def _heading(own: Sequence[str], renames: Mapping[str, str]) -> tuple[list[str], list[Finding]]:
    columns = [renames.get(name, name) for name in own]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    text = "the column stands here twice"
    return columns, [Finding(FILE, 1, name, text) for name in twice]
