"""One table of several centres becomes sites' folders, or nothing and every mistake."""

from pathlib import Path

import pytest

from client.check import check
from client.ingest.cohort_csv import read_sheet
from client.ingest.table import Report, Roles, import_table, study_name
from common.cohort import Cohort
from common.errors import ConfigError

ROLES = Roles(("Hospital",), "ID", "set")
TABLE = """\
ID,Hospital,set,Alter (y),chol,T stage
1,Centre Léon,Train,61,0,1a
2,Centre Léon,test,58,201,2
3,HGJ,train,70,188,2
3,HGJ,train,71,190,2
4,HMR,,66,,1a
"""


def load(folder: Path, text: str = TABLE, roles: Roles = ROLES, **options) -> Report:
    (folder / "all.csv").write_text(text, encoding="utf-8")
    return import_table(folder / "all.csv", folder / "out", roles, **options)


def refused(folder: Path, text: str = TABLE, roles: Roles = ROLES, **options) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(folder, text, roles, **options)
    assert not (folder / "out").exists()
    return [str(f).replace(f"{folder}/", "") for f in error.value.findings]


def rows(folder: Path, site: str) -> list[dict[str, str]]:
    return [dict(row.cells) for row in read_sheet(folder / "out" / site / "cohort.csv").rows]


def test_every_centre_becomes_a_folder_with_its_own_rows(tmp_path):
    report = load(tmp_path)
    assert report.counts == {
        "centre_leon": {"train": 1, "test": 1},
        "hgj": {"train": 2},
        "hmr": {"": 1},
    }
    assert str(report).splitlines()[-1] == "hmr: 1 cases"
    assert rows(tmp_path, "centre_leon")[0] == {
        "case_id": "1",
        "patient_id": "1",
        "split": "train",
        "alter_y": "61",
        "chol": "0",
        "t_stage": "1a",
    }


def test_several_rows_of_a_patient_are_its_cases(tmp_path):
    load(tmp_path)
    found = [(r["case_id"], r["patient_id"]) for r in rows(tmp_path, "hgj")]
    assert found == [("3", "3"), ("3-2", "3")]


def test_columns_are_renamed_and_texts_recoded(tmp_path):
    load(
        tmp_path,
        renames=["Alter (y)=age"],
        recodes=["chol:0=", "Hospital:HMR=HGJ", "set:=test"],
    )
    assert {r["age"] for r in rows(tmp_path, "hgj")} == {"70", "71", "66"}
    assert rows(tmp_path, "centre_leon")[0]["chol"] == ""
    assert rows(tmp_path, "hgj")[-1]["split"] == "test"


def test_a_star_is_every_text_that_is_not_named(tmp_path):
    report = load(tmp_path, recodes=["Hospital:HGJ=big", "Hospital:*=rest"])
    assert {site: sum(of.values()) for site, of in report.counts.items()} == {"big": 2, "rest": 3}


def test_several_columns_of_the_centre_are_combined(tmp_path):
    roles = Roles(("Hospital", "set"), "ID")
    report = load(tmp_path, roles=roles, recodes=["set:=test"])
    assert [*report.counts] == ["centre_leon_train", "centre_leon_test", "hgj_train", "hmr_test"]


def test_what_was_written_passes_the_check_of_a_study(tmp_path):
    load(tmp_path, renames=["Alter (y)=age"])
    columns = {"age": {"type": "integer"}, "t_stage": {"type": "category", "levels": ["1a", "2"]}}
    contract = Cohort.model_validate({"columns": columns})
    checked = check(contract, tmp_path / "out" / "centre_leon")
    assert not checked.findings
    assert not checked.problems
    assert [case.values["age"] for case in checked.cases] == [61, 58]


def test_decimal_commas_become_points(tmp_path):
    load(tmp_path, "p;c;v\n1;north;3,5\n2;north;a,b\n", Roles(("c",), "p"))
    assert [r["v"] for r in rows(tmp_path, "north")] == ["3.5", "a,b"]


def test_without_a_split_there_is_no_such_column(tmp_path):
    load(tmp_path, "p,c,v\n1,north,3\n", Roles(("c",), "p"))
    assert [*rows(tmp_path, "north")[0]] == ["case_id", "patient_id", "v"]


def test_mistakes_of_the_command_are_reported_together(tmp_path):
    found = refused(
        tmp_path,
        roles=Roles(("Hospitl",), "ID", "set"),
        renames=["age", "Altr=age", "ID=patient"],
        recodes=["chol", "cho:0=", "T stage:1b=1", "chol:0=", "chol:0=1"],
    )
    assert found == [
        'all.csv:1: --rename: expected own=study, got "age"',
        'all.csv:1: --rename: no column "Altr"' + found[1].partition('"Altr"')[2],
        'all.csv:1: --rename: "ID" is site, patient or split and keeps its name',
        'all.csv: --recode: expected column:old=new, got "chol"',
        'all.csv: --recode: no column "cho"' + found[4].partition('"cho"')[2],
        'all.csv: --recode: "T stage" is never "1b"' + found[5].partition('"1b"')[2],
        'all.csv: --recode: "chol:0" is recoded twice',
        'all.csv:1: --site: no column "Hospitl"' + found[7].partition('"Hospitl"')[2],
    ]
    assert "Hospital" in found[7]
    assert "1a" in found[5]


def test_mistakes_of_the_rows_are_reported_together(tmp_path):
    text = "p,c,set,v\n,north,train,1\n1,north,train,1\n1,south,train,1\n2,,dev,1\n3,9,test,1\n"
    text += "4,a b,train,1\n5,A-B,train,1\n6,north,train,1\n6,north,test,1\n"
    found = refused(tmp_path, text, Roles(("c",), "p", "set"))
    assert found == [
        "all.csv:2: p: the cell is empty",
        'all.csv:4: c: patient "1" is at "north" (row 3) and at "south"',
        "all.csv:5: c: the cell is empty",
        'all.csv:5: set: expected train, validation or test, got "dev"; --recode it',
        'all.csv:10: set: patient "6" is in "train" (row 9) and in "test"',
        'all.csv: c: "9": expected a name like "tumour_2" (a-z, 0-9, _), got "9"; --recode it',
        'all.csv: c: "a b", "A-B" all become "a_b"; --recode them',
    ]


def test_columns_that_cannot_be_named_are_reported_together(tmp_path):
    found = refused(tmp_path, "p,c,T 1,t_1,9,case_id\n1,north,1,1,1,1\n", Roles(("c",), "p"))
    assert found == [
        'all.csv:1: 9: expected a name like "tumour_2" (a-z, 0-9, _), got "9"; --rename it',
        'all.csv:1: case_id: "case_id" is reserved for the cohort\'s own columns; --rename it',
        'all.csv:1: t_1: "T 1", "t_1" are all called so; --rename them',
    ]


@pytest.mark.parametrize("text", ["", "p,c\n", "p,c\n1\n"])
def test_a_table_that_holds_nothing_is_refused(tmp_path, text):
    assert len(refused(tmp_path, text, Roles(("c",), "p"))) >= 1


def test_one_column_cannot_have_two_roles(tmp_path):
    assert "distinct" in refused(tmp_path, roles=Roles(("ID",), "ID"))[0]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.csv: cannot be read"):
        import_table(tmp_path / "none.csv", tmp_path / "out", Roles(("c",), "p"))


def test_names_are_plain_and_lower_case():
    assert study_name("Vall d'Hebron (Barcelona)") == "vall_d_hebron_barcelona"
    assert study_name("N0 (i-)") == "n0_i"
