"""Break every part of a deployment while it runs a study, and print what became of the study.

    .venv/bin/python scripts/fault_matrix.py [--only NAME ...] [--out FILE.md] [--list]

Real processes: coordinator (SuperLink behind nginx, TLS, SQLite), four sites. Each cell
runs the study, breaks one thing in its middle, and says how the run ended, whether its
answers are those of an undisturbed run (or, where a site was lost, of the other three), and
after how many seconds what was broken was well again. Exits with 3 where one is not so.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from client.joining.place import find_place  # noqa: E402
from client.working import work_under_way  # noqa: E402
from common.machine.flower import HOST  # noqa: E402
from common.machine.processes import Plan, Processes, free_ports  # noqa: E402
from scripts.matrix import (  # noqa: E402
    JOIN_S,
    SIZES,
    STUDY,
    Row,
    Stage,
    answers,
    arguments,
    events,
    fill_disk,
    finish,
    line_with,
    make_sites,
    on_small_disk,
    processes_with,
    report,
    send,
    stage,
    try_all,
    wait_for,
)
from server.deploy.conduct import DeployedRun  # noqa: E402

TITLE = "Fault matrix"
VICTIM = "west"
HOSTILE = Path(__file__).resolve().parent / "hostile"
DEADLINE_S = 120.0
RUN_S = 1500.0
FROZEN_S = 25.0
CUT_S = 30.0
FAKETIME = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
)
NOT_TRIED = {
    "NaN, wrong shape, oversize, late, duplicate, replayed at SuperNode, SuperLink, proxy": "they "
    "carry signed messages and make none: a changed one is one of a wrong signature",
    "full disk at SuperNode, proxy": "a SuperNode keeps its state in memory, the proxy buffers "
    "nothing; the site's and the coordinator's own files are the cells above",
    "kill -9 or stop of a whole machine": "the same as of all its processes: see site",
}


@dataclass
class Bench:
    """The stage, and what an undisturbed run of it answers.

    Attributes:
        stage: the consortium.
        door: what the victim's way to the coordinator leads through.
        whole: answers of an undisturbed run.
    """

    stage: Stage
    door: Processes
    door_plan: Plan
    whole: Any = None
    tmpfs: list[Path] = field(default_factory=list)
    runs_are_small: bool = False

    @property
    def victim(self) -> Path:
        """The folder of the site that is broken."""
        return self.stage.here.sites[VICTIM]


def main() -> int:
    """Try every fault, or those asked for."""
    asked = arguments(__doc__ or "", list(FAULTS))
    with tempfile.TemporaryDirectory(prefix="faults-") as temporary:
        folder = asked.folder or Path(temporary)
        with _bench(folder) as bench:
            chosen = [n for n in FAULTS if not asked.only or n in asked.only]
            cells = {name: partial(FAULTS[name], bench) for name in chosen}
            rows = try_all(TITLE, {"nothing": partial(nothing, bench), **cells}, asked.out)
    rows += [Row(what, "not applicable", why, "", ok=True) for what, why in NOT_TRIED.items()]
    return report(TITLE, rows, asked.out)


@contextmanager
def _bench(folder: Path) -> Iterator[Bench]:
    roster = make_sites(folder, {}, quorum=3, deadline_s=DEADLINE_S, wait_s=90, patience=1)
    with stage(folder / "all", roster, STUDY, join=False) as standing:
        here, port = standing.here, free_ports(1)[0]
        command = [sys.executable, "-m", "common.machine.door", f"{HOST}:{port}", here.home.address]
        plan = Plan("door", command, folder, here.coordinator_plan().environment)
        kit = here.sites[VICTIM] / "kit.yaml"
        kit.write_text(kit.read_text().replace(here.home.address, f"{HOST}:{port}"))
        with Processes(here.logs) as door:
            door.start(plan)
            bench = Bench(standing, door, plan)
            bench.tmpfs = [
                p for p in (find_place(bench.victim).site.workspace,) if on_small_disk(p)
            ]
            here.home.runs.mkdir(exist_ok=True)
            bench.runs_are_small = on_small_disk(here.home.runs, 16)
            try:
                for name in SIZES:
                    standing.join(name, _more() if name == VICTIM else None)
                standing.wait_joined()
                yield bench
            finally:
                for name in list(standing.sites):
                    standing.leave(name)
                for path in [*bench.tmpfs, *([here.home.runs] if bench.runs_are_small else [])]:
                    subprocess.run(["umount", str(path)], check=False)  # noqa: S607


def _more(**more: str) -> dict[str, str]:
    return {"PYTHONPATH": str(HOSTILE), **more}


# -- how a run ended ------------------------------------------------------------------------


def nothing(bench: Bench) -> Row:
    """Run without a fault, for comparison."""
    begin = time.monotonic()
    run = bench.stage.run()
    ended = finish(run, RUN_S)
    bench.whole = answers(run.run)
    return Row("nothing", "finished", ended, "", ended.endswith("completed"), _since(begin))


def _ended(bench: Bench, run: DeployedRun, what: str, *, lost: bool, well_s: float) -> Row:
    """Follow a run to its end, and compare its answers with what they should be."""
    ended = finish(run, RUN_S)
    found = answers(run.run) if (run.run.folder / "answers.json").exists() else {}
    n = found.get("table1", {}).get("development", {}).get("n")
    losses = [e for e in events(run.run, "lost", "absent") if e.get("site") == VICTIM]
    line = json.dumps(losses[0]) if losses else ""
    whole, rest = found == bench.whole, n == sum(SIZES.values()) - SIZES[VICTIM]
    ok = ended.endswith("completed") and (whole or (lost and rest))
    of = f"{n} cases: the other three sites"
    if whole or not rest:
        of = "all four sites, the undisturbed bits" if whole else f"no step: {_why_none(run)}"
    expected = "finished" + (", with or without it" if lost else ", nothing lost")
    return Row(what, expected, f"{ended}; answer of {of}", line, ok, well_s)


def _why_none(run: DeployedRun) -> str:
    return "; ".join(str(e.get("why")) for e in events(run.run, "failed")) or "it did not end"


def _after_a_round(run: DeployedRun) -> None:
    wait_for(lambda: bool(events(run.run, "exchanged")), "a first round", RUN_S)


def _since(begin: float) -> float:
    return time.monotonic() - begin


# -- processes ------------------------------------------------------------------------------


def _of(bench: Bench, part: str) -> list[int]:
    """Return the processes of a part of this very deployment."""
    home = bench.stage.here.home
    if part == "SuperNode":
        return processes_with("flower-supernode", str(bench.victim))
    if part == "SuperLink":
        return processes_with("flower-superlink", str(home.link.folder))
    if part == "ServerApp":
        return processes_with("flwr-serverapp", home.link.address)
    if part == "proxy":
        return [int((home.proxy.folder / "nginx.pid").read_text())]
    if part == "ClientApp":
        note = work_under_way(find_place(bench.victim).site.workspace)
        return [int(note["pid"])] if note else []
    return [p for s in bench.stage.sites[VICTIM]._stages for p in (s[0].popen.pid,)]


def kill(bench: Bench, part: str) -> Row:
    """Kill a part with -9 in the middle of a run."""
    run, begin = _caught(bench, part, signal.SIGKILL)
    _hostile(bench, "")
    if part == "site":
        bench.stage.leave(VICTIM)
        bench.stage.join(VICTIM, _more())
    if part == "ServerApp":
        ended = finish(run, RUN_S)
        run.begin()  # as `consortium resume` does
        row = _ended(bench, run, f"kill -9 {part}", lost=False, well_s=_since(begin))
        return Row(
            row.what,
            "resumable",
            f"{ended}; resumed: {row.happened}",
            row.line,
            row.ok,
            _since(begin),
        )
    took = _well(bench, part, begin)
    lost = part in {"SuperNode", "ClientApp", "site"}
    return _ended(bench, run, f"kill -9 {part}", lost=lost, well_s=took)


def stop(bench: Bench, part: str) -> Row:
    """Freeze a part for a while in the middle of a run."""
    run, begin = _caught(bench, part, signal.SIGSTOP)
    frozen = _FROZEN
    time.sleep(FROZEN_S)
    for pid in frozen:
        send(pid, signal.SIGCONT)
    _hostile(bench, "")
    took = _well(bench, part, begin)
    return _ended(bench, run, f"{part} frozen for {FROZEN_S:g} s", lost=True, well_s=took)


_FROZEN: list[int] = []


def _caught(bench: Bench, part: str, number: signal.Signals) -> tuple[DeployedRun, float]:
    """Begin a run and send a part a signal in its middle."""
    if part == "ClientApp":
        _hostile(bench, "slow")
    run = bench.stage.run()
    if part == "ClientApp":
        wait_for(lambda: bool(_of(bench, part)), "the victim is at work", RUN_S)
        time.sleep(3)  # into the work itself
    else:
        _after_a_round(run)
    _FROZEN[:] = _of(bench, part)
    for pid in _FROZEN:
        send(pid, number)
    if not _FROZEN:
        raise RuntimeError(f"no process of {part} was found")
    return run, time.monotonic()


def _well(bench: Bench, part: str, begin: float) -> float:
    """Wait until the part that was broken is well again; return the seconds since then."""
    if part in {"SuperNode", "site", "network", "clock"}:
        time.sleep(2)  # for the supervisor to see it
        wait_for(lambda: bench.stage.joined(VICTIM), "the victim is joined again", JOIN_S)
    else:
        wait_for(bench.stage.here.home.proxy.is_up, "the coordinator answers", JOIN_S)
    return _since(begin)


# -- network, disk, clock -------------------------------------------------------------------


def cut(bench: Bench) -> Row:
    """Close the victim's only way to the coordinator for a while, in the middle of a run."""
    run = bench.stage.run()
    _after_a_round(run)
    begin = time.monotonic()
    bench.door.stop()
    time.sleep(CUT_S)
    bench.door.start(bench.door_plan)
    took = _well(bench, "network", begin)
    return _ended(bench, run, f"site: network cut for {CUT_S:g} s", lost=True, well_s=took)


def full_disk(bench: Bench) -> Row:
    """Fill the victim's disk, run, make room again."""
    if not bench.tmpfs:
        return Row(
            "site: full disk", "not tried", "this machine lets nobody mount a tmpfs", "", ok=True
        )
    filler = fill_disk(bench.tmpfs[0])
    run = bench.stage.run()
    row = _ended(bench, run, "site: full disk", lost=True, well_s=0)
    filler.unlink()
    again = _ended(bench, bench.stage.run(), "again", lost=False, well_s=0)
    said = line_with(bench.stage.here.logs / f"{VICTIM}.log", "space") or row.line
    return Row(
        row.what,
        row.expected,
        f"{row.happened}; with room again: {again.happened}",
        said,
        row.ok and again.ok,
    )


def full_disk_coordinator(bench: Bench) -> Row:
    """Fill the disk with the coordinator's runs in the middle of one; make room, resume."""
    what = "coordinator: full disk"
    if not bench.runs_are_small:
        return Row(what, "not tried", "this machine lets nobody mount a tmpfs", "", ok=True)
    run = bench.stage.run()
    _after_a_round(run)
    begin = time.monotonic()
    filler = fill_disk(bench.stage.here.home.runs)
    ended = finish(run, RUN_S)
    said = next((w for w in run.log().splitlines()[::-1] if "No space" in w), "")
    filler.unlink()
    if ended.endswith("completed"):
        return Row(what, "resumable", "it ended before the disk was full", "", ok=False)
    run.begin()
    row = _ended(bench, run, what, lost=False, well_s=_since(begin))
    return Row(what, "resumable", f"{ended}; resumed: {row.happened}", said, row.ok, row.seconds)


def clock(bench: Bench) -> Row:
    """Let the victim's clock be an hour ahead: it must not get in, and say why; then right."""
    library = next((path for path in FAKETIME if Path(path).exists()), None)
    if library is None:
        return Row("site: clock an hour ahead", "not tried", "no libfaketime here", "", ok=True)
    what = "site: clock an hour ahead"
    wrong = _more(LD_PRELOAD=library, FAKETIME="+3600", DONT_FAKE_MONOTONIC="1")
    bench.stage.leave(VICTIM)
    bench.stage.join(VICTIM, wrong)
    try:
        said = _says(bench, "clock")
        row = _ended(bench, bench.stage.run(), what, lost=True, well_s=0)
    finally:  # however it went: the next trial wants this site's clock right
        bench.stage.leave(VICTIM)
        begin = time.monotonic()
        bench.stage.join(VICTIM, _more())
    took = _well(bench, "clock", begin)
    return Row(what, "not let in; others finish", row.happened, said, row.ok, took)


def _says(bench: Bench, word: str) -> str:
    """Wait until the victim's supervisor says a word of what it waits for; return all it says."""
    place, heard = find_place(bench.victim), [""]

    def said() -> bool:
        heard.append(str(place.standing.state().get("words")))
        return word in heard[-1]

    wait_for(said, "it says why", JOIN_S)
    return heard[-1]


# -- what a site sends ----------------------------------------------------------------------


def hostile(bench: Bench, how: str, reason: str) -> Row:
    """Let the victim's answering process misbehave for one run."""
    _hostile(bench, how)
    run = bench.stage.run()
    row = _ended(bench, run, f"site sends: {how.replace('_', ' ')}", lost=True, well_s=0)
    _hostile(bench, "")
    ok = (
        row.ok and any(r in row.line for r in reason.split(" or "))
        if reason
        else row.ok and not row.line
    )
    expected = f"finished; lost as {reason}" if reason else "counted once"
    return Row(row.what, expected, row.happened, row.line, ok)


def _hostile(bench: Bench, how: str) -> None:
    path = bench.victim / "hostile"
    path.write_text(how) if how else path.unlink(missing_ok=True)


FAULTS: dict[str, Callable[[Bench], Row]] = {
    **{
        f"kill_{part.lower()}": partial(kill, part=part)
        for part in ("ServerApp", "SuperLink", "SuperNode", "ClientApp", "proxy", "site")
    },
    "nan": partial(hostile, how="nan", reason="not_finite"),
    "duplicate": partial(hostile, how="duplicate", reason=""),
    "oversize": partial(hostile, how="oversize", reason="wrong_shape"),
    "wrong_shape": partial(hostile, how="wrong_shape", reason="wrong_shape"),
    "replayed": partial(hostile, how="replayed", reason="bad_signature"),
    "full_disk": full_disk,
    "full_disk_coordinator": full_disk_coordinator,
    "cut_network": cut,
    "clock": clock,
    "late": partial(hostile, how="late", reason="no_reply or unreachable"),
    **{
        f"stop_{part.lower()}": partial(stop, part=part)
        for part in ("ServerApp", "SuperLink", "SuperNode", "ClientApp", "proxy")
    },
}


if __name__ == "__main__":
    sys.exit(main())
