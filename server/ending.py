"""How a run ended, in words: what has no answer, and whether going on may give it one."""

import json
from collections.abc import Mapping
from typing import Any

from common.errors import Reason
from server.journal import read_events
from server.report.words import BY_POLICY, by_cause, failure_in_words, reasons_of, some
from server.results import without_result
from server.run import Run, kept_by_policy

_STAYS = {str(reason) for reason in BY_POLICY - {Reason.STUDY_NOT_APPROVED}}


def unanswered(run: Run) -> dict[str, str]:
    """Return why parts of steps had no answer when a run last ended, by `step/part`.

    Empty while it goes on. What a site keeps to itself, as its policy says, is no gap.
    """
    events = read_events(run.folder / "journal.jsonl")
    ends: list[dict[str, Any]] = [e for e in events if e["event"] in {"end", "session"}]
    last = ends[-1] if ends else {}
    return {
        f"{step}/{part}": str(why)
        for step, parts in last.get("failed", {}).items()
        for part, why in parts.items()
        if not kept_by_policy({"problem": f"{step}/{part}", "why": why})
    }


def no_results(run: Run) -> dict[str, str]:
    """Return why steps that were answered have no result, by step."""
    path = run.folder / "answers.json"
    if not path.exists():
        return {}
    answers = json.loads(path.read_text(encoding="utf-8"))["answers"]
    return without_result(run.study.steps, answers)


def gaps_in_words(run: Run) -> str:
    """Return which steps have no result, which parts no answer, and how to go on; or ""."""
    alike = by_cause(no_results(run).items())
    empty = "; ".join(f"{some(steps)} ({why})" for why, steps in alike.items())
    said = [f"no result of {empty}"] if empty else []
    return "; ".join(filter(None, [*said, _unanswered_in_words(run)]))


def _unanswered_in_words(run: Run) -> str:
    gaps = unanswered(run)
    if not gaps:
        return ""
    alike = by_cause((name, failure_in_words(why)) for name, why in sorted(gaps.items()))
    said = "; ".join(f"{some(names)} ({why})" for why, names in alike.items())
    return f"no answer to {said}{_advice(run, gaps)}"


def _advice(run: Run, gaps: Mapping[str, str]) -> str:
    """Return how to go on: with this run where sites may answer yet, else with another study."""
    reasons = {reason for why in gaps.values() for reason in reasons_of(why)}
    if reasons - _STAYS:
        return f"; once enough sites can answer, go on with: {going_on(run)}"
    if not reasons:
        return ""
    return (
        "; going on with this run would end the same way: change the study, or what the site "
        "holds or allows, and run it anew"
    )


def going_on(run: Run) -> str:
    """Return the command that goes on with a run."""
    return f"consortium resume {run.folder}"
