"""How the run went, in one line, and its key numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from server.report.blocks import Tone
from server.report.numbers import NONE, is_number, plural, seconds, size, whole
from server.report.record import Event, Record
from server.report.words import (
    by_cause,
    failure_in_words,
    is_policy,
    listed,
    reason_of,
    reasons_of,
    some,
)
from server.results import why_no_result, without_result


@dataclass(frozen=True)
class Outcome:
    """The line below the title."""

    tone: Tone
    mark: str
    text: str


def outcome_of(record: Record) -> Outcome:
    """Return how a run stands or ended."""
    steps = list(record.run.study.steps)
    without = [step for step in steps if not record.answers.get(step)]
    if not record.ended:
        return Outcome("warn", "Not finished.", _unfinished(record, steps, without))
    if len(without) == len(steps):
        return Outcome("bad", "Failed.", "No step of the study gave an answer.")
    if without:
        text = f"No answer from {plural(len(without), 'step')}: {listed(without)}."
        return Outcome("bad", "Finished with failures.", f"{text} {_troubles(record)}")
    if empty := without_result(steps, record.answers):
        return _without_result(empty, steps, record)
    if n_deviations(record):
        return Outcome("warn", "Finished with deviations.", _troubles(record))
    kept = [why for parts in record.failed.values() for why in parts.values()]
    if any(not _by_policy(why) for why in kept):
        text = f"{plural(len(kept), 'part of a step', 'parts of steps')} gave no answer."
        return Outcome("warn", "Finished with deviations.", text)
    text = "Every step was answered by every site it asked."
    if kept:
        why = "; ".join(dict.fromkeys(map(failure_in_words, kept)))
        text = f"Every step was answered. Some sites' own numbers are not shown: {why}."
    return Outcome("good", "Finished.", text + _some_without_result(record))


def _without_result(empty: Mapping[str, str], steps: list[str], record: Record) -> Outcome:
    """Say that steps were answered by a reason only."""
    said = "; ".join(f"{some(of)} ({why})" for why, of in by_cause(empty.items()).items())
    if len(empty) == len(steps):
        return Outcome("bad", "Failed.", f"No step of the study gave a result: {said}.")
    text = f"{plural(len(empty), 'step')} gave no result: {said}."
    if n_deviations(record):
        text = f"{text} {_troubles(record)}"
    return Outcome("bad", "Finished with failures.", text)


def _some_without_result(record: Record) -> str:
    """Say of which steps some sites' own numbers, or those of one group, hold no result."""
    steps = [
        step
        for step in record.run.study.steps
        if any(map(why_no_result, record.answers.get(step, {}).values()))
    ]
    if not steps:
        return ""
    return f" Of {listed(steps)} some sites or groups of sites have no result; each says why."


def key_numbers(record: Record) -> list[tuple[str, str]]:
    """Return terms and values for the head of the page."""
    roster, rounds = record.run.roster, record.rounds
    spent = [r.seconds for r in rounds if is_number(r.seconds)]
    carried = [(r.bytes_up or 0) + (r.bytes_down or 0) for r in rounds if is_number(r.bytes_up)]
    keys = [
        ("Developing sites", whole(len(roster.developing))),
        ("External sites", whole(len(roster.external))),
    ]
    if n := _n_cases(record):
        keys.append(("Cases, developing sites", whole(n)))
    keys.append(("Rounds", whole(len(rounds))))
    if spent:
        keys.append(("Time in rounds", seconds(sum(s for s in spent if s is not None))))
    if carried:
        keys.append(("Data carried", size(sum(carried))))
    if events := record.events:
        keys.append(("Started", day_of(events[0])))
    return keys


def _n_cases(record: Record) -> int | None:
    """Return how many cases of the developing sites are in the study, where that is known.

    Steps may look at some of the cases only: then the check of the cohort knows, or else
    the step that looked at most of them.
    """
    parts = ["development"] if record.run.roster.external else ["development", "all"]
    checked: list[Any] = []
    seen: list[Any] = []
    for answers in record.answers.values():
        for values in (answers[p] for p in parts if p in answers):
            found = checked if "n_included" in values else seen
            found.append(values.get("n_included", values.get("n")))
    counts = [int(n) for n in checked or seen if n is not None and is_number(n)]
    return max(counts, default=None)


def n_deviations(record: Record) -> int:
    """Return how often something happened that no policy asked for."""
    lost = [e for e in record.of("lost") if not is_policy(reason_of(e))]
    return len(lost) + len(list(record.of("absent", "left_out", "restart")))


def day_of(event: Event) -> str:
    """Return the day of an event, in universal time."""
    time = event.get("time")
    return _date(time).strftime("%Y-%m-%d") if isinstance(time, int | float) else NONE


def minute_of(event: Event) -> str:
    """Return the minute of an event, in universal time."""
    time = event.get("time")
    if not isinstance(time, int | float):
        return NONE
    return _date(time).strftime("%Y-%m-%d %H:%M UTC")


def _date(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)


def _unfinished(record: Record, steps: list[str], without: list[str]) -> str:
    done = f"{len(steps) - len(without)} of {plural(len(steps), 'step')} answered so far"
    if not record.events:
        return f"The run has not begun; {done}."
    return (
        f"The last entry of its journal is of {minute_of(record.events[-1])}: the run is "
        f"still going, or was cut off and can be resumed. {done[0].upper()}{done[1:]}."
    )


def _by_policy(why: str) -> bool:
    reasons = reasons_of(why)
    return bool(reasons) and all(map(is_policy, reasons))


def _troubles(record: Record) -> str:
    troubled = [
        *(e for e in record.of("lost") if not is_policy(reason_of(e))),
        *record.of("absent", "left_out"),
    ]
    sites = sorted({str(e.get("site", "")) for e in troubled})
    if not sites:
        return "See Deviations."
    return f"Not every site took part throughout: {listed(sites)}; see Deviations."
