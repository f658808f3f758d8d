"""A run on the terminal: one line a step with round, loss, score and time to go."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from common.study import Study
from common.tasks.train import Train
from server.progress import listening
from server.report.words import (
    failure_in_words,
    loss_in_words,
    reason_in_words,
    reason_of,
    some,
)

_NAMED = 4  # parts of steps that one line names
_NO_ANSWER = "[red]no answer to"
_AMID = ("lost", "failed", "total", "answer", "checkpoint")
"""Events between which a round's troubles go on: what they have alike is one line."""


@contextmanager
def shown(study: Study, *, as_json: bool) -> Iterator[None]:
    """Show a run's events while the context lasts: a display, or JSON lines."""
    if as_json:
        with listening(_print_json):
            yield
        return
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        display = _Display(progress, study)
        try:
            with listening(display):
                yield
        finally:
            display.tell_troubles()


def _print_json(event: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps({"time": round(time.time(), 3), **event}) + "\n")
    sys.stdout.flush()


@dataclass
class _Display:
    """Turns events into progress bars and lines above them."""

    progress: Progress
    study: Study
    bars: dict[str, TaskID] = field(default_factory=dict)
    leading: dict[str, str] = field(default_factory=dict)
    troubles: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    told: dict[tuple[str, str], str] = field(default_factory=dict)
    losses: set[str] = field(default_factory=set)

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["event"] not in _AMID:
            self.tell_troubles()
        handler = getattr(self, f"_{event['event']}", None)
        if handler is not None:
            handler(event)

    def _joined(self, event: Mapping[str, Any]) -> None:
        self.progress.console.print(f"joined: {event['site']}")

    def _waiting(self, event: Mapping[str, Any]) -> None:
        self.progress.console.print(
            f"waiting for {event['site']}, {event.get('wait_s', 0):g} s at most"
        )

    def _refused(self, event: Mapping[str, Any]) -> None:
        who = event["site"] or "somebody unknown"
        self.progress.console.print(f"{who} refuses: {reason_in_words(str(event['why']))}")

    def _absent(self, event: Mapping[str, Any]) -> None:
        self.progress.console.print(f"[red]did not join: {event['site']}")

    def _away(self, event: Mapping[str, Any]) -> None:
        text = "the coordinator does not answer; is `consortium deploy up` running?"
        self.progress.console.print(f"[yellow]{text} Ctrl-C ends this watching alone")

    def _back(self, event: Mapping[str, Any]) -> None:
        self.progress.console.print("the coordinator answers again")

    def _lost(self, event: Mapping[str, Any]) -> None:
        why = f"{loss_in_words(event)} ({reason_of(event)})"
        self.losses.add(loss_in_words(event))
        self._trouble(f"[yellow]{event['site']} gave no answer to", why, str(event["problem"]))

    def _left_out(self, event: Mapping[str, Any]) -> None:
        self.progress.console.print(f"[red]{event['site']} is left out of {event['problem']}")

    def _failed(self, event: Mapping[str, Any]) -> None:
        self._trouble(_NO_ANSWER, failure_in_words(event["why"]), _named(event))

    def _trouble(self, what: str, why: str, problem: str) -> None:
        self.troubles.setdefault((what, why), []).append(problem)

    def tell_troubles(self) -> None:
        """Print what went wrong since last: one line for what many parts of steps have alike.

        A cause that was told in an earlier round is not told again.
        """
        for (what, why), problems in self.troubles.items():
            named = list(dict.fromkeys(problems))
            before = self.told.setdefault((what, why), named[0])
            as_said = why if before == named[0] else f"as to {before}"
            if what == _NO_ANSWER and why in self.losses:  # a site's line has just said it
                as_said = "for that reason"
            self.progress.console.print(f"{what} {some(named, _NAMED)}: {as_said}")
        self.troubles.clear()
        self.losses.clear()

    def _round(self, event: Mapping[str, Any]) -> None:
        for problem in event["problems"]:
            step = _step(problem)
            if step not in self.bars:
                total = self._rounds(step)
                self.bars[step] = self.progress.add_task(step, total=total, note="")
                self.leading[step] = problem

    def _total(self, event: Mapping[str, Any]) -> None:
        """Go on by one round; a step's first part leads, its other parts keep pace."""
        step = _step(event["problem"])
        if self.leading.get(step) == event["problem"]:
            bar = self.bars[step]
            self.progress.update(bar, advance=1, note=_note(event.get("line") or {}))
            if not isinstance(self.study.bound[step], Train):  # nobody knows how many
                self.progress.update(bar, total=self._done(bar) + 1)

    def _checkpoint(self, event: Mapping[str, Any]) -> None:
        """Go on by a round of a training that another process drives: its journal says so."""
        history = event.get("values", {}).get("history") or [{}]
        self._total({"problem": event["problem"], "line": history[-1]})

    def _answer(self, event: Mapping[str, Any]) -> None:
        step = _step(event["problem"])
        if self.leading.get(step) == event["problem"]:
            bar = self.bars[step]
            trains = isinstance(self.study.bound[step], Train)
            done = self._rounds(step) if trains else self._done(bar) + 1
            self.progress.update(bar, total=done, completed=done)

    def _done(self, bar: TaskID) -> float:
        return next(task.completed for task in self.progress.tasks if task.id == bar)

    def _rounds(self, name: str) -> int:
        step = self.study.bound[name]
        return step.rounds + 1 if isinstance(step, Train) else 1


def _named(event: Mapping[str, Any]) -> str:
    return str(event["problem"]).removesuffix("/")  # of no part where it was never begun


def _step(problem: str) -> str:
    return problem.partition("/")[0]


def _note(line: Mapping[str, Any]) -> str:
    parts = [f"loss {line['loss']:.4f}"] if "loss" in line else []
    scores = line.get("score") or {}
    if scores:
        parts.append(f"score {sum(scores.values()) / len(scores):.4f}")
    return "  ".join(parts)
