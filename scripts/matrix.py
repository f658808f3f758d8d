"""A small consortium in real processes that is attacked or broken, and the table of what came.

Four sites with tables only, so that a round costs little. `security_matrix.py` and
`fault_matrix.py` share this.
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.machine.processes import Plan, Processes, stopped_by_signals  # noqa: E402
from server.deploy.conduct import DeployedRun  # noqa: E402
from server.deploy.localhost import Localhost, lay_out_localhost  # noqa: E402
from server.deploy.proxy import nginx  # noqa: E402
from server.journal import read_events  # noqa: E402
from server.run import Run, create_run  # noqa: E402

SIZES = {"east": 24, "north": 31, "south": 28, "west": 22}
START_S = 300.0
JOIN_S = 420.0

STUDY = """
name: matrix
cohort:
  columns:
    age: {type: integer, range: [18, 100], unit: years}
    marker: {type: number, range: [0, 50]}
    code: {type: category, levels: [usual, rare]}
    postcode: {type: integer, range: [1000, 9999]}
steps:
  table1: {kind: describe, of: [age, marker]}
"""


@dataclass(frozen=True)
class Row:
    """One line of a matrix.

    Attributes:
        what: was tried.
        expected: outcome.
        happened: in words.
        line: that shows it, as it stands in a log, journal or audit.
        ok: whether what was expected is what happened.
        seconds: it took, or to recover.
    """

    what: str
    expected: str
    happened: str
    line: str
    ok: bool
    seconds: float = 0.0


Cell = Callable[[], Row]


def arguments(about: str, names: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", choices=names)
    parser.add_argument("--folder", type=Path, help="a new folder for all of it; it stays")
    parser.add_argument("--out", type=Path, help="write the table here, as Markdown")
    parser.add_argument("--list", action="store_true", help="name what can be tried")
    found = parser.parse_args()
    if found.list:
        sys.stdout.write("\n".join(names) + "\n")
        raise SystemExit(0)
    return found


def report(title: str, rows: Sequence[Row], out: Path | None) -> int:
    """Print the table, write it where asked to, and return an exit code."""
    table = markdown(title, rows)
    sys.stdout.write("\n" + table)
    if out is not None:
        out.write_text(table, encoding="utf-8")
    return 0 if all(row.ok for row in rows) else 3


def markdown(title: str, rows: Sequence[Row]) -> str:
    """Return rows as a table of Markdown."""
    lines = [
        f"## {title}",
        "",
        "| tried | expected | what happened | s | ok |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        shown = f"{row.happened}<br>`{_cell(row.line)}`" if row.line else row.happened
        verdict = "yes" if row.ok else "**NO**"
        took = f"{row.seconds:.0f}" if row.seconds else ""
        lines.append(f"| {row.what} | {row.expected} | {shown} | {took} | {verdict} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/").replace("`", "'")[:220]


def tried(name: str, make: Cell) -> Row:
    """Return a cell's row; what goes wrong in it is a row too."""
    sys.stdout.write(f"... {name}\n")
    sys.stdout.flush()
    begin = time.monotonic()
    try:
        row = make()
    except Exception as error:  # noqa: BLE001  (a cell that breaks is a result, not the end)
        took = time.monotonic() - begin
        row = Row(
            name, "", "the trial itself broke", f"{type(error).__name__}: {error}", False, took
        )
    mark = "ok" if row.ok else "NOT OK"
    sys.stdout.write(f"{mark:>6}  {row.what}: {row.happened}\n        {_cell(row.line)}\n")
    sys.stdout.flush()
    return row


def try_all(title: str, cells: Mapping[str, Cell], out: Path | None) -> list[Row]:
    """Return the rows of all cells; the table is on the disk after each."""
    rows: list[Row] = []
    for name, make in cells.items():
        rows.append(tried(name, make))
        if out is not None:
            out.write_text(markdown(title, rows), encoding="utf-8")
    return rows


def make_sites(folder: Path, policy: Mapping[str, Any], **roster: Any) -> Path:
    """Write four cohorts of tables and their roster; return the roster's file."""
    sites: dict[str, Any] = {}
    for seed, (name, n) in enumerate(SIZES.items()):
        rng = np.random.default_rng(seed)
        lines = ["case_id,patient_id,split,age,marker,code,postcode"]
        for i in range(n):
            code = "rare" if i == n - 1 else "usual"
            marker = min(float(rng.lognormal(1, 0.6)), 50)
            age, postcode = int(rng.integers(30, 90)), int(rng.integers(1000, 9999))
            lines.append(f"c{i:03d},p{i:03d},train,{age},{marker:.3f},{code},{postcode}")
        (folder / "cohorts" / name).mkdir(parents=True)
        (folder / "cohorts" / name / "cohort.csv").write_text("\n".join(lines) + "\n")
        sites[name] = {"simulate": {"cohort": f"cohorts/{name}", "policy": dict(policy)}}
    path = folder / "sites.yaml"
    path.write_text(yaml.safe_dump({**roster, "sites": sites}))
    return path


@dataclass
class Stage:
    """A consortium that stands in processes.

    Attributes:
        here: its folders.
        processes: those of this stage.
        sites: the process that keeps each site joined.
    """

    here: Localhost
    processes: Processes
    sites: dict[str, Processes]

    def join(self, name: str, more: Mapping[str, str] | None = None) -> None:
        """Start what keeps a site joined."""
        self.sites[name] = Processes(self.here.logs)
        plan = self.here.site_plan(name)
        if more:
            command = [
                sys.executable,
                str(Path(__file__)),
                "--keep",
                plan.command[-1],
                json.dumps(dict(more)),
            ]
            # Whoever keeps the site joined lives on the same machine, with the same clock.
            clock = dict(more) if "FAKETIME" in more else {}
            plan = Plan(name, command, plan.folder, {**plan.environment, **clock})
        self.sites[name].start(plan)

    def leave(self, name: str) -> None:
        """Stop everything of a site."""
        self.sites.pop(name).stop()

    def joined(self, name: str) -> bool:
        """Tell whether a site says it is joined."""
        state = place(self.here, name).standing
        return bool(state.lives() and state.state().get("state") == "joined")

    def wait_joined(self, names: Iterable[str] = tuple(SIZES)) -> None:
        """Wait until these sites are joined.

        Raises:
            TimeoutError: they are not in time.
        """
        wait_for(lambda: all(self.joined(name) for name in names), "sites join", JOIN_S)

    def run(self, bundle: Any = None, study: str | None = None) -> DeployedRun:
        """Begin a run of the study, or of another one under the bundle that was offered."""
        home = self.here.home
        text = study or self.here.offered.study()
        about = {"versions": {}, "deployment": home.settings.name}
        run = create_run(home.runs, text, home.roster_with_keys(), about)
        begun = DeployedRun(run, home)
        if bundle is None and study is None:
            begun.begin()
        else:
            self._begin(begun, bundle)
        return begun

    def _begin(self, run: DeployedRun, bundle: Any) -> None:
        from server.deploy.control import Control

        signed = bundle or self.here.offered.signed(self.here.home)[0]
        number = Control(self.here.home.link).begin(signed, run.run.folder)
        note = {"deployment": str(self.here.home.folder), "begun": [{"number": str(number)}]}
        (run.run.folder / "deployed.json").write_text(json.dumps(note))


@contextmanager
def stage(
    folder: Path, sites: Path, study: str, *, unapproved: tuple[str, ...] = (), join: bool = True
) -> Iterator[Stage]:
    """Lay out coordinator and sites, start all of them, and stop all in the end."""
    nginx()
    here = lay_out_localhost(study, sites, folder, unapproved=unapproved)
    with stopped_by_signals(), Processes(here.logs) as processes:
        found = Stage(here, processes, {})
        try:
            processes.start(here.coordinator_plan())
            processes.wait_for(here.home.proxy.is_up, "the coordinator answers", START_S)
            if join:
                for name in here.sites:
                    found.join(name)
                found.wait_joined()
            yield found
        finally:
            for name in list(found.sites):
                found.leave(name)


def place(here: Localhost, name: str) -> Any:
    """Return a site's folder as its own commands see it."""
    return importlib.import_module("client.joining.place").find_place(here.sites[name])


def wait_for(condition: Callable[[], bool], what: str, limit_s: float) -> float:
    """Wait until something holds; return the seconds it took.

    Raises:
        TimeoutError: it did not hold in time.
    """
    begin = time.monotonic()
    while not condition():
        if time.monotonic() > begin + limit_s:
            raise TimeoutError(f"{what}: not within {limit_s:g} s")
        time.sleep(0.2)
    return time.monotonic() - begin


def said_by(site: Path, word: str, limit_s: float) -> str:
    """Wait until a site's supervisor says a word of what it waits for; return all it says.

    Raises:
        TimeoutError: it did not say so in time.
    """
    finder = importlib.import_module("client.joining.place").find_place
    place, heard = finder(site), [""]

    def said() -> bool:
        heard.append(str(place.standing.state().get("words")))
        return word in heard[-1]

    wait_for(said, f"it says {word}", limit_s)
    return heard[-1]


def finish(run: DeployedRun, limit_s: float) -> str:
    """Follow a run to its end; return Flower's word for it."""
    try:
        run.follow(lambda _: None, limit_s=limit_s)
    except RuntimeError as error:
        return str(error).partition(":\n")[0]
    return "finished:completed"


def events(run: Run, *kinds: str) -> list[dict[str, Any]]:
    """Return a run's events of some kinds."""
    return [e for e in read_events(run.folder / "journal.jsonl") if e["event"] in kinds]


def answers(run: Run) -> Any:
    """Return a run's answers."""
    return json.loads((run.folder / "answers.json").read_text(encoding="utf-8"))["answers"]


def line_with(path: Path, *texts: str) -> str:
    """Return the last line of a file with any of these texts, or nothing."""
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [line for line in lines if any(text in line for text in texts)]
    return found[-1].strip() if found else ""


def processes_with(*words: str) -> list[int]:
    """Return the processes whose command line has all of these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if all(word in command for word in words) and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def send(pid: int, number: signal.Signals) -> None:
    """Send a process a signal, if it lives."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def on_small_disk(path: Path, size_mb: int = 4) -> bool:
    """Put a folder on a small disk, with what is in it; tell whether this machine lets us."""
    kept = {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return False
    for name, data in kept.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return True


def fill_disk(folder: Path) -> Path:
    """Fill a disk to its last byte; return what fills it."""
    filler = folder / "filler"
    # Without a buffer: closing one would try once more.
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
    return filler


def _keep(folder: str, more: str) -> int:
    """Keep a site joined, as `consortium site join` does, with more in its environment."""
    keeping = importlib.import_module("client.joining.keep")
    main = importlib.import_module("client.joining.__main__")
    finder = importlib.import_module("client.joining.place").find_place
    try:
        keeping.Keeper(finder(Path(folder)), main.say, json.loads(more)).run()
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__" and sys.argv[1:2] == ["--keep"]:
    sys.exit(_keep(*sys.argv[2:4]))
