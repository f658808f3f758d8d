"""What the coordinator and each site hold before anything runs: keys, certificates, files.

Here one person makes them all. Between hospitals each makes its own, and only public
halves change hands.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.settings import parse, read_yaml
from common.sites import Roster
from server.arrays import write_file
from server.deploy.certificates import new_authority, new_connection_key
from server.deploy.flower import HOST, Link, Node
from server.deploy.processes import free_ports
from server.played import PlayedSite, settings_of
from server.private import write_private
from server.run import Run, create_run
from server.simulate import versions

_DAYS = 30
_HOSTS = (HOST, "localhost")
_SECRET_BYTES = 32


@dataclass(frozen=True)
class Deployment:
    """A study, ready to run on one machine.

    Attributes:
        folder: holds all of it.
        run: the run's folder, the coordinator's.
        link: the coordinator's post office.
        nodes: the sites' letterboxes, by name.
    """

    folder: Path
    run: Run
    link: Link
    nodes: tuple[Node, ...]

    @property
    def logs(self) -> Path:
        """Where every process has its log."""
        return self.folder / "logs"

    @property
    def bundle(self) -> Path:
        """Where the code lies that travels to the sites."""
        return self.folder / "bundle"


def lay_out(study: str, sites_path: Path, folder: Path) -> Deployment:
    """Write everything a deployment on this machine needs into a new folder.

    Args:
        study: text of the study.
        sites_path: the roster; the `simulate` part of each site says what its own
            `site.yaml` will say.
        folder: of the deployment; may not exist yet.

    Raises:
        ConfigError: the roster has mistakes.
        ValueError: a site of the roster has no data.
        FileExistsError: there is such a folder.
    """
    sites = sites_path.read_text(encoding="utf-8")
    roster = parse(Roster, sites, str(sites_path))
    folder = folder.resolve()
    played = _played(roster, sites_path.parent.resolve(), folder)
    folder.mkdir(parents=True)
    keys = {site.name: site.key() for site in played}
    for site in played:
        site.write(folder / "sites" / site.name / "site.yaml", study, keys)
    about = {"versions": versions()}
    run = create_run(folder / "runs", study, _with_keys(sites, str(sites_path), keys), about)
    link_port, *ports = free_ports(1 + len(played))
    link = Link(folder / "coordinator", link_port)
    authority = _equip_coordinator(link)
    nodes = tuple(
        _equip_site(Node(site.name, folder / "sites" / site.name, port), authority)
        for site, port in zip(played, ports, strict=True)
    )
    return Deployment(folder, run, link, nodes)


def _played(roster: Roster, beside: Path, folder: Path) -> list[PlayedSite]:
    missing = [name for name, site in sorted(roster.sites.items()) if site.simulate is None]
    if missing:
        raise ValueError(f"no data to play these sites with (`simulate:`): {', '.join(missing)}")
    return [
        PlayedSite(name, folder / "sites" / name / "workspace", settings_of(site.simulate, beside))
        for name, site in sorted(roster.sites.items())
        if site.simulate is not None
    ]


def _with_keys(sites: str, file: str, keys: dict[str, str]) -> str:
    """Return a roster as it is in a deployment: with keys, without paths to anyone's data."""
    roster: dict[str, Any] = read_yaml(sites, file)[0]
    roster.pop("simulation", None)
    for name, site in roster["sites"].items():
        site.pop("simulate")
        site["key"] = keys[name]
    return yaml.safe_dump(roster, sort_keys=False)


def _equip_coordinator(link: Link) -> bytes:
    """Write the coordinator's certificate and secret; return whom sites are to trust."""
    authority = new_authority("Consortium deployment", days=_DAYS)
    server = authority.issue(_HOSTS, days=_DAYS)
    write_file(link.folder / "ca.pem", authority.pem())
    write_file(link.folder / "server.pem", server.public)
    write_private(link.folder / "server.key", server.private)
    write_private(link.folder / "secret", secrets.token_bytes(_SECRET_BYTES))
    return authority.pem()


def _equip_site(node: Node, authority: bytes) -> Node:
    key = new_connection_key()
    write_file(node.folder / "ca.pem", authority)
    write_file(node.folder / "connection.pub", key.public)
    write_private(node.folder / "connection.key", key.private)
    write_private(node.folder / "secret", secrets.token_bytes(_SECRET_BYTES))
    return node
