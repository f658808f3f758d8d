"""A whole consortium on one machine: the very commands that hospitals use, each in processes.

One person stands for all: lays out the coordinator, enrols every site, has each approve
the study. What changes hands between hospitals is the same files as here.
"""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.machine.flower import HOST, environment
from common.machine.processes import Plan, Processes, free_ports
from common.settings import parse
from common.sites import Roster
from server.deploy.conduct import DeployedRun, Tell, new_run
from server.deploy.home import DeploymentSettings, Home
from server.deploy.intake import take
from server.deploy.kits import lay_out
from server.deploy.offers import Offered, make_offer
from server.deploy.proxy import nginx
from server.played import settings_of

_START_S = 90.0


@dataclass(frozen=True)
class Localhost:
    """A consortium laid out on this machine.

    Attributes:
        folder: holds all of it.
        home: the coordinator.
        sites: each site's folder, by name.
        offered: the study, as every site has approved it.
    """

    folder: Path
    home: Home
    sites: Mapping[str, Path]
    offered: Offered

    @property
    def logs(self) -> Path:
        """Where the coordinator's and each site's own words are kept."""
        return self.folder / "logs"

    def coordinator_plan(self) -> Plan:
        """Return the process that keeps the coordinator up."""
        return _plan("coordinator", self.folder, "server.deploy.up", self.home.folder)

    def site_plan(self, name: str, more: Mapping[str, str] | None = None) -> Plan:
        """Return the process that keeps a site joined."""
        plan = _plan(name, self.folder, "client.joining", self.sites[name])
        return Plan(name, plan.command, plan.folder, {**plan.environment, **(more or {})})


@dataclass(frozen=True)
class Stage:
    """Where a consortium that one person plays is to stand.

    Attributes:
        where: how sites call the coordinator; nothing: on free ports of this machine.
        cohort: where every site finds its data; nothing: where the roster says.
    """

    where: DeploymentSettings | None = None
    cohort: str | None = None


def lay_out_localhost(
    study: str,
    sites_path: Path,
    folder: Path,
    *,
    unapproved: tuple[str, ...] = (),
    stage: Stage = Stage(),
) -> Localhost:
    """Lay out coordinator and sites, and have the sites approve a study.

    Args:
        study: text of the study.
        sites_path: the roster; the `simulate` part of each site says what its own
            `site.yaml` will say.
        folder: of the whole; may not exist yet.
        unapproved: sites that do not approve the study.
        stage: where it is to stand.

    Raises:
        ConfigError: the roster has mistakes.
        ValueError: a site of the roster has no data.
        FileExistsError: there is such a folder.
    """
    text = sites_path.read_text(encoding="utf-8")
    roster = parse(Roster, text, str(sites_path))
    settings = _settings(roster, sites_path.parent.resolve())
    folder = folder.resolve()
    folder.mkdir(parents=True)
    home = lay_out(folder / "coordinator", stage.where or _here(), text, str(sites_path))
    for name, own in settings.items():
        own["cohort"] = stage.cohort or own["cohort"]
        take(home, _enrolled(home, name, folder / "sites" / name, own))
    sites = {name: folder / "sites" / name for name in settings}
    offered = make_offer(home, study, "study.yaml")
    for name in sorted(set(sites) - set(unapproved)):
        take(home, _approved(sites[name], offered.archive))
    return Localhost(folder, home, sites, offered)


def deploy(
    here: Localhost,
    *,
    limit_s: float,
    tell: Tell = lambda _: None,
    more: Mapping[str, str] | None = None,
) -> DeployedRun:
    """Run the study in processes of its own, and stop every one of them, whatever happens.

    Args:
        here: made by `lay_out_localhost`.
        limit_s: longest the run may take.
        tell: told every event of the run's journal.
        more: added to the environment of the sites' processes.

    Raises:
        Ended: a process ended that should have run on.
        TimeoutError: something took longer than it may.
        RuntimeError: the run failed.
    """
    with Processes(here.logs) as processes:
        start(here, processes, more)
        run = new_run(here.home, here.offered.study())
        run.begin()
        run.follow(tell, limit_s=limit_s, watch=processes.check)
    return run


def start(here: Localhost, processes: Processes, more: Mapping[str, str] | None = None) -> None:
    """Start coordinator and sites; return when the coordinator's door is open.

    Raises:
        FileNotFoundError: there is no nginx on this machine.
    """
    nginx()
    processes.start(here.coordinator_plan())
    processes.wait_for(here.home.proxy.is_up, "the coordinator answers", _START_S)
    processes.start(*(here.site_plan(name, more) for name in here.sites))


def _here() -> DeploymentSettings:
    port, link_port = free_ports(2)
    return DeploymentSettings(
        name="localhost", host=HOST, port=port, listen=HOST, link_port=link_port
    )


def _settings(roster: Roster, beside: Path) -> dict[str, dict[str, Any]]:
    missing = [name for name, site in sorted(roster.sites.items()) if site.simulate is None]
    if missing:
        raise ValueError(f"no data to play these sites with (`simulate:`): {', '.join(missing)}")
    return {
        name: settings_of(site.simulate, beside)
        for name, site in sorted(roster.sites.items())
        if site.simulate is not None
    }


def _enrolled(home: Home, name: str, folder: Path, own: Mapping[str, Any]) -> Path:
    """Do what a hospital does with its kit; return its enrolment."""
    enrol = importlib.import_module("client.joining.enrol")
    more = {key: value for key, value in own.items() if key != "cohort"}
    place, _ = enrol.enrol(home.kits / f"kit-{name}.zip", folder, Path(own["cohort"]), more)
    return Path(enrol.enrolment_file(folder, place.kit))


def _approved(folder: Path, archive: Path) -> Path:
    """Do what a hospital does that says yes to an offer; return its approval."""
    places = importlib.import_module("client.joining.place")
    approving = importlib.import_module("client.joining.approve")
    place = places.find_place(folder)
    proposal = approving.read_proposal(place, archive)
    key = places.read_approval_key(place.approval_key)
    return Path(approving.approval_file(place, approving.approve(place, proposal, key)))


def _plan(name: str, folder: Path, module: str, argument: Path) -> Plan:
    command = [sys.executable, "-m", module, str(argument)]
    return Plan(name, command, folder, environment(folder))
