"""Let a study and its code in: read the offer, sign it, note it. Nothing else lets anything in."""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client import audit
from client.files import write_atomically
from client.joining.place import Place, write_yaml
from common.deployment import (
    BUNDLE,
    OFFER,
    STUDY,
    Approval,
    Approved,
    Offer,
    as_text,
    signed_approval,
)
from common.errors import ConfigError, Finding, why_not_opened
from common.settings import parse
from common.study import Study, read_study, study_hash

_MOST_BYTES = 32 << 20
_HEADING = """\
What `consortium site approve` has let in, beside site.yaml. Take a line out and it is let in
no more, from the next question on; `consortium site approve --withdraw` does it for you."""


@dataclass(frozen=True)
class Proposal:
    """An offer that was read and found whole.

    Attributes:
        offer: what it says about itself.
        study: the study.
        text: of the study's file.
        code: the bundle.
    """

    offer: Offer
    study: Study
    text: str
    code: bytes


def read_proposal(place: Place, path: Path) -> Proposal:
    """Return the offer in a file.

    Raises:
        ConfigError: it is no offer, not for this site, or not whole.
    """
    files = _unpacked(path)
    offer = parse(Offer, files[OFFER].decode(), f"{path}:{OFFER}")
    text = files[STUDY].decode()
    wrong = []
    if offer.deployment != place.kit.deployment:
        wrong.append(f'is of "{offer.deployment}", this site belongs to "{place.kit.deployment}"')
    if study_hash(text) != offer.study:
        wrong.append("the study is not the one the offer names")
    if hashlib.sha256(files[BUNDLE]).hexdigest() != offer.bundle:
        wrong.append("the code is not the one the offer names")
    if place.site.name not in offer.sites:
        wrong.append(f'"{place.site.name}" takes no part in it')
    known = place.site.settings.partners
    for name, site in offer.sites.items():
        if known.get(name) not in {None, site.key}:
            wrong.append(f'"{name}" has another key than the one this site knows')
    if wrong:
        raise ConfigError([Finding(str(path), None, "", words) for words in wrong])
    return Proposal(offer, read_study(text, f"{path}:{STUDY}"), text, files[BUNDLE])


def approve(place: Place, proposal: Proposal, key: Ed25519PrivateKey) -> Approval:
    """Let a study and its code in; return what tells the coordinator so.

    Args:
        place: the site.
        proposal: what is let in.
        key: the hospital's approval key.
    """
    offer, site = proposal.offer, place.site
    unsigned = Approval(
        deployment=offer.deployment,
        site=site.name,
        study=offer.study,
        bundle=offer.bundle,
        signed_at=int(time.time()),
        code_signature="",
    )
    approval = signed_approval(unsigned, key)
    audit.record(
        site.workspace / "audit.jsonl", event="approval", study=offer.study, bundle=offer.bundle
    )
    write_atomically(site.room("studies") / f"{offer.study}.yaml", proposal.text.encode())
    before = place.approved()
    partners = {name: entry.key for name, entry in offer.sites.items()}
    studies = tuple(dict.fromkeys([*before.studies, offer.study]))
    _write(place, Approved(studies=studies, partners={**before.partners, **partners}))
    write_atomically(approval_file(place, approval), as_text(approval).encode())
    return approval


def check_can_be_noted(place: Place) -> None:
    """Check that a yes can be written down, before anybody is asked for it.

    Raises:
        ConfigError: the site's folder or its workspace cannot be written.
    """
    closed = [f for f in (place.folder, place.site.workspace) if f.exists() and not _is_open(f)]
    if closed:
        words = "this user may not write in this folder, where a yes is noted"
        raise ConfigError([Finding(str(folder), None, "", words) for folder in closed])


def _is_open(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def withdraw(place: Place, study: str) -> tuple[str, ...]:
    """Let a study in no more; return in words which were let in by command, and are not now.

    Args:
        place: the site.
        study: its sha256, or the first eight digits and more of it.
    """
    before = place.approved()
    gone = [s for s in before.studies if len(study) >= 8 and s.startswith(study)]
    if not gone:
        return ()
    kept = tuple(s for s in before.studies if s not in gone)
    _write(place, before.model_copy(update={"studies": kept}))
    for sha256 in gone:
        audit.record(place.site.workspace / "audit.jsonl", event="withdrawal", study=sha256)
    return tuple(_named(place, sha256) for sha256 in gone)


def _named(place: Place, sha256: str) -> str:
    """Return what a person calls a study that was let in: its title, where it is kept here."""
    kept = place.site.workspace / "studies" / f"{sha256}.yaml"
    try:
        study = read_study(kept.read_text(encoding="utf-8"), str(kept))
    except (OSError, UnicodeDecodeError, ConfigError):
        return f"study {sha256[:12]}"  # its file is gone or of another time; the hash names it
    return f'study "{study.title or study.name}" ({sha256[:12]})'


def approval_file(place: Place, approval: Approval) -> Path:
    """Return where an approval lies, to be mailed to the coordinator."""
    return place.folder / f"approval-{approval.site}-{approval.study[:8]}.json"


def _write(place: Place, approved: Approved) -> None:
    write_yaml(place.approved_file, _HEADING, approved.model_dump(mode="json"))


def _unpacked(path: Path) -> dict[str, bytes]:
    try:
        with ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            missing = {OFFER, STUDY, BUNDLE} - set(sizes)
            if missing or sum(sizes.values()) > _MOST_BYTES:
                words = f"lacks {', '.join(sorted(missing))}" if missing else "is too large"
                raise ConfigError([Finding(str(path), None, "", f"no offer: it {words}")])
            return {name: archive.read(name) for name in (OFFER, STUDY, BUNDLE)}
    except BadZipFile:
        raise ConfigError([Finding(str(path), None, "", "no offer: this is no zip file")]) from None
    except OSError as error:
        raise ConfigError([Finding(str(path), None, "", why_not_opened(error))]) from None
