"""`consortium site dry-run`: here, since it simulates; registered with the site's commands."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from common.settings import parse
from common.study import read_study
from server.dry_run import Tried, report, try_on_own, try_on_phantoms, write_report


def dry_run(
    site: Annotated[Path, typer.Argument(help="the site's folder, or its site.yaml")],
    study: Annotated[Path, typer.Argument(help="the study file")],
    phantoms_only: Annotated[
        bool, typer.Option("--phantoms-only", help="touch no case of this site")
    ] = False,
) -> None:
    """Try a study out: on made-up patients, then on this site's own; nothing leaves."""
    site_file = site / "site.yaml" if site.is_dir() else site
    text = study.read_text(encoding="utf-8")
    read_study(text, str(study))
    name = _name_of(site_file)
    tries: dict[str, Tried] = {}
    with tempfile.TemporaryDirectory(prefix="consortium-dry-run-") as folder:
        tries["phantoms"] = try_on_phantoms(text, Path(folder) / "phantoms", _say)
        _show("on made-up patients of three sites", tries["phantoms"])
        if not phantoms_only:
            tries["own"] = try_on_own(text, site_file, Path(folder) / "own", _say)
            _show("on this site's own cases, with made-up partners", tries["own"])
    path = site_file.parent / f"dry-run-{name}.json"
    write_report(path, report(text, name, tries))
    sys.stdout.write(f"{path}: mail this to the coordinator, who looks at it with\n")
    sys.stdout.write("`consortium deploy take`; it holds no patient's data\n")
    raise typer.Exit(1 if tries["phantoms"].failed else 0)


def _name_of(site_file: Path) -> str:
    import importlib

    settings = importlib.import_module("client.site").SiteSettings
    return str(parse(settings, site_file.read_text(encoding="utf-8"), str(site_file)).name)


def _say(event: Mapping[str, Any]) -> None:
    if event["event"] == "round":
        problems = ", ".join(event.get("problems", ()))
        sys.stdout.write(f"  round {event.get('round')}: {problems}\n")
        sys.stdout.flush()


def _show(where: str, tried: Tried) -> None:
    sys.stdout.write(f"{where}: {tried.seconds:.0f} s, work at most {tried.work_s:.1f} s a round\n")
    for step in tried.answered:
        sys.stdout.write(f"  ok     {step}\n")
    for step, why in tried.failed.items():
        sys.stdout.write(f"  FAILED {step}: {why}\n")
