"""What `consortium deploy init` lays out: the coordinator's folder, and a kit for each site.

A kit holds nothing secret. Every site makes its own keys; only public halves come back.
"""

import secrets
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import yaml

from common.deployment import AUTHORITY, KIT, Kit
from common.errors import ConfigError, Finding
from common.settings import parse
from common.sites import Roster
from server.arrays import write_file
from server.deploy.certificates import Authority, authority_from, new_authority
from server.deploy.home import SETTINGS, SITES, DeploymentSettings, Home
from server.deploy.units import coordinator_files, kit_files
from server.private import write_private

_AUTHORITY_DAYS, _SERVER_DAYS = 3650, 825
_SECRET_BYTES = 32
_SINCE = (2020, 1, 1, 0, 0, 0)


def lay_out(folder: Path, settings: DeploymentSettings, sites: str, file: str) -> Home:
    """Write a new coordinator's folder and return it.

    Args:
        folder: may hold no deployment yet.
        settings: where sites find the coordinator.
        sites: text of the roster.
        file: its name, for messages.

    Raises:
        ConfigError: the roster has mistakes, or there is a deployment already.
    """
    parse(Roster, sites, file)
    if (folder / SETTINGS).exists():
        raise ConfigError([Finding(str(folder), None, "", "there is a deployment here already")])
    folder.mkdir(parents=True, exist_ok=True)
    home = Home(folder.resolve())
    write_file(home.folder / SITES, sites.encode())
    text = yaml.safe_dump(settings.model_dump(), sort_keys=False)
    write_file(home.folder / SETTINGS, text.encode())
    authority = new_authority(f"Consortium {settings.name}", days=_AUTHORITY_DAYS)
    _equip(home, authority)
    for name, content in coordinator_files(home).items():
        write_file(home.folder / name, content.encode())
    write_kits(home)
    return home


def renew_server(home: Home, days: int = _SERVER_DAYS) -> None:
    """Give the coordinator a fresh certificate by the authority that sites trust already."""
    private = (home.link.folder / "ca.key").read_bytes()
    authority = authority_from((home.link.folder / "ca.pem").read_bytes(), private)
    _certify(home, authority, days)


def write_kits(home: Home) -> list[Path]:
    """Write the start-up kit of every site of the roster; return them."""
    authority = (home.link.folder / "ca.pem").read_bytes()
    written = []
    for site in sorted(home.roster.sites):
        kit = Kit(deployment=home.settings.name, site=site, coordinator=home.address)
        files = {
            KIT: yaml.safe_dump(kit.model_dump(), sort_keys=False).encode(),
            AUTHORITY: authority,
            **{name: text.encode() for name, text in kit_files(home, site).items()},
        }
        path = home.kits / f"kit-{site}.zip"
        write_file(path, zipped(files))
        written.append(path)
    return written


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip with files; the same files give the same bytes."""
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            archive.writestr(ZipInfo(name, _SINCE), files[name])
    return buffer.getvalue()


def _equip(home: Home, authority: Authority) -> None:
    """Write the coordinator's certificates and secrets."""
    folder = home.link.folder
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    write_file(folder / "ca.pem", authority.pem())
    write_private(folder / "ca.key", authority.private_pem())
    write_private(folder / "secret", secrets.token_bytes(_SECRET_BYTES))
    _certify(home, authority, _SERVER_DAYS)


def _certify(home: Home, authority: Authority, days: int) -> None:
    server = authority.issue(_names(home), days=days)
    write_file(home.link.folder / "server.pem", server.public)
    write_private(home.link.folder / "server.key", server.private)


def _names(home: Home) -> Iterable[str]:
    """Return by which names the coordinator is called: by sites, and on its own machine."""
    return dict.fromkeys([home.settings.host, "127.0.0.1", "localhost"])
