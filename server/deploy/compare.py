"""Two runs of one study side by side: are they the same to the last bit?"""

import json
from typing import Any

from common.sums import Array
from server.arrays import read_arrays
from server.journal import read_events
from server.run import Run


def differences(one: Run, other: Run) -> list[str]:
    """Return in words where the answers of two ended runs differ; nothing where none do.

    Compared are the numbers of `answers.json` and, bit by bit, the arrays of every answer
    and of every last checkpoint: the weights of every network as chosen and as trained last.
    """
    found = [] if _numbers(one) == _numbers(other) else ["answers.json"]
    ours, theirs = _arrays(one), _arrays(other)
    for problem in sorted(set(ours) | set(theirs)):
        found += [f"{problem}: {d}" for d in _unlike(ours.get(problem), theirs.get(problem))]
    return found


def n_arrays(run: Run) -> int:
    """Return how many arrays of a run are compared."""
    return sum(len(arrays) for arrays in _arrays(run).values())


def _numbers(run: Run) -> Any:
    return json.loads((run.folder / "answers.json").read_text(encoding="utf-8"))


def _arrays(run: Run) -> dict[str, dict[str, Array]]:
    """Return the arrays of each problem's answer and of its last checkpoint."""
    events = read_events(run.folder / "journal.jsonl")
    last = {
        f"{event['event']} {event['problem']}": event
        for event in events
        if event["event"] in {"answer", "checkpoint"} and "file" in event
    }
    return {
        name: read_arrays(run.folder / str(event["file"]), str(event["sha256"]))
        for name, event in last.items()
    }


def _unlike(ours: dict[str, Array] | None, theirs: dict[str, Array] | None) -> list[str]:
    if ours is None or theirs is None:
        return ["only one of the runs has it"]
    if set(ours) != set(theirs):
        return ["arrays of other names"]
    return [name for name in sorted(ours) if not _same(ours[name], theirs[name])]


def _same(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
