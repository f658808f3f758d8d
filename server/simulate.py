"""All sites of a study on one machine: real apps, real masks, real files, no network."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flwr.app import Context, RecordDict

from common.machine.flower import QUIET_FLOWER
from common.settings import parse
from common.sites import POOLED, PolicySettings, Roster
from common.study import read_study
from server.app import RUN, app
from server.local_grid import RUN_ID, LocalGrid
from server.played import PlayedSite, settings_of
from server.run import Run, create_run
from server.workers import ProcessWorker, ThreadWorker, WorkerFactory

CLIENT = "client.app:app"
SIMULATION = "CONSORTIUM_SIMULATION"
PACKAGES = ("flwr", "torch", "monai", "numpy", "scipy", "SimpleITK")


def prepare(study_path: Path, sites_path: Path, runs: Path) -> Run:
    """Return a new run with a folder, a key and a `site.yaml` for every simulated site.

    Args:
        study_path: the study file.
        sites_path: the roster; each site needs its `simulate` part.
        runs: folder of all runs; simulated sites keep their workspaces in it.

    Raises:
        ConfigError: a file has mistakes.
        ValueError: a site of the roster has no data to simulate it with.
    """
    study, sites = (p.read_text(encoding="utf-8") for p in (study_path, sites_path))
    roster = parse(Roster, sites, str(sites_path))
    simulated = _simulated(
        roster, sites_path.parent.resolve(), _wants_pooled(study, str(study_path))
    )
    played = [PlayedSite(name, _home(runs, name, site), site) for name, site in simulated.items()]
    keys = {site.name: site.key() for site in played}
    about = {"keys": keys, "simulated": list(simulated), "versions": versions()}
    run = create_run(runs, study, sites, about)
    for site in played:
        site.write(_site_file(run, site.name), study, keys)
    return run


def simulate(
    run: Run, *, engine: str | None = None, workers: int | None = None, client: str = CLIENT
) -> None:
    """Drive a prepared run to its end, or on from where it was.

    Args:
        run: made by `prepare`.
        engine: "processes", "threads" or "ray"; the roster's where not given.
        workers: sites that work at the same time; the roster's where not given.
        client: the ClientApp as "module:attribute".
    """
    settings = run.roster.simulation
    engine, workers = engine or settings.engine, workers or settings.workers
    sites = [str(_site_file(run, name)) for name in run.about["simulated"]]
    environment = {RUN: str(run.folder), SIMULATION: json.dumps(sites), **QUIET_FLOWER}
    with _environment(environment):
        if engine == "ray":
            from server.simulate_ray import run_with_ray

            run_with_ray(client, len(sites), workers)
        else:
            _run_locally(run, client, engine, workers)


def _run_locally(run: Run, client: str, engine: str, workers: int) -> None:
    environment = {name: os.environ[name] for name in (RUN, SIMULATION, *QUIET_FLOWER)}
    factories: dict[str, WorkerFactory] = {
        "processes": lambda: ProcessWorker(client, environment),
        "threads": lambda: ThreadWorker(client),
    }
    grid = LocalGrid(len(run.about["simulated"]), factories[engine], workers)
    try:
        app(grid, Context(RUN_ID, 1, {}, RecordDict(), {"run": str(run.folder)}))
    finally:
        grid.close()


def _wants_pooled(study: str, file: str) -> bool:
    steps = read_study(study, file).steps.values()
    return any("pooled" in getattr(step, "baselines", ()) for step in steps)


def _simulated(roster: Roster, folder: Path, pooled: bool) -> dict[str, dict[str, Any]]:
    """Return what each site's `site.yaml` says, a pooled site among them if wanted."""
    missing = [name for name, site in roster.sites.items() if site.simulate is None]
    if missing:
        raise ValueError(f"no data to simulate with (`simulate: cohort:`): {', '.join(missing)}")
    sites = {
        name: settings_of(site.simulate, folder)
        for name, site in sorted(roster.sites.items())
        if site.simulate is not None
    }
    if pooled:
        cohorts = [sites[name]["cohort"] for name in roster.developing]
        columns = {
            own: c for name in roster.developing for own, c in sites[name]["columns"].items()
        }
        policy = PolicySettings(per_site=True, share_network=True).model_dump()
        further = sorted({f for name in roster.developing for f in sites[name]["further_folders"]})
        sites[POOLED] = {
            "cohort": cohorts,
            "further_folders": further,
            "columns": columns,
            "policy": policy,
            "device": sites[roster.developing[0]]["device"],
        }
    return sites


def _home(runs: Path, name: str, site: dict[str, Any]) -> Path:
    """Return a simulated site's lasting folder: its key, its caches, its audit log."""
    mark = hashlib.sha256(json.dumps(site["cohort"]).encode()).hexdigest()[:8]
    home = runs / ".sites" / f"{name}-{mark}"
    home.mkdir(parents=True, exist_ok=True)
    return home.resolve()


def _site_file(run: Run, name: str) -> Path:
    return run.folder / "sites" / name / "site.yaml"


def versions() -> dict[str, str]:
    """Return the versions that a run notes beside its results."""
    return {name: version(name) for name in PACKAGES}


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
