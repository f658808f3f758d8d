"""What a run folder says, read without touching it: the run may still be going."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from common.analyses.analysis import APPLY
from common.sites import POOLED, Roster
from server.run import Run

Event = Mapping[str, Any]
Answers = dict[str, dict[str, dict[str, Any]]]
Failures = dict[str, dict[str, str]]


@dataclass
class RoundLine:
    """One round as the journal tells it.

    Attributes:
        at_once: how many sites could work at the same time, where the journal says so.
        lost: by site the reason of every problem it gave no sums for.
    """

    number: int
    problems: tuple[str, ...] = ()
    seconds: float | None = None
    bytes_up: int | None = None
    bytes_down: int | None = None
    work_s: dict[str, float] = field(default_factory=dict)
    at_once: int | None = None
    asked: dict[str, set[str]] = field(default_factory=dict)
    lost: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """A run's journal and answers.

    Attributes:
        run: its folder.
        events: of its journal.
        unshown: steps and sections that the page had to leave out, as it is made.
    """

    run: Run
    events: tuple[Event, ...]
    unshown: list[str] = field(default_factory=list)

    @cached_property
    def answers(self) -> Answers:
        """Values by step and part: of the journal, and of `answers.json` beside it."""
        found: Answers = {}
        for step, parts in _entries(_answers_file(self.run).get("answers")):
            for part, values in _entries(parts):
                found.setdefault(step, {})[part] = dict(values)
        for event in self.of("answer"):
            step, part = split_problem(event)
            found.setdefault(step, {})[part] = dict(event.get("values", {}))
        return found

    @cached_property
    def failed(self) -> Failures:
        """Why there is no answer, by step and part; part "" where none was begun."""
        found: Failures = {}
        for event in self.of("failed"):
            step, part = split_problem(event)
            found.setdefault(step, {})[part] = str(event.get("why", ""))
        for step, parts in found.items():
            answered = self.answers.get(step, {})
            # A step that could not begin in one session may have been answered in the next.
            for part in [p for p in parts if p in answered or (not p and answered)]:
                del parts[part]
        return {step: parts for step, parts in found.items() if parts}

    @property
    def ended(self) -> bool:
        """Whether the run came to its end, after its last start."""
        marks = [e["event"] for e in self.events if e["event"] in ("session", "end")]
        return bool(marks) and marks[-1] == "end"

    @cached_property
    def rounds(self) -> tuple[RoundLine, ...]:
        """Every round, with what it cost and who gave nothing."""
        return _Reader(self.run).read(self.events)

    def of(self, *kinds: str) -> Iterator[Event]:
        """Return the events of some kinds, in order."""
        return (event for event in self.events if event["event"] in kinds)

    def sites_of(self, problem: str) -> tuple[str, ...]:
        """Return the sites behind a problem's last total, else those of its part."""
        totals = [e for e in self.of("total") if e.get("problem") == problem]
        if totals and "sites" in totals[-1]:
            return tuple(totals[-1]["sites"])
        return group_of(problem, self.run.roster)


def read_record(run: Run) -> Record:
    """Return what a run folder says; lines that cannot be read are passed over."""
    path = run.folder / "journal.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return Record(run, tuple(event for event in map(_event, lines) if event is not None))


def split_problem(event: Event) -> tuple[str, str]:
    """Return step and part of an event's problem."""
    step, _, part = str(event.get("problem", "")).partition("/")
    return step, part


def group_of(problem: str, roster: Roster) -> tuple[str, ...]:
    """Return the sites that a problem asks, by its part."""
    part = problem.partition("/")[2]
    _, _, site = part.partition(".")
    if site:
        return (site,)
    groups = {"development": roster.developing, "external": roster.external}
    everyone = tuple(sorted(roster.sites))
    return (POOLED,) if part == POOLED else groups.get(part, everyone)


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _answers_file(run: Run) -> Mapping[str, Any]:
    path = run.folder / "answers.json"
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _entries(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


@dataclass
class _Reader:
    """Follows who is still in which problem, event by event."""

    run: Run
    lines: dict[int, RoundLine] = field(default_factory=dict)
    out: set[tuple[str, str]] = field(default_factory=set)
    now: RoundLine | None = None
    at_once: int | None = None

    def read(self, events: tuple[Event, ...]) -> tuple[RoundLine, ...]:
        for event in events:
            kind = event["event"]
            if kind == "round":
                self._begin(event)
            elif kind == "session":
                self.out = {pair for pair in self.out if not self._elastic(pair[0])}
                self.at_once = event.get("at_once")
            elif kind == "left_out":
                self.out.add((str(event.get("problem")), str(event.get("site"))))
            elif kind == "lost":
                self._lose(event)
            elif kind == "exchanged" and self.now is not None:
                self.now.seconds = event.get("seconds")
                self.now.work_s = dict(event.get("work_s", {}))
                self.now.bytes_up = event.get("bytes_up")
                self.now.bytes_down = event.get("bytes_down")
        return tuple(self.lines.values())

    def _begin(self, event: Event) -> None:
        problems = tuple(event.get("problems", ()))
        line = RoundLine(int(event.get("round", 0)), problems, at_once=self.at_once)
        for problem in problems:
            for site in group_of(problem, self.run.roster):
                if (problem, site) not in self.out:
                    line.asked.setdefault(site, set()).add(problem)
        self.now = self.lines[line.number] = line

    def _lose(self, event: Event) -> None:
        problem, site = str(event.get("problem", "")), str(event.get("site", ""))
        if self.now is not None:
            lost = self.now.lost.setdefault(site, {})
            lost[problem] = str(event.get("reason", ""))
        if not self._elastic(problem):
            self.out.add((problem, site))

    def _elastic(self, problem: str) -> bool:
        """Return whether a site that failed once is asked again in the next round."""
        step, _, part = problem.partition("/")
        kind = getattr(self.run.study.bound.get(step), "kind", "")
        return part == APPLY or kind in ("train", "predict")
