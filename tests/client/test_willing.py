"""A step that too few sites can answer stops a check; one refusing site does not."""

import pytest

from client.cases import Case
from client.cohorts import drawn
from client.willing import hopeless
from common.settings import parse
from common.sites import Roster
from common.study import Study, read_study

STUDY = """
name: few
cohort: {columns: {age: {type: integer, range: [0, 99]}, sick: {type: category, levels: [a, b]}}}
steps:
  table: {kind: describe, of: [age], over: [development, each]}
  lasso: {kind: lasso, outcome: sick, of: [age], folds: FOLDS}
  own: {kind: describe, of: [age], over: [each]}
"""


def cohort(study: Study, n: int) -> tuple[Case, ...]:
    return drawn(
        study,
        [Case(f"c{i}", f"p{i}", "", "", {}, {}, {"age": 50.0, "sick": i % 2}) for i in range(n)],
    )


@pytest.mark.parametrize(
    ("folds", "patients", "policy", "quorum", "stops"),
    [
        (3, (20, 20, 20), "", 3, {}),
        (
            20,
            (20, 20, 20),
            "",
            3,
            {"lasso": "0 of 3 sites would answer, and a sum needs 3"},
        ),
        # of the sites left each asks for more patients in a fold, and for three sites
        (10, (60, 60, 11), "", 2, {"lasso": "c: 11 patients in 10 folds"}),
        (10, (60, 60, 60, 11), "", 3, {}),
        (3, (20, 20, 9), "", 3, {"lasso": "c: 9 patients fit the study, its policy asks for 10"}),
        (3, (20, 20, 20), "columns: [age]", 3, {"lasso": 'a: its policy does not open "sick"'}),
        (3, (20, 20), "", 2, {"lasso": "its policy asks for sums of 3 sites, and 2 are left"}),
    ],
)
def test_what_too_few_will_answer_cannot_have_a_result(
    folds: int, patients: tuple[int, ...], policy: str, quorum: int, stops: dict[str, str]
) -> None:
    study = read_study(STUDY.replace("FOLDS", str(folds)), "s.yaml")
    names = "abcd"[: len(patients)]
    sites = "".join(
        f"  {name}: {{simulate: {{cohort: x, policy: {{per_site: true, {policy}}}}}}}\n"
        for name in names
    )
    roster = parse(Roster, f"sites:\n{sites}quorum: {quorum}\n", "sites.yaml")
    cases = {name: cohort(study, n) for name, n in zip(names, patients, strict=True)}
    found = {one.step: one.text for one in hopeless(study, roster, cases)}
    assert found.keys() == stops.keys()
    assert all(words in found[step] for step, words in stops.items())
