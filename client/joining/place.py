"""A site's folder: what `consortium site init` lays out and the other commands find.

Everything in it belongs to the hospital. Private keys are made here and stay here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.files import write_atomically
from client.site import Site, load_site
from common.deployment import APPROVED, AUTHORITY, KIT, Approved, Kit, entity, ssh_text
from common.errors import ConfigError, Finding, why_not_opened
from common.machine.standing import Standing
from common.settings import parse

SITE_FILE = "site.yaml"


@dataclass(frozen=True)
class Place:
    """A site with what belongs to its connection.

    Attributes:
        site: its settings.
        kit: what the coordinator gave it.
    """

    site: Site
    kit: Kit

    @property
    def folder(self) -> Path:
        """Where `site.yaml` lies."""
        return self.site.folder

    @property
    def authority(self) -> Path:
        """The certificate of the only authority this site trusts."""
        return self.folder / AUTHORITY

    @property
    def connection_key(self) -> Path:
        """Private key that opens the connection."""
        return self.folder / "connection.key"

    @property
    def approval_key(self) -> Path:
        """Private key that signs approvals; the running site does not need it."""
        return self.folder / "approval.key"

    @property
    def trusted(self) -> Path:
        """Whose signature under a bundle lets it run here: this hospital's own."""
        return self.folder / "trusted.yaml"

    @property
    def secret(self) -> Path:
        """What the site's own processes know each other by."""
        return self.folder / "secret"

    @property
    def approved_file(self) -> Path:
        """Studies and partners that `consortium site approve` has let in."""
        return self.folder / APPROVED

    @property
    def standing(self) -> Standing:
        """The process that keeps this site joined."""
        return Standing(self.folder, "join")

    @property
    def logs(self) -> Path:
        """Logs of the site's processes."""
        return self.folder / "logs"

    def approved(self) -> Approved:
        """Return what has been approved by command."""
        if not self.approved_file.exists():
            return Approved()
        return parse(Approved, self.approved_file.read_text("utf-8"), str(self.approved_file))


def find_place(path: Path) -> Place:
    """Return the site of a `site.yaml`, or of the folder that holds one.

    Raises:
        ConfigError: a file is missing or has mistakes.
    """
    file = path / SITE_FILE if path.is_dir() else path
    if not file.exists():
        raise ConfigError([Finding(str(file), None, "", "no such file; see: site init")])
    kit = file.parent / KIT
    if not kit.exists():
        text = "no start-up kit beside site.yaml; the coordinator sends one: site init"
        raise ConfigError([Finding(str(kit), None, "", text)])
    place = Place(load_site(file.resolve()), parse(Kit, kit.read_text("utf-8"), str(kit)))
    if place.kit.site != place.site.name:
        text = (
            f'is the kit of "{place.kit.site}", and this is the folder of "{place.site.name}" '
            f"({SITE_FILE}); ask the coordinator for kit-{place.site.name}.zip"
        )
        raise ConfigError([Finding(str(kit), None, "site", text)])
    return place


def read_own_approval_key(place: Place, path: Path) -> Ed25519PrivateKey:
    """Return the private approval key in a file, if it is the one this site trusts.

    Raises:
        ConfigError: the file is no such key, or another hospital's; the coordinator and this
            site's own SuperNode would refuse what it signs.
    """
    key = read_approval_key(path)
    try:
        trusted = yaml.safe_load(place.trusted.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        why = why_not_opened(error) if isinstance(error, OSError) else "not readable as YAML"
        raise ConfigError([Finding(str(place.trusted), None, "", why)]) from None
    if not isinstance(trusted, dict) or ssh_text(key) not in trusted.values():
        text = (
            "is not this site's approval key: its public half is not the one this site has "
            f"enrolled with ({place.trusted})"
        )
        raise ConfigError([Finding(str(path), None, "", text)])
    return key


def read_approval_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key that signs approvals.

    Raises:
        ConfigError: the file is no such key.
    """
    key = read_private_key(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError([Finding(str(path), None, "", "expected an Ed25519 key")])
    return key


def read_private_key(path: Path) -> object:
    """Return the private key in a file.

    Raises:
        ConfigError: there is none in OpenSSH's form, or a password protects it.
    """
    try:
        return serialization.load_ssh_private_key(path.read_bytes(), None)
    except OSError as error:
        why = why_not_opened(error)
    except TypeError:
        why = "a password protects this key; expected one without"
    except (ValueError, UnsupportedAlgorithm):
        why = "holds no private key in OpenSSH's form; was it cut off, or changed?"
    raise ConfigError([Finding(str(path), None, "", why)])


def trust_only(key: Ed25519PrivateKey) -> bytes:
    """Return the file that has a SuperNode run nothing this key has not signed."""
    public = ssh_text(key)
    return yaml.safe_dump({entity(public): public}).encode()


def write_yaml(path: Path, heading: str, data: Mapping[str, Any]) -> None:
    """Write a settings file with a heading of comments."""
    comments = "".join(f"# {line}\n" for line in heading.splitlines())
    plain = json.loads(json.dumps(data))
    text = comments + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    write_atomically(path, text.encode())
