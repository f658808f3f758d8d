"""The coordinator's record of a run, from which it goes on after a crash.

`journal.jsonl` has a line for every ask, total, refusal, checkpoint and answer, flushed
before the run goes on. Totals lie beside it: a fresh generator is fed from them and asks
nobody twice. Training begins again at its last checkpoint instead.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.analyses.analysis import Answer, Ask, State
from common.sums import Array, Sums
from server.arrays import read_arrays, write_arrays


class Journal:
    """Append-only; opening an existing one reads what there is to go on from.

    Only who drives the run opens it: a last line cut off by a crash is taken away.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _mend(folder / "journal.jsonl")
        self.events = read_events(folder / "journal.jsonl")
        self._totals: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        self._checkpoints: dict[str, dict[str, Any]] = {}
        self._answers: dict[str, dict[str, Any]] = {}
        self.number = 0
        for event in self.events:
            self._take(event)

    def write(self, event: str, **entry: object) -> None:
        """Append one line and flush it to the disk."""
        line = {"time": round(time.time(), 3), "event": event, **entry}
        with (self.folder / "journal.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.events.append(line)
        self._take(line)

    def keep_total(
        self, problem: str, turn: int, ask: Ask, group: tuple[str, ...], sums: Sums
    ) -> None:
        """Keep the total of an ask that has no checkpoint."""
        name = f"totals/{_file(problem)}-{turn}.safetensors"
        sha = write_arrays(self.folder / name, sums)
        self.write(
            "total",
            problem=problem,
            turn=turn,
            ask=ask.digest(),
            sites=group,
            file=name,
            sha256=sha,
        )

    def total(self, problem: str, turn: int, ask: Ask) -> tuple[tuple[str, ...], Sums] | None:
        """Return the sites and sums of a total kept for this very ask, if there is one."""
        entry = self._totals[problem].get(turn)
        if entry is None or entry["ask"] != ask.digest():
            return None
        return tuple(entry["sites"]), read_arrays(self.folder / entry["file"], entry["sha256"])

    def forget_unless_whole(self, problem: str) -> None:
        """Forget the last total and the answer of a problem to which a site gave nothing."""
        mine = [e["event"] for e in self.events if e.get("problem") == problem]
        while mine and mine[-1] != "total":
            mine.pop()
        if mine[-2:-1] == ["lost"]:
            self._totals.pop(problem, None)
            self._answers.pop(problem, None)

    def keep_checkpoint(self, problem: str, turn: int, state: State) -> None:
        """Keep the state from which a problem can begin at its `turn`-th ask."""
        old = self._checkpoints.get(problem)
        name = f"checkpoints/{_file(problem)}-{turn}.safetensors"
        sha = write_arrays(self.folder / name, state.arrays)
        self.write(
            "checkpoint",
            problem=problem,
            turn=turn,
            values=dict(state.values),
            file=name,
            sha256=sha,
        )
        if old is not None and old["file"] != name:
            (self.folder / old["file"]).unlink(missing_ok=True)

    def checkpoint(self, problem: str) -> tuple[int, State] | None:
        """Return turn and state of a problem's last checkpoint, if there is one."""
        entry = self._checkpoints.get(problem)
        if entry is None:
            return None
        arrays = read_arrays(self.folder / entry["file"], entry["sha256"])
        return int(entry["turn"]), State(entry["values"], arrays)

    def keep_answer(self, problem: str, answer: Answer) -> None:
        """Keep how a problem ended."""
        entry: dict[str, Any] = {"problem": problem, "values": dict(answer.values)}
        if answer.arrays:
            name = f"checkpoints/{_file(problem)}.safetensors"
            sha = write_arrays(self.folder / name, answer.arrays)
            entry |= {"file": name, "sha256": sha}
        self.write("answer", **entry)

    def answer(self, problem: str) -> Answer | None:
        """Return how a problem ended, if it has."""
        entry = self._answers.get(problem)
        if entry is None:
            return None
        arrays: Mapping[str, Array] = {}
        if "file" in entry:
            arrays = read_arrays(self.folder / entry["file"], entry["sha256"])
        return Answer(entry["values"], arrays)

    def _take(self, event: Mapping[str, Any]) -> None:
        problem = event.get("problem", "")
        self.number = max(self.number, int(event.get("round", 0)))
        if event["event"] == "total":
            self._totals[problem][event["turn"]] = dict(event)
        elif event["event"] == "restart":
            self._totals.pop(problem, None)
        elif event["event"] == "checkpoint":
            self._checkpoints[problem] = dict(event)
        elif event["event"] == "answer":
            self._answers[problem] = dict(event)


def _file(problem: str) -> str:
    return problem.replace("/", "@")


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return the events; not a last line that a crash cut off, or that is being written."""
    if not path.exists():
        return []
    data = path.read_bytes()
    return [json.loads(line) for line in data[: _whole(data)].splitlines()]


def _mend(path: Path) -> None:
    data = path.read_bytes() if path.exists() else b""
    if _whole(data) < len(data):
        with path.open("r+b") as file:
            file.truncate(_whole(data))


def _whole(data: bytes) -> int:
    """Return how many bytes the lines have that end."""
    return data.rfind(b"\n") + 1
