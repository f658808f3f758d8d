"""What a check says to people: a column once, rows of one patient, codes that may be values."""

from pathlib import Path

import pytest

from client.cases import Case
from client.check import check
from client.check_rows import several_rows
from client.check_words import in_words
from common.cohort import Cohort
from common.doubtful_codes import doubtful_codes
from common.errors import ConfigError
from common.study import Study, read_study

COHORT = """
cohort:
  columns:
    age: {type: integer, range: [18, 100], unit: years}
    sex: {type: category, levels: [f, m]}
"""
STUDY = f"""
name: s
{COHORT}
steps:
  table1: {{kind: describe, of: [age, sex]}}
  model: {{kind: logistic, outcome: sex, models: {{m: [age]}}}}
  women: {{kind: moments, of: [age], cases: {{where: {{sex: [f]}}}}}}
"""


def study() -> Study:
    return read_study(STUDY, "study.yaml")


def write(folder: Path, ages: list[str]) -> None:
    lines = [f"c{i},p{i},{age},{'fm'[i % 2]}" for i, age in enumerate(ages)]
    (folder / "cohort.csv").write_text("\n".join(["case_id,patient_id,age,sex", *lines]))


def test_a_bad_column_is_one_line_with_its_rows_and_steps(tmp_path: Path) -> None:
    write(tmp_path, ["17"] * 64 + ["40"] * 20)
    ((line, warning),) = in_words(study(), tmp_path, check(study().cohort, tmp_path))
    assert not warning
    assert '64 cases: "age": expected 18 to 100 years, got 17 (rows 2, 3, 4, ' in line
    assert line.endswith("and 44 more); read by steps table1, model, women")


def test_few_mistakes_keep_their_own_lines(tmp_path: Path) -> None:
    write(tmp_path, ["17", "x", "12"] + ["40"] * 20)
    found = [line for line, _ in in_words(study(), tmp_path, check(study().cohort, tmp_path))]
    assert len(found) == 3
    assert any('row 3 (c1): "age": expected an integer' in line for line in found)


def test_different_mistakes_of_a_column_are_examples(tmp_path: Path) -> None:
    write(tmp_path, [str(i) for i in range(10)] + ["40"] * 20)
    ((line, _),) = in_words(study(), tmp_path, check(study().cohort, tmp_path))
    assert "got 0; expected" in line
    assert "and 7 more like these (rows 2, 3," in line


def case(i: int, patient: str, sex: float) -> Case:
    values = {"age": 50.0, "sex": sex}
    return Case(f"c{i}", patient, "train", "", {}, {}, values)


def test_several_rows_of_a_patient_are_told_with_the_steps() -> None:
    twice = tuple(case(i, f"p{i // 2}", float(i % 2)) for i in range(40))
    once = tuple(case(i, f"p{i}", float(i % 2)) for i in range(20))
    (said,) = several_rows(study(), {"north": twice, "south": once})
    assert said.startswith("60 cases of 40 patients: several cases of a patient count as ")
    assert "in step model: as far as they are alike" in said
    assert not [*several_rows(study(), {"north": once, "south": once})]


@pytest.mark.parametrize(
    ("column", "code", "doubtful"),
    [
        ("{type: number, range: [0, 120]}", "99", True),
        ("{type: number, range: [0, 90]}", "99", False),
        ("{type: number}", "-9", True),
        ("{type: integer, range: [0, 9]}", "1.5", False),
        ("{type: number, range: [0, 9]}", "unknown", False),
        ("{type: number, range: [0, 9]}", "nan", False),
        ("{type: category, levels: [a, b]}", "9", False),
    ],
)
def test_a_code_for_missing_that_may_be_a_value_is_told(
    column: str, code: str, doubtful: bool
) -> None:
    form = column.replace("}", f', missing: ["", "{code}"]}}')
    read = read_study(f"name: s\ncohort: {{columns: {{x: {form}}}}}\n{_STEPS}", "s")
    found = [*doubtful_codes(read.cohort)]
    assert bool(found) == doubtful
    assert all(path == ("cohort", "columns", "x", "missing") for path, _ in found)


_STEPS = "steps: {flow: {kind: check_cohort}}\n"


def test_the_codes_that_stand_for_nothing_by_default_are_not_doubted() -> None:
    assert not [*doubtful_codes(Cohort.model_validate({"columns": {"x": {"type": "number"}}}))]


def test_an_unknown_column_of_many_steps_is_one_line() -> None:
    steps = "".join(f"  s{i}: {{kind: moments, of: [agee]}}\n" for i in range(30))
    with pytest.raises(ConfigError) as caught:
        read_study(f"name: s\n{COHORT}\nsteps:\n{steps}", "study.yaml")
    (finding,) = caught.value.findings
    assert finding.path == "steps.s0"
    assert 'unknown column "agee" (did you mean "age"?); also at steps.s1 (line ' in str(finding)
    assert str(finding).endswith(", 9 more")
