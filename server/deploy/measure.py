"""What a round costs beside the sites' work, and whether statistics import what they need not."""

import re
from collections.abc import Iterable
from pathlib import Path

from server.journal import read_events
from server.run import Run

PROFILE = {"PYTHONPROFILEIMPORTTIME": "1"}
"""Environment in which every process of a site writes down what it imports."""

_IDLE_S = 0.5  # of work at every site: what is left of the round is Flower's and ours
_BEGIN = "Start `flwr-clientapp` process"
_TORCH = re.compile(r"\| +torch$", re.MULTILINE)


def idle_rounds_s(run: Run) -> list[float]:
    """Return how long each round took in which no site had work worth naming, in seconds."""
    events = read_events(run.folder / "journal.jsonl")
    rounds = [event for event in events if event["event"] == "exchanged"]
    return [
        float(event["seconds"])
        for event in rounds
        if max(event["work_s"].values(), default=0.0) < _IDLE_S
    ]


def torch_by_message(log: Path) -> list[bool]:
    """Tell for every message that a site answered whether that process imported torch.

    Args:
        log: of the site's SuperExec, started with `PROFILE`.
    """
    processes = log.read_text(encoding="utf-8", errors="replace").split(_BEGIN)[1:]
    return [_TORCH.search(text) is not None for text in processes]


def in_words(run: Run, logs: Iterable[Path]) -> str:
    """Return both measurements in words, a line each.

    Args:
        run: that has ended.
        logs: of every site's SuperExec.
    """
    idle, answered = idle_rounds_s(run), [torch_by_message(log) for log in logs]
    n_messages = sum(map(len, answered))
    n_torch = sum(map(sum, answered))
    rounds = (
        f"{len(idle)} idle rounds, shortest {min(idle):.1f} s, mean {sum(idle) / len(idle):.1f} s "
        "(Flower alone: 4 to 7 s on two quiet cores)"
        if idle
        else "no idle round in this study"
    )
    return f"{rounds}\n{n_messages} messages answered, {n_torch} by a process that imported torch\n"
