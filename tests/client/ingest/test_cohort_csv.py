"""cohort.csv is read in every form that spreadsheets give it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ingest.cohort_csv import read_sheet, write_sheet

PLAIN = "case_id,age,note\nc1,50,a\nc2,60,b\n"


def sheet(tmp_path: Path, data: bytes | str, **options: object):
    path = tmp_path / "cohort.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_sheet(path, **options)


def cells(read) -> list[dict[str, str]]:
    return [dict(row.cells) for row in read.rows]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace(",", " , "),
        "\ufeff" + PLAIN,
        PLAIN + "\n,,\n  \n",
        PLAIN.replace("\n", ",,\n"),
        PLAIN.replace("c1", '"c1"'),
    ],
)
def test_the_form_of_a_file_changes_nothing(tmp_path: Path, text: str):
    read = sheet(tmp_path, text)
    assert not read.findings
    wanted = cells(sheet(tmp_path, PLAIN))
    assert [{k: v for k, v in row.items() if k} for row in cells(read)] == wanted


def test_lines_are_those_of_the_file(tmp_path: Path):
    read = sheet(tmp_path, 'case_id,note\nc1,"two\nlines"\n\nc2,x\n')
    assert [row.line for row in read.rows] == [2, 5]


def test_semicolons_bring_decimal_commas(tmp_path: Path):
    assert sheet(tmp_path, "a;b\n1,5;2\n").decimal_comma
    assert not sheet(tmp_path, "a,b\n1,2\n").decimal_comma


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"case_id,n\nM\xfcller,1\n", "cohort.csv:2: not UTF-8; save it as CSV UTF-8"),
        (b"", "cohort.csv: the file is empty"),
        (b"a,b\n1\n", "cohort.csv:2: expected 2 cells, got 1"),
        (b"a,b\n1,2,3\n", "cohort.csv:2: expected 2 cells, got 3"),
        (b"a,b,a\n1,2,3\n", "cohort.csv:1: a: the column stands here twice"),
    ],
)
def test_a_mistake_of_form_is_named_with_its_line(tmp_path: Path, data, said):
    assert [str(finding) for finding in sheet(tmp_path, data).findings] == [said]


def test_own_names_become_the_studys(tmp_path: Path):
    read = sheet(tmp_path, PLAIN, renames={"note": "stage", "unused": "x"})
    assert read.columns == ("case_id", "age", "stage")


def test_two_columns_cannot_get_one_name(tmp_path: Path):
    read = sheet(tmp_path, PLAIN, renames={"note": "age"})
    assert [finding.path for finding in read.findings] == ["age"]


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]))


@given(st.lists(st.fixed_dictionaries({"case_id": TEXT, "x": TEXT}), max_size=6))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, rows):
    folder = tmp_path_factory.mktemp("sheet")
    write_sheet(folder, ("case_id", "x"), rows)
    read = read_sheet(folder / "cohort.csv")
    assert cells(read) == [row for row in rows if any(row.values())]
