"""A deployed run: begin it, follow it, stop it, go on with it.

The ServerApp drives a run from its folder and journal; Flower knows it by a number that is
another after every resume. Both are noted beside the journal.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.study import study_hash
from server.arrays import write_file
from server.deploy.control import COMPLETED, FINISHED, Control
from server.deploy.follow import Follower
from server.deploy.home import Home, find_home
from server.deploy.offers import Offered, find_offer
from server.run import Run, create_run
from server.simulate import versions

_NOTE = "deployed.json"
_SILENCE_S = 30.0
_ENDING_S = 0.5  # between the journal's last line and Flower's word that all is done
_POLL_S = 0.2
_LAST_WORDS = 2000

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
        bundle, _ = find_offer(self.home, self.run.study_hash).signed(self.home)
        number = Control(self.home.link).begin(bundle, self.run.folder)
        begun = [*self.numbers(), number]
        when = datetime.now(UTC).isoformat(timespec="seconds")
        note = {
            "deployment": str(self.home.folder),
            "bundle": bundle.sha256,
            "begun": [{"number": str(n)} for n in begun],
            "last_begun": when,
        }
        write_file(self.run.folder / _NOTE, json.dumps(note, indent=1).encode())
        return number

    def stop(self) -> bool:
        """Stop it; sites let go of their work within seconds. Tell whether it ran."""
        numbers = self.numbers()
        return bool(numbers) and Control(self.home.link).stop(numbers[-1])

    def log(self) -> str:
        """Return what its ServerApp has said, of every start."""
        control = Control(self.home.link)
        return "".join(control.log(number) for number in self.numbers())

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

        Raises:
            RuntimeError: it failed or was stopped.
            TimeoutError: it took longer than it may.
        """
        control, number = Control(self.home.link), self.numbers()[-1]
        end = time.monotonic() + limit_s if limit_s is not None else float("inf")
        journal = Follower(self.run.folder / "journal.jsonl")
        status, ask_at, pause = "", time.monotonic() + _SILENCE_S, _SILENCE_S
        while not status.startswith(FINISHED):
            watch()
            for event in journal.news():
                tell(event)
                pause = _ENDING_S if event["event"] == "end" else _SILENCE_S
                ask_at = time.monotonic() + pause
            if time.monotonic() > end:
                raise TimeoutError(f"the run took too long; logs: {self.home.logs}")
            if time.monotonic() > ask_at:
                status, ask_at = _asked(control, number, status), time.monotonic() + pause
            time.sleep(_POLL_S)
        said = control.log(number)
        self.home.logs.mkdir(parents=True, exist_ok=True)
        (self.home.logs / f"run-{number}.log").write_text(said, encoding="utf-8")
        if status != COMPLETED:
            raise RuntimeError(f"the run ended as {status}:\n{said[-_LAST_WORDS:]}")


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


def _asked(control: Control, number: int, last: str) -> str:
    """Return Flower's word for how a run stands; the last one where nobody answers."""
    try:
        return control.status(number)
    except RuntimeError:
        return last
