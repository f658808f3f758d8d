"""A deployed run: begin it, follow it, stop it, go on with it.

The ServerApp drives a run from its folder and journal; Flower knows it by a number that is
another after every resume. Both are noted beside the journal.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.study import study_hash
from server.arrays import write_file
from server.deploy.control import COMPLETED, FINISHED, STOPPED, Control
from server.deploy.follow import Follower
from server.deploy.home import Home, find_home
from server.deploy.offers import Offered, find_offer
from server.run import DEPLOYED, Run, create_run
from server.simulate import versions

_NOTE, _ENDED = DEPLOYED, "ended.json"
_SILENCE_S = 30.0
_ENDING_S = 0.5  # between the journal's last line and Flower's word that all is done
_POLL_S = 0.2
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ERROR = re.compile(r"[\w.]*(Error|Exception|UnderWay)\b")  # a traceback's last line
NOT_LOST = "nothing is lost: it goes on from its last round"
_TAKEN_DOWN = (
    f"the coordinator was taken down, and the run with it; {NOT_LOST}, "
    "once `consortium deploy up` runs again"
)

Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class DeployedRun:
    """A run of a deployment.

    Attributes:
        run: its folder.
        home: the coordinator.
    """

    run: Run
    home: Home

    def numbers(self) -> list[int]:
        """Return Flower's numbers of it, the latest last."""
        note = self.run.folder / _NOTE
        said = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
        return [int(begun["number"]) for begun in said.get("begun", [])]

    def status(self) -> str:
        """Return Flower's word for how it stands, or "not begun"."""
        numbers = self.numbers()
        return Control(self.home.link).status(numbers[-1]) if numbers else "not begun"

    def is_under_way(self) -> bool:
        """Tell whether it runs right now."""
        return self.status() not in {"not begun"} and not self.status().startswith(FINISHED)

    def begin(self) -> int:
        """Start it, or go on with it from its journal; return Flower's number.

        Raises:
            RuntimeError: it is under way, or could not be started.
            ConfigError: its study was not offered.
        """
        if self.is_under_way():
            raise RuntimeError(f"{self.run.id} is under way already; see: consortium status")
        offered = find_offer(self.home, self.run.study_hash)
        bundle, _ = offered.signed(self.home)
        note = {
            "deployment": str(self.home.folder),
            "bundle": bundle.sha256,
            "not_approved": missing_approvals(self.home, offered),
        }
        self._note(note, self.numbers())  # the ServerApp reads it as soon as it begins
        number = Control(self.home.link).begin(bundle, self.run.folder)
        self._note(note, [*self.numbers(), number])
        return number

    def _note(self, note: Mapping[str, Any], numbers: list[int]) -> None:
        when = datetime.now(UTC).isoformat(timespec="seconds")
        begun = [{"number": str(n)} for n in numbers]
        text = json.dumps({**note, "begun": begun, "last_begun": when}, indent=1)
        write_file(self.run.folder / _NOTE, text.encode())

    def stop(self) -> bool:
        """Stop it; sites let go of their work within seconds. Tell whether it ran."""
        numbers = self.numbers()
        return bool(numbers) and Control(self.home.link).stop(numbers[-1])

    def end_with_coordinator(self) -> None:
        """Stop it, as the coordinator is taken down, and leave word for whoever watches it."""
        self.stop()
        note = {"number": str(self.numbers()[-1])}
        write_file(self.run.folder / _ENDED, json.dumps(note).encode())

    def ended_with_coordinator(self) -> bool:
        """Tell whether its latest start ended because the coordinator was taken down."""
        note = self.run.folder / _ENDED
        said = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
        return bool(said) and int(said["number"]) == self.numbers()[-1]

    def log(self) -> str:
        """Return what its ServerApp has said, of every start, without a terminal's colours."""
        control = Control(self.home.link)
        return "".join(plain(control.log(number)) for number in self.numbers())

    def follow(
        self,
        tell: Tell,
        *,
        limit_s: float | None = None,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        """Follow it to its end; Flower is asked only when the journal is silent.

        Args:
            tell: told every event of its journal.
            limit_s: longest it may take.
            watch: called all the while; what it raises ends the following.

        Where Flower does not answer, `tell` is told so once: "away", and "back" after it.

        Raises:
            RuntimeError: it failed or was stopped; the message is for people.
            TimeoutError: it took longer than it may.
        """
        control, number = Control(self.home.link), self.numbers()[-1]
        end = time.monotonic() + limit_s if limit_s is not None else float("inf")
        journal = Follower(self.run.folder / "journal.jsonl")
        status, ask_at, pause = "", time.monotonic() + _SILENCE_S, _SILENCE_S
        flower = _Flower(control, number, tell)
        while not status.startswith(FINISHED):
            watch()
            for event in journal.news():
                tell(event)
                pause = _ENDING_S if event["event"] == "end" else _SILENCE_S
                ask_at = time.monotonic() + pause
            if time.monotonic() > end:
                raise TimeoutError(f"the run took too long; logs: {self.home.logs}")
            if self.ended_with_coordinator():
                raise RuntimeError(_TAKEN_DOWN)
            if time.monotonic() > ask_at:
                status, ask_at = flower.status(status), time.monotonic() + pause
            time.sleep(_POLL_S)
        said = plain(control.log(number))
        self.home.logs.mkdir(parents=True, exist_ok=True)
        (self.home.logs / f"run-{number}.log").write_text(said, encoding="utf-8")
        if status != COMPLETED:
            raise RuntimeError(_why(status, said, self.run.id))


def new_run(home: Home, study: str) -> DeployedRun:
    """Return a new run of a study that was offered; nothing has begun yet.

    Raises:
        ConfigError: the study was not offered, or a site has not enrolled.
    """
    offered = find_offer(home, study_hash(study))
    _, approvals = offered.signed(home)
    about = {
        "versions": versions(),
        "deployment": home.settings.name,
        "bundle": offered.about.bundle,
        "approved_by": sorted(approvals),
    }
    run = create_run(home.runs, study, home.roster_with_keys(), about)
    return DeployedRun(run, home)


def missing_approvals(home: Home, offered: Offered) -> list[str]:
    """Return the sites that have not sent an approval of this study and code."""
    _, approvals = offered.signed(home)
    return sorted(set(home.roster.sites) - set(approvals))


def find_deployed(folder: Path) -> DeployedRun | None:
    """Return the deployed run of a run's folder, or None where it is none of a deployment."""
    run = Run(folder.resolve())
    if "deployment" not in run.about:
        return None
    return DeployedRun(run, find_home(run.folder.parents[1]))


def plain(text: str) -> str:
    """Return text without the codes by which a terminal shows colours."""
    return _COLOURS.sub("", text)


def runs_under_way(home: Home) -> list[DeployedRun]:
    """Return the runs of a deployment that Flower has not finished."""
    begun = [DeployedRun(Run(path.parent), home) for path in sorted(home.runs.glob(f"*/{_NOTE}"))]
    numbers = Control(home.link).under_way() if begun else set()
    return [run for run in begun if run.numbers() and run.numbers()[-1] in numbers]


@dataclass
class _Flower:
    """Is asked how a run stands, and may be away for a while."""

    control: Control
    number: int
    tell: Tell
    is_away: bool = False

    def status(self, last: str) -> str:
        """Return Flower's word for how a run stands; the last one where nobody answers."""
        try:
            status = self.control.status(self.number)
        except RuntimeError:
            if not self.is_away:
                self.tell({"event": "away"})
            self.is_away = True
            return last
        if self.is_away:
            self.tell({"event": "back"})
        self.is_away = False
        return status


def _why(status: str, said: str, run: str) -> str:
    """Return in words how a run ended that was not completed, from what its ServerApp said."""
    if status == STOPPED:
        return f"the run was stopped by the coordinator; {NOT_LOST}"
    errors = [line for line in said.splitlines() if _ERROR.match(line)]
    last = errors[-1] if errors else "its process ended without a word, as when it is killed"
    return f"the run ended on an error: {last}\nall it said: consortium log {run}; {NOT_LOST}"
