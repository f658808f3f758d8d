"""A run that is killed, all its processes at once, at a moment named beforehand.

    python -m tests.killed_app RUN ENGINE WORKERS [MOMENT]

The apps are the real ones. SIGKILL is sent to the process group from inside, as there
are moments of less than a millisecond that nobody could hit from outside: what the
operating system does with the processes is the same. `killed.json` in the run's folder
says what was under way; it is written at the moment itself.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import client.gate as gate
from client import masking
from client.app import app
from client.steps import Work, find_work
from common.sums import Sums

__all__ = ["app"]

MOMENT = "CONSORTIUM_TEST_MOMENT"
AT_WORK = {"training": "segment/development", "predict": "scores/all", "statistics": "accuracy/"}
_FIRST_S = 0.05  # so long a site is let work before all are killed


def die(**what: object) -> None:
    """Note what is under way and kill every process of the run."""
    run, moment = Path(os.environ["CONSORTIUM_RUN"]), os.environ[MOMENT]
    with (run / "killed.json").open("w") as file:
        json.dump({"moment": moment, **what}, file)
    os.killpg(0, signal.SIGKILL)


def _find_work(*arguments: Any) -> Work:
    """Return the real work; at its moment it is begun, and all are killed meanwhile."""
    work, posed = find_work(*arguments), arguments[4]
    wanted = AT_WORK.get(os.environ.get(MOMENT, ""))
    late = posed.ask.values.get("round", 1) != 0
    if wanted is None or not posed.problem.startswith(wanted) or not late:
        return work
    return replace(work, summarise=lambda: _interrupted(work.summarise, posed.problem))


def _interrupted(summarise: Callable[[], Sums], problem: str) -> Sums:
    worker = threading.Thread(target=summarise, daemon=True)
    worker.start()
    worker.join(_FIRST_S)
    die(problem=problem, finished=not worker.is_alive())
    raise RuntimeError("still alive")


def _seal(*arguments: Any) -> Any:
    """Kill between the line in the audit log and the reply, in the second round."""
    if os.environ.get(MOMENT) == "release" and arguments[1].number > 1:
        die(problem=arguments[2].problem)
    return _real_seal(*arguments)


_real_seal = masking.seal
gate.find_work = _find_work  # type: ignore[assignment]
masking.seal = _seal


def _between_rounds(event: Mapping[str, Any]) -> None:
    if event["event"] == "exchanged" and event["round"] > 1:
        die(round=event["round"])


def _half_a_checkpoint() -> None:
    """Let a checkpoint be written by half."""
    import server.arrays

    whole = server.arrays._write

    def by_half(path: Path, pieces: Iterable[bytes]) -> None:
        whole(path, half(path, pieces) if "segment@development-2" in str(path) else pieces)

    def half(path: Path, pieces: Iterable[bytes]) -> Iterator[bytes]:
        data = b"".join(pieces)
        yield data[: len(data) // 2]
        die(file=f".{path.name}.tmp")

    server.arrays._write = by_half


def main() -> None:
    """Drive a run, to its end or to a moment."""
    from server import progress
    from server.run import Run
    from server.simulate import simulate

    folder, engine, workers, *moment = sys.argv[1:]
    os.environ["CONSORTIUM_RUN"] = folder
    if moment:
        os.environ[MOMENT] = moment[0]
    if moment == ["checkpoint"]:
        _half_a_checkpoint()
    listener = _between_rounds if moment == ["between rounds"] else lambda _: None
    with progress.listening(listener):
        simulate(
            Run(Path(folder)), engine=engine, workers=int(workers), client="tests.killed_app:app"
        )


if __name__ == "__main__":
    main()
