"""What a run says on the terminal: what many steps have alike is one line."""

import io

from rich.console import Console
from rich.progress import Progress

from common.study import read_study
from server.display import _Display
from tests.runs import STUDY


def test_one_refusal_of_many_steps_is_one_line() -> None:
    out = io.StringIO()
    with Progress(console=Console(file=out, width=400)) as progress:
        display = _Display(progress, read_study(STUDY, "study.yaml"))
        for i in range(64):
            lost = {"site": "east", "reason": "column_not_allowed", "problem": f"s{i}/all"}
            display({"event": "lost", **lost})
        for i in range(3):
            display(
                {"event": "failed", "problem": f"s{i}/", "why": "needs a, which gave no answer"}
            )
        assert not out.getvalue().strip()
        display({"event": "end", "failed": {}})
    lines = [line.strip() for line in out.getvalue().splitlines() if line.strip()]
    assert lines[0].startswith("east gave no answer to s0/all, s1/all, s2/all, s3/all and 60 more:")
    assert lines[1] == "no answer to s0, s1, s2: needs a, which gave no answer"
    assert len(lines) == 2


def test_a_cause_is_told_once_whatever_comes_between_and_named_later_by_its_first_step() -> None:
    out = io.StringIO()
    why = "ValueError: a column does not vary"
    with Progress(console=Console(file=out, width=400)) as progress:
        display = _Display(progress, read_study(STUDY, "study.yaml"))
        for i in range(6):
            display({"event": "failed", "problem": f"model_{i}/all", "why": why})
            display({"event": "total", "problem": "table_1/all"})
        display({"event": "round", "round": 2, "problems": []})
        display({"event": "failed", "problem": "late/all", "why": why})
        display({"event": "end", "failed": {}})
    lines = [line.strip() for line in out.getvalue().splitlines() if line.strip()]
    models = ", ".join(f"model_{i}/all" for i in range(4))
    assert lines == [
        f"no answer to {models} and 2 more: {why}",
        "no answer to late/all: as to model_0/all",
    ]


def test_a_failure_that_follows_from_a_refusal_does_not_say_it_again() -> None:
    out = io.StringIO()
    with Progress(console=Console(file=out, width=400)) as progress:
        display = _Display(progress, read_study(STUDY, "study.yaml"))
        lost = {"site": "abroad", "reason": "per_site_not_allowed", "problem": "a/external"}
        display({"event": "lost", **lost})
        why = "too few sites: per_site_not_allowed"
        display({"event": "failed", "problem": "a/external", "why": why})
        display({"event": "end", "failed": {}})
    lines = [line.strip() for line in out.getvalue().splitlines() if line.strip()]
    assert lines[0].startswith("abroad gave no answer to a/external: the hospital releases no")
    assert lines[1:] == ["no answer to a/external: for that reason"]
