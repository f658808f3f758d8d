"""Images and masks are found by patterns, with a table and without one."""

import csv
from pathlib import Path

import pytest

from client.ingest.drawn import import_files, read_patterns
from client.ingest.table import Roles, import_table
from common.errors import ConfigError

TABLE = "id,centre,grade,ok\n7,North,2,yes\n8,South,3,yes\n9,North,1,no\n"


def rows_of(folder: Path) -> list[dict[str, str]]:
    return [*csv.DictReader((folder / "cohort.csv").read_text().splitlines())]


def test_a_table_with_files_keeps_only_wanted_rows(tmp_path: Path) -> None:
    (tmp_path / "centres.csv").write_text(TABLE)
    for name in ("7_t1.nii.gz", "8_t1.nii.gz", "7_m.nii.gz"):
        (tmp_path / name).touch()
    drawn = read_patterns(tmp_path, ["t1={id}_t1.nii.gz", "tumour@b={id}_m.nii.gz"])
    roles = Roles(("centre",), "id", only=("ok=yes",))
    import_table(tmp_path / "centres.csv", tmp_path / "out", roles, drawn=drawn)
    (north,), (south,) = rows_of(tmp_path / "out" / "north"), rows_of(tmp_path / "out" / "south")
    assert north["t1"] == "../../7_t1.nii.gz"
    assert north["tumour@b"] == "../../7_m.nii.gz"
    assert south["t1"] == "../../8_t1.nii.gz"
    assert south["tumour@b"] == ""
    assert north["case_id"] == "7"


def test_files_alone_make_sites_cases_and_patients(tmp_path: Path) -> None:
    for site, name in (("a", "p1-s1"), ("a", "p1-s2"), ("b", "p2-s1")):
        (tmp_path / "in" / site).mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / site / f"{name}_T2.nii.gz").touch()
    drawn = read_patterns(tmp_path / "in", ["t2={site}/{case}_T2.nii.gz"])
    assert import_files(drawn, tmp_path / "out") == {"a": 2, "b": 1}
    assert [r["case_id"] for r in rows_of(tmp_path / "out" / "a")] == ["p1-s1", "p1-s2"]
    by_patient = read_patterns(tmp_path / "in" / "a", ["t2={patient}-{case}_T2.nii.gz"])
    import_files(by_patient, tmp_path / "one")
    assert [r["patient_id"] for r in rows_of(tmp_path / "one")] == ["p1", "p1"]


def test_mistakes_in_patterns_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "centres.csv").write_text(TABLE)
    with pytest.raises(ConfigError) as caught:
        read_patterns(tmp_path, ["t1", "T2=x", "a=x", "a=y"])
    assert len(caught.value.findings) == 3
    table, roles = tmp_path / "centres.csv", Roles(("centre",), "id")
    drawn = read_patterns(tmp_path, ["t1={idd}.nii.gz"])
    with pytest.raises(ConfigError, match=r'no column "idd" \(did you mean "id"\?\)'):
        import_table(table, tmp_path / "o", roles, drawn=drawn)
    roles = Roles(("centre",), "id", only=("okk=1",))
    with pytest.raises(ConfigError, match="expected column=text"):
        import_table(table, tmp_path / "o", roles)
    drawn = read_patterns(tmp_path, ["t1={case}.nrrd"])
    with pytest.raises(ConfigError, match="finds no file"):
        import_files(drawn, tmp_path / "o")
