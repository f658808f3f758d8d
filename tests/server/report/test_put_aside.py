"""How many cases a run says it put aside."""

from server.report.kinds.put_aside import told


def test_a_run_ends_by_saying_how_many_cases_were_put_aside() -> None:
    counts = {"n_screened": 30, "n_in_cohort": 28, "n_cases": 28, "done": 27, "failed": 1}
    whole = {"n_cases": 9, "done": 9, "failed": 0}
    answers = {"radiomics": {"all": counts}, "deep": {"all": whole}, "predicted": {"all": {"n": 3}}}
    assert list(told(answers)) == ["radiomics: 27 of 30 cases done, 3 put aside"]


def test_cases_that_a_step_is_not_about_are_not_put_aside() -> None:
    values = {"n_screened": 210, "n_in_cohort": 210, "n_cases": 105, "done": 74, "failed": 31}
    answers = {"features": {"all": values}}
    assert list(told(answers)) == ["features: 74 of 105 cases done, 31 put aside"]
    done = {**values, "done": 105, "failed": 0}
    assert not list(told({"features": {"all": done}}))
