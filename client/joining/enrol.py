"""Lay out a site's folder from the coordinator's kit; make its keys; introduce it."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.files import write_atomically
from client.joining.place import SITE_FILE, Place, find_place, trust_only, write_yaml
from common.deployment import (
    AUTHORITY,
    KIT,
    Enrolment,
    Kit,
    as_text,
    public_identity,
    signed_enrolment,
    ssh_text,
)
from common.errors import ConfigError, Finding, why_not_opened
from common.privacy.identity import new_identity, private_text
from common.settings import parse

_MOST_BYTES = 1 << 20  # of one file of a kit
_IN_A_KIT = {KIT, AUTHORITY, "README.txt", "compose.yaml", "consortium-site.service"}
_PEM, _SSH = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
_NO_PASSWORD = serialization.NoEncryption()
_HEADING = """\
This hospital's own settings; never sent. Written by `consortium site init`, yours to change.
`consortium schema site` prints every setting, for editors; without `policy:` the
strict defaults hold, which README.md names ("The site's file").
Studies and partners that were let in by `consortium site approve` stand in approved.yaml."""


def enrol(
    kit_file: Path, folder: Path, cohort: Path, settings: Mapping[str, Any] | None = None
) -> tuple[Place, Enrolment]:
    """Lay out a new site and return it with what introduces it to the coordinator.

    Args:
        kit_file: zip from the coordinator.
        folder: for the site; may hold no site yet.
        cohort: folder with cohort.csv.
        settings: more for `site.yaml`.

    Raises:
        ConfigError: the kit is no kit, or there is a site already.
    """
    if (folder / SITE_FILE).exists():
        raise ConfigError([Finding(str(folder / SITE_FILE), None, "", "there is a site already")])
    files = _unpacked(kit_file)
    kit = parse(Kit, files[KIT].decode(), f"{kit_file}:{KIT}")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name, data in files.items():
        write_atomically(folder / name, data)
    enrolment = _with_new_keys(kit, folder)
    own = {"name": kit.site, "cohort": str(cohort.resolve()), **(settings or {})}
    write_yaml(folder / SITE_FILE, _HEADING, own)
    write_atomically(enrolment_file(folder, kit), as_text(enrolment).encode())
    return find_place(folder), enrolment


def check_folders(folder: Path, cohort: Path) -> None:
    """Check where a new site is to lie.

    Raises:
        ConfigError: there is no cohort, or the site would write into it.
    """
    if not cohort.is_dir():
        raise ConfigError([Finding(str(cohort), None, "", "expected the cohort's folder")])
    if folder.resolve().is_relative_to(cohort.resolve()):
        words = "lies in the cohort's folder, which is only read: choose another"
        raise ConfigError([Finding(str(folder), None, "", words)])


def enrolment_file(folder: Path, kit: Kit) -> Path:
    """Return where a site's enrolment lies, to be mailed to the coordinator."""
    return folder / f"enrolment-{kit.site}.json"


def _unpacked(kit_file: Path) -> dict[str, bytes]:
    try:
        with ZipFile(kit_file) as archive:
            infos = [info for info in archive.infolist() if info.filename in _IN_A_KIT]
            if any(info.file_size > _MOST_BYTES for info in infos):
                raise ConfigError([Finding(str(kit_file), None, "", "a file in it is too large")])
            files = {info.filename: archive.read(info) for info in infos}
    except BadZipFile:
        raise ConfigError(
            [Finding(str(kit_file), None, "", "no start-up kit: this is no zip file")]
        ) from None
    except OSError as error:
        raise ConfigError([Finding(str(kit_file), None, "", why_not_opened(error))]) from None
    missing = [name for name in (KIT, AUTHORITY) if name not in files]
    if missing:
        text = f"no start-up kit: expected {', '.join(missing)} in it"
        raise ConfigError([Finding(str(kit_file), None, "", text)])
    return files


def _with_new_keys(kit: Kit, folder: Path) -> Enrolment:
    """Make every key of a site, keep the private halves, return the public ones."""
    identity, approval = new_identity(), Ed25519PrivateKey.generate()
    connection = ec.generate_private_key(ec.SECP384R1())
    private = {
        "identity.key": private_text(identity).encode(),
        "connection.key": connection.private_bytes(_PEM, _SSH, _NO_PASSWORD),
        "approval.key": approval.private_bytes(_PEM, _SSH, _NO_PASSWORD),
        "secret": secrets.token_bytes(32),
    }
    for name, data in private.items():
        write_atomically(folder / name, data, mode=0o600)
    write_atomically(folder / "trusted.yaml", trust_only(approval))
    public = serialization.PublicFormat.OpenSSH, serialization.Encoding.OpenSSH
    opened = connection.public_key().public_bytes(public[1], public[0]).decode()
    unsigned = Enrolment(
        deployment=kit.deployment,
        site=kit.site,
        identity=public_identity(identity),
        connection=opened,
        approval=ssh_text(approval),
    )
    return signed_enrolment(unsigned, identity)
