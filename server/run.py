"""A run's folder: what was asked, of whom, and everything that came of it."""

import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from common.analyses.analysis import Answer
from common.errors import Reason
from common.settings import parse
from common.sites import Roster
from common.study import Study, read_study, study_hash
from server.arrays import write_file
from server.journal import read_events

KEPT_BY_POLICY = {
    Reason.PER_SITE_NOT_ALLOWED,
    Reason.ONLY_TOGETHER,
    Reason.OWN_SUMS_FOLLOW,
    Reason.CELL_TOO_SMALL,
    Reason.SELECTION_TOO_SMALL,
    Reason.DIFFERENCING,
}

DEPLOYED = "deployed.json"
"""What a deployment notes of a run: Flower's numbers of it, and who has not approved it."""

_ID = re.compile(r"[a-z0-9_-]{1,60}")


@dataclass(frozen=True)
class Run:
    """An existing run folder."""

    folder: Path

    @property
    def id(self) -> str:
        """The run's identifier: the folder's name."""
        return self.folder.name

    @cached_property
    def study(self) -> Study:
        """The study as it was when the run began."""
        return read_study(self._text("study.yaml"), str(self.folder / "study.yaml"), again=True)

    @cached_property
    def study_hash(self) -> str:
        """The sha256 by which sites approve the study."""
        return study_hash(self._text("study.yaml"))

    @cached_property
    def roster(self) -> Roster:
        """The roster as it was when the run began."""
        return parse(Roster, self._text("sites.yaml"), str(self.folder / "sites.yaml"))

    @cached_property
    def keys(self) -> dict[str, str]:
        """Public identity keys: of the roster, or those a simulation made."""
        made: dict[str, str] = self.about.get("keys", {})
        listed = {name: site.key for name, site in self.roster.sites.items() if site.key}
        return {**listed, **made}

    @cached_property
    def about(self) -> dict[str, Any]:
        """What `run.json` says: when, with which versions, how simulated."""
        about: dict[str, Any] = json.loads(self._text("run.json"))
        return about

    @property
    def unapproved(self) -> tuple[str, ...]:
        """Sites known not to have approved it, as it was when the run last began."""
        note = self.folder / DEPLOYED
        said = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
        return tuple(said.get("not_approved", ()))

    def write_answers(
        self, answers: dict[str, dict[str, Answer]], failed: dict[str, dict[str, str]]
    ) -> None:
        """Write `answers.json`: the numbers of every step and part, or why there are none."""
        steps = {
            step: {part: answers[step][part].values for part in sorted(answers[step])}
            for step in self.study.bound
            if step in answers
        }
        text = json.dumps({"answers": steps, "failed": failed}, indent=1, allow_nan=False)
        write_file(self.folder / "answers.json", text.encode())

    def losses(self) -> bool:
        """Tell whether sites or steps were lost since the run began, by its journal.

        A site that keeps its own numbers, as its policy says, is no loss.
        """
        events = read_events(self.folder / "journal.jsonl")
        lost = (e for e in events if e["event"] in {"lost", "failed", "absent"})
        return any(not kept_by_policy(e) for e in lost)

    def _text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


def kept_by_policy(event: dict[str, Any]) -> bool:
    """Tell whether an event only says that a site kept its own numbers, as its policy says."""
    said = str(event.get("reason") or event.get("why", "")).removeprefix("too few sites: ")
    alone = str(event.get("problem", "")).partition("/")[2].startswith("site.")
    return alone and said in KEPT_BY_POLICY


def create_run(runs: Path, study: str, sites: str, about: dict[str, Any]) -> Run:
    """Return a new run folder below `runs`.

    Args:
        runs: folder of all runs.
        study: text of the study file.
        sites: text of the roster.
        about: what to note beside it.
    """
    name = parse_name(study)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = runs / f"{name}-{stamp}-{secrets.token_hex(2)}"
    folder.mkdir(parents=True)
    write_file(folder / "study.yaml", study.encode())
    write_file(folder / "sites.yaml", sites.encode())
    write_file(folder / "run.json", json.dumps(about, indent=1).encode())
    return Run(folder)


def parse_name(study: str) -> str:
    """Return the study's name in a form fit for a folder."""
    name = read_study(study, "study.yaml").name.replace("_", "-")
    if not _ID.fullmatch(name):
        raise ValueError(f'study name: expected up to 60 of a-z, 0-9, _, got "{name}"')
    return name
