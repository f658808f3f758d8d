"""`consortium deploy ...`, and `run`, `status`, `log`, `stop` of deployed runs."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from common.errors import ConfigError, Finding
from server.deploy.conduct import DeployedRun, find_deployed, missing_approvals, new_run
from server.deploy.control import COMPLETED, FINISHED, Control
from server.deploy.control import STOPPED as STOPPED_RUN
from server.deploy.home import Home, find_home, settings_of
from server.deploy.offers import find_offer, make_offer

deploy_app = typer.Typer(no_args_is_help=True, help="The coordinator of hospitals far apart.")

Folder = Annotated[Path, typer.Argument(help="the deployment's folder")]
InFolder = Annotated[Path, typer.Option("--deployment", "-d", help="the deployment's folder")]
_HERE = Path("deployment")


def run_folder(run: Path | None) -> Path | None:
    """Return the folder of a run that is given by it or, in the usual places, by its name."""
    usual = [] if run is None else [run, Path("runs") / run, _HERE / "runs" / run]
    return next((path for path in usual if (path / "run.json").exists()), run)


RunFolder = Annotated[
    Path,
    typer.Argument(help="the run's folder or name, such as phantom-...", callback=run_folder),
]
_STOPPING_S = 60.0
MISTAKE, STOPPED = 1, 4


@deploy_app.command()
def init(
    sites: Annotated[Path, typer.Argument(help="the roster: who takes part, in which role")],
    host: Annotated[str, typer.Option("--host", help="name by which sites call this machine")],
    name: Annotated[str, typer.Option("--name", help="the consortium's name: a-z, 0-9, _")],
    folder: Annotated[Path, typer.Option("--folder", help="a new one")] = _HERE,
    port: Annotated[int, typer.Option(min=1, max=65535, help="that sites connect to")] = 443,
    link_port: Annotated[int, typer.Option(min=1, max=65535, help="on this machine only")] = 8000,
) -> None:
    """Make certificates, secrets, units and a start-up kit for each site."""
    from server.deploy.kits import lay_out

    settings = settings_of({"name": name, "host": host, "port": port, "link_port": link_port})
    home = lay_out(folder, settings, sites.read_text(encoding="utf-8"), str(sites))
    sys.stdout.write(f"{home.folder}: keep it to yourself\nMail each site its kit:\n")
    for kit in sorted(home.kits.glob("*.zip")):
        sys.stdout.write(f"  {kit}\n")
    sys.stdout.write(f"Next: consortium deploy up {folder}, and: consortium deploy take\n")


@deploy_app.command()
def take(
    files: Annotated[list[Path], typer.Argument(help="enrolments, approvals, dry runs of sites")],
    folder: InFolder = _HERE,
    replace: Annotated[bool, typer.Option(help="a site has made new keys")] = False,
) -> None:
    """Check and take in what sites have mailed."""
    from server.deploy.intake import take as take_one

    home = find_home(folder)
    for file in files:
        sys.stdout.write(take_one(home, file, replace=replace) + "\n")


@deploy_app.command()
def offer(
    study: Annotated[Path, typer.Argument(help="the study file")], folder: InFolder = _HERE
) -> None:
    """Make the file with which sites approve a study and the code that answers it."""
    offered = make_offer(find_home(folder), study.read_text(encoding="utf-8"), str(study))
    sys.stdout.write(f"study {offered.about.study}\ncode  {offered.about.bundle}\n")
    sys.stdout.write(f"Mail this to every site: {offered.archive}\n")


@deploy_app.command()
def up(folder: Folder = _HERE) -> None:
    """Keep the coordinator up: SuperLink, nginx; Ctrl-C stops both, and runs under way."""
    from server.deploy.up import keep_up

    raise typer.Exit(keep_up(folder))


@deploy_app.command()
def down(folder: Folder = _HERE) -> None:
    """Stop the coordinator and runs under way. Sites wait until it is up again."""
    standing = find_home(folder).standing
    stopped = standing.stop(_STOPPING_S)
    words = "\n".join(standing.state().get("words", "stopped").split("; ", 1))
    sys.stdout.write(f"{words}\n" if stopped else "was not up\n")


@deploy_app.command("renew")
def renew(folder: Folder = _HERE) -> None:
    """Make a fresh certificate for the coordinator; sites need nothing new."""
    from server.deploy.kits import renew_server

    renew_server(find_home(folder))
    sys.stdout.write("renewed; restart the coordinator: deploy down, deploy up\n")


@deploy_app.command("kits")
def kits(folder: Folder = _HERE) -> None:
    """Write the kits again, for sites that the roster has gained."""
    from server.deploy.kits import write_kits

    for kit in write_kits(find_home(folder)):
        sys.stdout.write(f"{kit}\n")


@deploy_app.command("status")
def deploy_status(
    folder: Folder = _HERE,
    quiet: Annotated[bool, typer.Option(help="only the exit code: 0 where all is well")] = False,
) -> None:
    """Say how the coordinator is, who has enrolled, who is connected."""
    home = find_home(folder)
    well = home.standing.lives() and home.proxy.is_up()
    if not quiet:
        words = home.standing.state().get("words", "never was up")
        sys.stdout.write(f"coordinator: {words if home.standing.lives() else 'down'}\n")
        _print_sites(home, connected=well)
    raise typer.Exit(0 if well else MISTAKE)


def _print_sites(home: Home, *, connected: bool) -> None:
    enrolled = home.enrolments()
    seen = {one.name: one for one in Control(home.link).sites()} if connected else {}
    for name, site in sorted(home.roster.sites.items()):
        has = "enrolled" if name in enrolled else "has not enrolled"
        one = seen.get(name)
        now = one.status if one is not None else ""
        if one is not None and one.status == "online" and one.online_until < time.time():
            now = "lost: its connection was killed"
        sys.stdout.write(f"  {name:<16} {site.role:<9} {has:<17} {now}\n")


def begin_run(folder: Path, study: Path) -> DeployedRun:
    """Return a new run of an offered study, begun; say who has not approved it.

    Raises:
        ConfigError: the study was not offered, or too few sites approved it.
    """
    home = find_home(folder)
    text = study.read_text(encoding="utf-8")
    from common.study import study_hash

    missing = missing_approvals(home, find_offer(home, study_hash(text)))
    willing = [name for name in home.roster.developing if name not in missing]
    if missing:
        sys.stderr.write(f"not approved by {', '.join(missing)}: it will not run there\n")
    if len(willing) < home.roster.quorum:
        words = f"approved by {len(willing)} developing sites, quorum {home.roster.quorum}"
        raise ConfigError([Finding(str(study), None, "", words)])
    Control(home.link).sites()  # where nobody answers no empty run is left behind
    run = new_run(home, text)
    run.begin()
    return run


def existing(folder: Path) -> DeployedRun:
    """Return the deployed run of a folder.

    Raises:
        ConfigError: it is none.
    """
    found = find_deployed(folder) if (folder / "run.json").exists() else None
    if found is None:
        raise ConfigError(
            [Finding(str(folder), None, "", "expected the folder, or the name, of a deployed run")]
        )
    return found


def status(
    run: Annotated[
        Path | None,
        typer.Argument(help="the run's folder or name; all where not given", callback=run_folder),
    ] = None,
    folder: InFolder = _HERE,
) -> None:
    """Say how a deployed run stands, or all of them."""
    if run is not None:
        runs = [existing(run)]
    else:
        home = find_home(folder)
        found = sorted(home.runs.glob("*/deployed.json"))
        runs = [DeployedRun(existing(path.parent).run, home) for path in found]
    for one in runs:
        sys.stdout.write(f"{one.run.folder}: {_standing(one)}; {_so_far(one)}\n")


def _standing(run: DeployedRun) -> str:
    """Return how a run stands in words, and how to go on with one that may."""
    from server.ending import gaps_in_words, going_on

    status, go_on = run.status(), f"go on with: {going_on(run.run)}"
    if status == COMPLETED:
        gaps = gaps_in_words(run.run)
        return f"ended, {gaps}" if gaps else "ended"
    if not status.startswith(FINISHED):
        return status
    if run.ended_with_coordinator():
        return f"ended as the coordinator was taken down; {go_on}"
    if status == STOPPED_RUN:
        return f"stopped; {go_on}"
    return f"ended on an error (see: consortium log {run.run.folder}); {go_on}"


def _so_far(run: DeployedRun) -> str:
    from server.journal import read_events
    from server.report.words import loss_in_words, reason_in_words

    events = read_events(run.run.folder / "journal.jsonl")
    rounds = [event for event in events if event["event"] == "exchanged"]
    lost = {
        str(e["site"]): loss_in_words(e)
        if "reason" in e
        else reason_in_words(str(e.get("why", "")))
        for e in events
        if e["event"] in {"lost", "absent"}
    }
    text = f"{len(rounds)} rounds, {len([e for e in events if e['event'] == 'answer'])} answers"
    if events and events[-1]["event"] == "waiting":
        text += f"; waiting for {events[-1]['site']}, {events[-1]['wait_s']:g} s at most"
    if lost:
        text += "; lost on the way: " + ", ".join(f"{s} ({why})" for s, why in sorted(lost.items()))
    return text


def log(run: RunFolder) -> None:
    """Print what the ServerApp of a deployed run has said."""
    sys.stdout.write(existing(run).log() + "\n")


def stop(run: RunFolder) -> None:
    """Stop a deployed run; sites let go of their work within seconds. It can be resumed."""
    found = existing(run)
    if found.stop():
        sys.stdout.write(f"stopped; go on with: consortium resume {run}\n")
    else:
        sys.stdout.write(f"was not under way: {found.status()}\n")
