"""The command `consortium`.

Exit codes: 0 done; 1 a mistake in a file or a cohort; 2 wrong usage; 3 the run ended, but
sites or steps were lost, or a step has no result; 4 the run could not go on (resume it); 130
interrupted.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from common.doubtful_codes import doubtful_codes
from common.errors import ConfigError, Finding, why_not_opened
from common.outlook import refusals_in_lines
from common.settings import Frozen, decoded, line_of, look_at_yaml, parse
from common.sites import Roster
from common.study import Study, read_study
from common.study_notes import notes
from server.deploy import commands as deployed
from server.deploy.commands import RunFolder
from server.deploy.conduct import DeployedRun, find_deployed
from server.deploy.control import NoAnswer
from server.deploy.trying import dry_run

if TYPE_CHECKING:
    from server.run import Run

MISTAKE, WITH_LOSSES, STOPPED, INTERRUPTED = 1, 3, 4, 130

# What a site does is loaded by name, as Flower loads apps: the server imports no client.
site_commands = importlib.import_module("client.cli")
checking = importlib.import_module("client.check_all")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Federated radiology studies: hospitals answer with sums, nothing else leaves them.",
)
site_commands.site_app.command("dry-run")(dry_run)
app.add_typer(site_commands.site_app, name="site")
app.add_typer(site_commands.import_app, name="import")
app.command("phantoms")(site_commands.phantoms)
app.add_typer(deployed.deploy_app, name="deploy")
app.command("status")(deployed.status)
app.command("log")(deployed.log)
app.command("stop")(deployed.stop)

StudyFile = Annotated[Path, typer.Argument(help="the study, such as studies/phantom.yaml")]
SitesFile = Annotated[Path, typer.Option("--sites", help="the roster; see sites.example.yaml")]
RunsFolder = Annotated[Path, typer.Option("--runs", help="folder of all runs")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on standard output")]
Workers = Annotated[int | None, typer.Option(min=1, help="sites at work at the same time")]
Engine = Annotated[Literal["processes", "threads", "ray"] | None, typer.Option()]
_LEFT_OUT = "left out of the report, by a mistake of its own: {}\n"


def main() -> None:
    """Run the command; mistakes of the user's files are words, not tracebacks."""
    try:
        app()
    except ConfigError as error:
        for finding in error.findings:
            sys.stderr.write(f"{finding}\n")
        sys.exit(MISTAKE)
    except NoAnswer as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(STOPPED)
    except UnicodeDecodeError as error:  # of a file that no command reads as a user's own
        sys.stderr.write(f"a file is not UTF-8 text: {error.reason} at byte {error.start}\n")
        sys.exit(MISTAKE)
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'disk'}: {why_not_opened(error)}\n")
        sys.exit(MISTAKE)


@app.command()
def simulate(  # noqa: PLR0913  (options of a command)
    study: StudyFile,
    sites: SitesFile,
    runs: RunsFolder = Path("runs"),
    engine: Engine = None,
    workers: Workers = None,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="go on without cases that do not fit the study")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a study with all its sites on this machine."""
    _check_files(study, sites)
    _warn_of_refusals(study, sites)
    site_commands.make_phantoms_for(sites)
    _refuse_bad_cohorts(study, sites, runs, leave_out=leave_out)
    from server.simulate import prepare

    run = prepare(study, sites, runs)
    _drive(run.folder, engine=engine, workers=workers, as_json=as_json)


@app.command()
def resume(
    run: RunFolder, engine: Engine = None, workers: Workers = None, as_json: AsJson = False
) -> None:
    """Go on with a run that was stopped, simulated or deployed, from its last checkpoint."""
    _existing_run(run)
    found = find_deployed(run)
    if found is None:
        _drive(run, engine=engine, workers=workers, as_json=as_json)
        return
    with _stops_reported(run):
        if not found.is_under_way():
            found.begin()
    _follow(found, as_json=as_json)


@app.command("run")
def run_deployed(
    study: StudyFile,
    deployment: Annotated[Path, typer.Option("--deployment", "-d", help="its folder")] = Path(
        "deployment"
    ),
    detach: Annotated[bool, typer.Option("--detach", help="begin it and return")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a study over hospitals that have approved it. Ctrl-C leaves it running."""
    begun = deployed.begin_run(deployment, study)
    sys.stdout.write(f"run: {begun.run.folder}\n")
    if not detach:
        _follow(begun, as_json=as_json)


@app.command()
def check(
    study: StudyFile,
    sites: SitesFile | None = None,
    runs: Annotated[Path | None, typer.Option("--runs", help="folder of all runs")] = None,
) -> None:
    """Check a study, a roster and the cohorts of simulated sites; say everything at once."""
    if sites is None:
        read_study(decoded(study.read_bytes(), str(study)), str(study))
        n = _warn_of_file(study)
    else:
        _check_files(study, sites)
        n = _warn_of_refusals(study, sites)
        site_commands.make_phantoms_for(sites)
        known = Path("runs") if Path("runs").is_dir() else None
        n += _refuse_bad_cohorts(study, sites, runs or known, leave_out=False)
    warned = f"no mistakes; {n} warning{'' if n == 1 else 's'} above" if n else "no mistakes found"
    sys.stdout.write(f"{warned}\n")


@app.command()
def embed(
    study: StudyFile,
    step: Annotated[str, typer.Argument(help="its step of kind extract")],
    parameters: Annotated[Path, typer.Argument(help="a PyRadiomics parameter file")],
) -> None:
    """Put a PyRadiomics parameter file into a study, word for word; its hash then covers it."""
    from common.radiomics.embed import embed as put

    old, new = (decoded(path.read_bytes(), str(path)) for path in (study, parameters))
    made = put(old, step, new, file=str(study), parameter_file=str(parameters))
    read_study(made, str(study))
    study.write_text(made, encoding="utf-8")
    sys.stdout.write(f"{study}: step {step} has the profile of {parameters}\n")


@app.command()
def schema(which: Annotated[Literal["study", "site", "sites"], typer.Argument()]) -> None:
    """Print the JSON Schema of a file, for editors."""
    site = importlib.import_module("client.site")
    models: dict[str, Any] = {"study": Study, "sites": Roster, "site": site.SiteSettings}
    sys.stdout.write(json.dumps(models[which].model_json_schema(), indent=1) + "\n")


@app.command()
def report(run: RunFolder) -> None:
    """Write `report.html` of a run, finished or not."""
    from server.report.write import write_report
    from server.run import Run

    _existing_run(run)
    left_out: list[str] = []
    sys.stdout.write(f"{write_report(Run(run), left_out)}\n")
    if left_out:
        sys.stderr.write(_LEFT_OUT.format(", ".join(left_out)))
        raise typer.Exit(WITH_LOSSES)


def _check_files(study: Path, sites: Path) -> None:
    """Read study and roster; raise the mistakes of both at once."""
    findings: list[Finding] = []
    for model, other, path in ((Study, Roster, study), (Roster, Study, sites)):
        try:
            text = decoded(path.read_bytes(), str(path))
            _refuse_other(text, path, model, other)
            read_study(text, str(path)) if model is Study else parse(model, text, str(path))
        except ConfigError as error:
            findings += error.findings
    if findings:
        raise ConfigError(findings)


def _refuse_other(text: str, path: Path, model: type[Frozen], other: type[Frozen]) -> None:
    """Say that a file is the other one of the two; its keys as mistakes would say nothing."""
    data, _, _ = look_at_yaml(text, str(path))
    keys = set(data) if isinstance(data, dict) else set()
    if len(keys & set(other.model_fields)) > len(keys & set(model.model_fields)):
        words = {Study: "a study", Roster: "a roster"}
        said = f"expected {words[model]}, and this is {words[other]}"
        tip = "the study comes first, the roster after --sites"
        raise ConfigError([Finding(str(path), None, "", f"{said}; {tip}")])


def _warn_of_refusals(study: Path, sites: Path) -> int:
    """Say what the policies of the roster will refuse; the study is run without it.

    Returns:
        How many warnings there were.
    """
    read = read_study(study.read_text(encoding="utf-8"), str(study))
    roster = parse(Roster, sites.read_text(encoding="utf-8"), str(sites))
    n, lines = _warn_of_file(study), list(refusals_in_lines(read, roster))
    sys.stderr.writelines(f"{line}\n" for line in lines)
    return n + len(lines)


def _warn_of_file(study: Path) -> int:
    """Say which codes for missing may be values, and what is as written but perhaps not meant."""
    text = study.read_text(encoding="utf-8")
    _, lines, _ = look_at_yaml(text, str(study))
    read = read_study(text, str(study), again=True)
    codes = [(path, f"warning: {why}") for path, why in doubtful_codes(read.cohort)]
    for path, why in (*codes, *((path, f"note: {why}") for path, why in notes(read))):
        dotted = ".".join(map(str, path))
        sys.stderr.write(f"{Finding(str(study), line_of(path, lines), dotted, why)}\n")
    return len(codes)


def _refuse_bad_cohorts(study: Path, sites: Path, runs: Path | None, *, leave_out: bool) -> int:
    """Say what is the matter with the sites' cohorts, and leave where the study cannot run.

    Returns:
        How many warnings there were.
    """
    problems = checking.check_simulated(study, sites, runs)
    for problem in problems:
        word = "warning: " if problem.is_warning else "stops: " if problem.stops else ""
        sys.stderr.write(f"{problem.site}: {word}{problem.text}\n")
    wrong = [p for p in problems if not p.is_warning]
    stopping = [p for p in wrong if p.stops]
    if stopping:
        sys.stderr.write(
            "The study cannot run with these cohorts: mend what `stops` it, "
            f"{len(stopping)} in all. These are no single cases, which --leave-out could leave out"
            f"{', as the others are' if len(stopping) < len(wrong) else ''}.\n"
        )
        raise typer.Exit(MISTAKE)
    if wrong and not leave_out:
        sys.stderr.write(
            f"{len(wrong)} problems. Mend them, or go on without these cases: --leave-out\n"
        )
        raise typer.Exit(MISTAKE)
    return len(problems) - len(wrong)


def _existing_run(folder: Path) -> None:
    if not (folder / "run.json").exists():
        sys.stderr.write(f"{folder}: expected a run's folder, or its name, found no run.json\n")
        raise typer.Exit(MISTAKE)


def _follow(found: DeployedRun, *, as_json: bool) -> None:
    """Show a deployed run to its end, and leave with a code that tells how it was."""
    from server.display import shown
    from server.progress import tell

    folder = found.run.folder
    try:
        with _stops_reported(folder), shown(found.run.study, as_json=as_json):
            found.follow(tell)
    except typer.Exit as left:
        if left.exit_code == INTERRUPTED:
            sys.stderr.write(f"it runs on; to stop it: consortium stop {folder}\n")
            raise
        _report(found.run)
        raise
    _tell_losses(found.run, whole=_report(found.run))


def _drive(folder: Path, *, engine: str | None, workers: int | None, as_json: bool) -> None:
    """Drive a run, show it, write its report, and leave with a code that tells how it was."""
    from server.display import shown
    from server.lock import UnderWay
    from server.run import Run
    from server.simulate import simulate as go

    run = Run(folder)
    try:
        with _stops_reported(folder), shown(run.study, as_json=as_json):
            go(run, engine=engine, workers=workers)
    except UnderWay as busy:  # its report is the other process's to write
        sys.stderr.write(f"{busy}\n")
        raise typer.Exit(STOPPED) from None
    except BaseException:
        _report(run)
        raise
    _tell_losses(run, whole=_report(run))


def _report(run: "Run") -> bool:
    """Write a run's report; return whether nothing had to be left out of it."""
    from server.report.kinds.put_aside import told
    from server.report.record import read_record
    from server.report.share import shares
    from server.report.write import write_report

    try:
        record = read_record(run)
        for line in (*told(record.answers), *shares(record)):
            sys.stderr.write(f"{line}\n")
        left_out: list[str] = []
        sys.stderr.write(f"report: {write_report(run, left_out)}\n")
    except OSError as error:
        sys.stderr.write(f"the report could not be written: {error}\n")
        return False
    if left_out:
        sys.stderr.write(_LEFT_OUT.format(", ".join(left_out)))
    return not left_out


def _tell_losses(run: "Run", *, whole: bool) -> None:
    """Leave with a code that tells whether all was answered, and the report is whole."""
    from server.ending import gaps_in_words, no_results

    if run.losses() or no_results(run):
        sys.stderr.write("The run ended, but not with everyone or everything; see the report.\n")
        if gaps := gaps_in_words(run):
            sys.stderr.write(f"{gaps}\n")
        raise typer.Exit(WITH_LOSSES)
    if not whole:
        raise typer.Exit(WITH_LOSSES)


@contextmanager
def _stops_reported(folder: Path) -> Iterator[None]:
    """Turn an interruption or a stop into words and an exit code."""
    from common.machine.processes import stopped_by_signals

    try:
        with stopped_by_signals():
            yield
    except KeyboardInterrupt:
        sys.stderr.write(f"\ninterrupted; go on with: consortium resume {folder}\n")
        raise typer.Exit(INTERRUPTED) from None
    except (RuntimeError, OSError, ValueError) as error:
        sys.stderr.write(f"stopped: {error}\ngo on with: consortium resume {folder}\n")
        raise typer.Exit(STOPPED) from None
