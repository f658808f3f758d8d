"""What a site does from the command line; `consortium` takes these commands in by name."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from client import audit
from client.audit_words import in_words
from client.cases import Severity
from client.check import Checked, check
from client.commands.checking import check_here, site_file
from client.commands.joining import register
from client.ingest.decathlon import Columns, import_decathlon
from client.ingest.phantoms import write
from client.ingest.table import Roles, import_table
from client.site import load_site
from common.errors import Finding
from common.phantoms.spec import load_spec
from common.settings import parse
from common.sites import Roster
from common.study import Study, read_study

site_app = typer.Typer(no_args_is_help=True, help="What a hospital does with its own site.")
register(site_app)
import_app = typer.Typer(no_args_is_help=True, help="Write cohort.csv from what there is.")


@dataclass(frozen=True)
class Problem:
    """One thing found in a cohort, for a person.

    Attributes:
        site: whose cohort.
        text: where and what.
        stops: whether the study cannot run with it, or only leaves the case out.
        is_warning: whether the case stays in.
    """

    site: str
    text: str
    stops: bool = False
    is_warning: bool = False


def make_phantoms_for(sites_path: Path) -> None:
    """Write the phantom cohorts a roster asks for, where they are missing.

    Raises:
        ConfigError: the roster or the specification has mistakes.
    """
    settings = parse(Roster, sites_path.read_text(encoding="utf-8"), str(sites_path)).simulation
    if settings.phantoms is not None:
        spec = sites_path.parent / settings.phantoms
        write(
            load_spec(spec.read_text(encoding="utf-8"), str(spec)),
            sites_path.parent / settings.phantoms_folder,
        )


def check_simulated(study_path: Path, sites_path: Path, runs: Path) -> list[Problem]:
    """Check the cohort of every simulated site; return everything that does not fit.

    Raises:
        ConfigError: study or roster have mistakes, or a site of the roster no data.
    """
    study = read_study(study_path.read_text(encoding="utf-8"), str(study_path))
    roster = parse(Roster, sites_path.read_text(encoding="utf-8"), str(sites_path))
    problems: list[Problem] = []
    for name, site in sorted(roster.sites.items()):
        if site.simulate is None:
            problems.append(Problem(name, "no `simulate: cohort:` in the roster", stops=True))
            continue
        folder = sites_path.parent / site.simulate.cohort
        cache = runs / ".checks" / name
        checked = check(study.cohort, folder, renames=site.simulate.columns, cache=cache)
        problems += _problems(name, folder, checked)
    return problems


def _problems(site: str, folder: Path, checked: Checked) -> Iterable[Problem]:
    for finding in checked.findings:
        yield Problem(site, _placed(finding, folder), stops=True)
    for warning in checked.warnings:
        yield Problem(site, _placed(warning, folder), is_warning=True)
    for problem in checked.problems:
        warning_only = problem.severity is Severity.WARNING
        yield Problem(site, f"{folder / 'cohort.csv'}: {problem}", is_warning=warning_only)


def _placed(finding: Finding, folder: Path) -> str:
    return str(Finding(str(folder / finding.file), finding.line, finding.path, finding.message))


def phantoms(
    spec: Annotated[Path, typer.Argument(help="such as studies/phantom_cohorts.yaml")],
    out: Annotated[Path, typer.Argument(help="folder for the sites' folders")],
) -> None:
    """Write made-up cohorts with a known truth."""
    for name, folder in write(load_spec(spec.read_text(encoding="utf-8"), str(spec)), out).items():
        sys.stdout.write(f"{name}: {folder}\n")


@import_app.command("decathlon")
def decathlon(
    dataset: Annotated[Path, typer.Argument(help="dataset.json, a Decathlon or MONAI data list")],
    splits: Annotated[Path, typer.Option("--splits", help="sites and splits, by patient")],
    out: Annotated[Path, typer.Option("--out", help="folder for the sites' folders")],
    image: Annotated[list[str], typer.Option("--image", help="name of each image")] = ["image"],  # noqa: B006
    mask: Annotated[str, typer.Option("--mask", help="name of the mask")] = "mask",
    link: Annotated[
        Literal["reference", "symlink", "copy"], typer.Option(help="what becomes of the images")
    ] = "reference",
) -> None:
    """Write one folder a site with cohort.csv from a Decathlon or MONAI data list."""
    report = import_decathlon(dataset, splits, out, columns=Columns(tuple(image), mask), link=link)
    sys.stdout.write(f"{report}\n")


@import_app.command("table")
def table(  # noqa: PLR0913  (options of a command)
    table: Annotated[Path, typer.Argument(help="CSV of several centres, a row a case")],
    site: Annotated[
        list[str], typer.Option("--site", help="its column of the centre; of several, all")
    ],
    patient: Annotated[str, typer.Option("--patient", help="its column of the patient")],
    out: Annotated[Path, typer.Option("--out", help="folder for the sites' folders")],
    split: Annotated[str, typer.Option("--split", help="its column of train or test")] = "",
    rename: Annotated[list[str] | None, typer.Option("--rename", help="own=study")] = None,
    recode: Annotated[list[str] | None, typer.Option("--recode", help="column:old=new")] = None,
) -> None:
    """Write one folder a site with cohort.csv from one table of several centres."""
    roles = Roles(tuple(site), patient, split)
    report = import_table(table, out, roles, renames=rename or (), recodes=recode or ())
    sys.stdout.write(f"{report}\n")


@site_app.command("audit")
def show_audit(
    site: Annotated[Path, typer.Argument(help="the site's site.yaml")],
    last: Annotated[int, typer.Option(min=1, help="how many of the last lines")] = 50,
) -> None:
    """Verify the site's audit log and say in words what left the site."""
    path = load_site(site_file(site)).workspace / "audit.jsonl"
    if not path.exists():
        sys.stderr.write(f"{path}: no audit log here; a site that ever replied has one\n")
        raise typer.Exit(1)
    try:
        entries = audit.entries(path)
    except audit.AuditBroken as broken:
        sys.stderr.write(f"{path}: BROKEN: {broken}\n")
        raise typer.Exit(1) from None
    sys.stdout.write(f"{path}: {len(entries)} lines, the chain holds\n")
    for entry in entries[-last:]:
        sys.stdout.write(in_words(entry) + "\n")


@site_app.command("check")
def check_site(
    site: Annotated[Path, typer.Argument(help="the site's folder, or its site.yaml")],
    study: Annotated[Path | None, typer.Argument(help="the study file")] = None,
) -> None:
    """Check this machine, and the cohort against a study; nothing of it leaves the site."""
    fit = check_here(site)
    if study is None:
        raise typer.Exit(0 if fit else 1)
    here = load_site(site_file(site))
    wanted: Study = read_study(study.read_text(encoding="utf-8"), str(study))
    wrong = False
    for folder in here.cohorts:
        checked = check(
            wanted.cohort,
            folder,
            renames=here.settings.columns,
            cache=here.room("cache", "check"),
        )
        for problem in _problems(here.name, folder, checked):
            wrong = wrong or not problem.is_warning
            sys.stdout.write(f"{problem.text}\n")
        flow = checked.flow
        sys.stdout.write(f"{folder}: {flow.n_included} of {flow.n_screened} cases fit\n")
    raise typer.Exit(1 if wrong or not fit else 0)
