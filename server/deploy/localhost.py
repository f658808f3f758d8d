"""A whole deployment on one machine: processes up, study run, processes down."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from server.deploy.bundle import stage
from server.deploy.flower import COMPLETED, FINISHED, Control
from server.deploy.follow import Follower
from server.deploy.kits import Deployment
from server.deploy.processes import Processes

_START_S = 60.0
_SILENCE_S = 30.0
_ENDING_S = 0.5  # between the journal's last line and Flower's word that all is done
_LAST_WORDS = 2000
_POLL_S = 0.2
_AT_ONCE = 2  # commands of Flower's at the same time; each is a second of importing

Tell = Callable[[Mapping[str, Any]], None]


def deploy(
    deployment: Deployment,
    *,
    limit_s: float,
    tell: Tell = lambda _: None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a study in processes of its own, and stop every one of them, whatever happens.

    Args:
        deployment: made by `lay_out`.
        limit_s: longest the whole may take.
        tell: told every event of the run's journal.
        environment: added to that of the sites' processes.

    Raises:
        Ended: a process ended that should have run on.
        TimeoutError: something took longer than it may.
        RuntimeError: the run failed.
    """
    end = time.monotonic() + limit_s
    control = Control(deployment.link)
    with Processes(deployment.logs) as processes:
        _start_coordinator(deployment, control, processes)
        _start_sites(deployment, control, processes, environment or {})
        number = control.begin(deployment.bundle, deployment.run.folder)
        _follow(deployment, control, processes, number, end, tell)


def _start_coordinator(deployment: Deployment, control: Control, processes: Processes) -> None:
    link = deployment.link
    processes.start(link.plan())
    stage(deployment.bundle)
    control.connect()
    processes.wait_for(link.is_up, "the coordinator answers", _START_S)
    processes.start(link.worker_plan())


def _start_sites(
    deployment: Deployment, control: Control, processes: Processes, more: Mapping[str, str]
) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done in [
            pool.submit(control.register, node.name, node.folder / "connection.pub")
            for node in deployment.nodes
        ]:
            done.result()
    address = deployment.link.address
    processes.start(*(plan for node in deployment.nodes for plan in node.plans(address, more)))


def _follow(
    deployment: Deployment,
    control: Control,
    processes: Processes,
    number: int,
    end: float,
    tell: Tell,
) -> None:
    """Follow a run to its end; Flower is asked only when the journal is silent."""
    journal = Follower(deployment.run.folder / "journal.jsonl")
    status, ask_at, pause = "", time.monotonic() + _SILENCE_S, _SILENCE_S
    while not status.startswith(FINISHED):
        processes.check()
        for event in journal.news():
            tell(event)
            pause = _ENDING_S if event["event"] == "end" else _SILENCE_S
            ask_at = time.monotonic() + pause
        if time.monotonic() > end:
            raise TimeoutError(f"the run took too long; logs: {deployment.logs}")
        if time.monotonic() > ask_at:
            status, ask_at = control.status(number), time.monotonic() + pause
        time.sleep(_POLL_S)
    said = control.log(number)
    (deployment.logs / "coordinator-run.log").write_text(said, encoding="utf-8")
    if status != COMPLETED:
        raise RuntimeError(f"the run ended as {status}:\n{said[-_LAST_WORDS:]}")
