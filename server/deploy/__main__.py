"""Run a study in a deployment on this machine, then simulate it, and compare every bit.

    python -m server.deploy [STUDY] [--sites SITES]

Exit codes: 0 done and equal; 1 a mistake in a file; 3 the run ended, but sites or steps were
lost, or a step has no result; 4 it could not end; 5 the two differ; 130 interrupted.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from common.errors import ConfigError
from common.machine.processes import stopped_by_signals
from common.settings import read_yaml
from common.study import read_study
from server.deploy.compare import differences, n_arrays
from server.deploy.localhost import Localhost, deploy, lay_out_localhost
from server.deploy.measure import PROFILE
from server.deploy.measure import in_words as measured
from server.deploy.proxy import nginx
from server.ending import no_results
from server.journal import read_events
from server.report.words import loss_in_words, reason_in_words
from server.run import Run, parse_name
from server.simulate import prepare, simulate

MISTAKE, WITH_LOSSES, STOPPED, UNEQUAL, INTERRUPTED = 1, 3, 4, 5, 130

Study = Annotated[Path, typer.Argument(help="the study file")]
Sites = Annotated[Path, typer.Option("--sites", help="the roster, with a `simulate` part a site")]
Folder = Annotated[Path | None, typer.Option("--folder", help="of the deployment; a new one")]
Limit = Annotated[float, typer.Option("--limit", min=1, help="longest it may take, in seconds")]
Compare = Annotated[bool, typer.Option(help="simulate the same study and compare every bit")]


def command(
    study: Study = Path("studies/phantom.yaml"),
    sites: Sites = Path("sites.example.yaml"),
    folder: Folder = None,
    limit: Limit = 4 * 3600,
    compare: Compare = True,
    measure: Annotated[bool, typer.Option(help="idle rounds, and who imports torch")] = False,
) -> None:
    """Run a study in processes of its own on this machine: TLS, registered keys, a database."""
    with stopped_by_signals(), in_words():
        # What a site does is loaded by name, as Flower loads apps: the server imports no client.
        importlib.import_module("client.cli").make_phantoms_for(sites)
        here = _laid_out(study, sites, folder)
        run = deploy(here, limit_s=limit, tell=say, more=PROFILE if measure else None).run
        summarise(here.logs, run)
        if measure:
            logs = [folder / "logs" / "supernode-app.log" for folder in here.sites.values()]
            sys.stdout.write(measured(run, logs))
        equal = not compare or report_equality(run, sites, here.folder / "simulation")
    if not equal:
        raise typer.Exit(UNEQUAL)
    if run.losses() or no_results(run):
        raise typer.Exit(WITH_LOSSES)


@contextmanager
def in_words() -> Iterator[None]:
    """Turn whatever stops the command into words and an exit code."""
    try:
        yield
    except ConfigError as error:
        sys.stderr.write("".join(f"{finding}\n" for finding in error.findings))
        raise typer.Exit(MISTAKE) from None
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; every process is stopped\n")
        raise typer.Exit(INTERRUPTED) from None
    except (RuntimeError, OSError, ValueError) as error:
        sys.stderr.write(f"stopped: {error}\n")
        raise typer.Exit(STOPPED) from None


def without_pooled(study: str, file: str) -> str:
    """Return a study without the pooled baseline, which only a simulation can have.

    Raises:
        ConfigError: the study has mistakes.
    """
    read_study(study, file)
    data: dict[str, Any] = read_yaml(study, file)[0]
    pooled = [step for step in data["steps"].values() if "pooled" in step.get("baselines", ())]
    for step in pooled:
        step["baselines"] = [b for b in step["baselines"] if b != "pooled"]
    return yaml.safe_dump(data, sort_keys=False) if pooled else study


def _laid_out(study: Path, sites: Path, folder: Path | None) -> Localhost:
    nginx()  # before anything is made
    text = without_pooled(study.read_text(encoding="utf-8"), str(study))
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = folder or Path("runs") / "deployments" / f"{parse_name(text)}-{stamp}"
    here = lay_out_localhost(text, sites, folder)
    sys.stdout.write(f"deployment: {here.folder}\n")
    return here


def say(event: Mapping[str, Any]) -> None:
    """Print an event of a run's journal, if it is worth a line."""
    site, why = event.get("site", ""), reason_in_words(str(event.get("why")))
    lines = {
        "joined": f"joined: {site}",
        "refused": f"{site or 'somebody unknown'} refuses: {why}",
        "waiting": f"waiting for {site}, {event.get('wait_s', 0):g} s at most",
        "absent": f"did not join: {site} ({why})",
        "lost": f"{site} gave no answer to {event.get('problem')}: {loss_in_words(event)}",
        "failed": f"no answer to {event.get('problem')}: {event.get('why')}",
        "round": f"round {event.get('round')}: {', '.join(event.get('problems', ()))}",
        "exchanged": f"  {event.get('seconds', 0.0):.1f} s",
    }
    if event["event"] in lines:
        sys.stdout.write(f"{lines[event['event']]}\n")
        sys.stdout.flush()


def summarise(logs: Path, run: Run) -> None:
    """Print how long the rounds of a run took, and how much of it beside the sites' work."""
    events = read_events(run.folder / "journal.jsonl")
    rounds = [event for event in events if event["event"] == "exchanged"]
    seconds = [float(event["seconds"]) for event in rounds]
    work = [max(event["work_s"].values(), default=0.0) for event in rounds]
    idle = [s - w for s, w in zip(seconds, work, strict=True)]
    each, beside = (sum(s) / max(len(s), 1) for s in (seconds, idle))
    sys.stdout.write(
        f"{len(rounds)} rounds, {each:.1f} s each, {beside:.1f} s of it beside the sites' work\n"
        f"run: {run.folder}\nlogs: {logs}, of each owner in its own folder\n"
    )


def report_equality(run: Run, sites: Path, runs: Path) -> bool:
    """Simulate a run's study, print whether both are the same, and return it."""
    simulated = prepare(run.folder / "study.yaml", sites, runs)
    simulate(simulated)
    found = differences(run, simulated)
    word = "no" if found else "yes"
    sys.stdout.write(
        f"weights equal the simulation's: {word} ({n_arrays(run)} arrays and all answers)\n"
    )
    for difference in found:
        sys.stdout.write(f"  differs: {difference}\n")
    return not found


if __name__ == "__main__":
    typer.run(command)
