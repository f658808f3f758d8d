"""The files that change hands when hospitals join: kit, enrolment, offer, approval.

A kit goes from the coordinator to a site and holds nothing secret: a site makes its own
keys. An enrolment comes back with their public halves. An offer is a study with the code
that answers it; an approval is a hospital's signature under both.
"""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field

from common.cohort import Name
from common.privacy.identity import public_text, verified
from common.settings import Frozen
from common.sites import Hex

KIT, AUTHORITY = "kit.yaml", "ca.pem"
OFFER, STUDY, BUNDLE = "offer.yaml", "study.yaml", "bundle.fab"
APPROVED = "approved.yaml"


class Kit(Frozen):
    """What a site needs to know about its coordinator."""

    deployment: Name = Field(description="the consortium's name")
    site: Name = Field(description="the name under which the roster lists this site")
    coordinator: str = Field(description="host:port that this site connects to; nothing else")


class Enrolment(Frozen):
    """A site's public keys, signed with its identity."""

    kind: Literal["enrolment"] = "enrolment"
    deployment: Name
    site: Name
    identity: Hex = Field(description="signs session keys and replies")
    connection: str = Field(description="opens the connection; OpenSSH's form, ECDSA P-384")
    approval: str = Field(description="signs approved code; OpenSSH's form, Ed25519")
    signature: str = Field("", description="over all else, by the identity")

    def is_genuine(self) -> bool:
        """Tell whether whoever holds the identity wrote this."""
        return verified(self.identity, _bytes(self.signature), _signed_part(self))


class OfferedSite(Frozen):
    """A partner as an offer names it."""

    role: Literal["develop", "external"]
    key: Hex


class Offer(Frozen):
    """What a study's offer holds beside study and code."""

    deployment: Name
    study: Hex = Field(description="sha256 of study.yaml")
    bundle: Hex = Field(description="sha256 of bundle.fab, the code")
    sites: dict[Name, OfferedSite] = Field(description="everyone who takes part")


class Approval(Frozen):
    """A hospital's yes to one study and the code that answers it."""

    kind: Literal["approval"] = "approval"
    deployment: Name
    site: Name
    study: Hex
    bundle: Hex
    signed_at: int = Field(description="seconds since 1970")
    code_signature: str = Field(description="over time and code, in Flower's form")
    signature: str = Field("", description="over all else, by the same key")

    def is_genuine(self, key: str) -> bool:
        """Tell whether the holder of an approval key, in OpenSSH's form, wrote this."""
        return _verified_by(key, self.signature, _signed_part(self)) and _verified_by(
            key, self.code_signature, code_message(self.bundle, self.signed_at)
        )


class DryTry(Frozen):
    """What came of one try of a study at a site."""

    answered: tuple[str, ...] = Field(description="steps that gave an answer")
    failed: dict[str, str] = Field(description="why others did not")
    seconds: float
    longest_work_s: float = Field(description="of one round")


class DryRun(Frozen):
    """What `consortium site dry-run` found; not signed. No path, no number of a patient."""

    kind: Literal["dry_run"] = "dry_run"
    site: Name
    study: Hex
    machine: dict[str, int | str]
    versions: dict[str, str]
    tries: dict[Literal["phantoms", "own"], DryTry]


class Approved(Frozen):
    """`approved.yaml`, beside site.yaml: what `consortium site approve` has let in."""

    studies: tuple[Hex, ...] = ()
    partners: dict[Name, Hex] = Field({})


def signed_enrolment(unsigned: Enrolment, identity: Ed25519PrivateKey) -> Enrolment:
    """Return an enrolment with its signature."""
    return unsigned.model_copy(update={"signature": identity.sign(_signed_part(unsigned)).hex()})


def signed_approval(unsigned: Approval, key: Ed25519PrivateKey) -> Approval:
    """Return an approval with both of its signatures."""
    code = key.sign(code_message(unsigned.bundle, unsigned.signed_at))
    half = unsigned.model_copy(update={"code_signature": _base64(code)})
    return half.model_copy(update={"signature": _base64(key.sign(_signed_part(half)))})


def code_message(bundle: str, signed_at: int) -> bytes:
    """Return what is signed to let code in: Flower checks this very message."""
    return signed_at.to_bytes(8, "big") + bytes.fromhex(bundle)


def entity(approval_key: str) -> str:
    """Return the name by which Flower calls an approval key."""
    return f"fpk_{hashlib.sha256(approval_key.encode()).hexdigest()[:32]}"


def ssh_text(key: Ed25519PrivateKey) -> str:
    """Return the public half of a key in OpenSSH's form."""
    ssh, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(ssh, form).decode()


def fingerprint(public: str) -> str:
    """Return a public key as people read it to each other over the phone."""
    digest = hashlib.sha256(public.encode()).hexdigest()[:24]
    return " ".join(digest[i : i + 4] for i in range(0, len(digest), 4))


def site_fingerprint(enrolment: Enrolment) -> str:
    """Return the fingerprint of all keys of a site."""
    return fingerprint(f"{enrolment.identity} {enrolment.connection} {enrolment.approval}")


def as_text(model: Frozen) -> str:
    """Return a file of this page as it is written."""
    return json.dumps(model.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"


def verification(approval: Approval) -> str:
    """Return an approval's signature as Flower keeps it beside the code."""
    return json.dumps({"signed_at": approval.signed_at, "signature": approval.code_signature})


def verifications(approvals: Mapping[str, Approval]) -> dict[str, str]:
    """Return the signatures under a bundle as Flower wants them.

    Args:
        approvals: by the approval key in OpenSSH's form.
    """
    signed = {entity(key): verification(approval) for key, approval in approvals.items()}
    return {"valid_license": "consortium", **signed}


def public_identity(identity: Ed25519PrivateKey) -> str:
    """Return the public half of an identity, as rosters hold it."""
    return public_text(identity)


def _signed_part(model: Frozen) -> bytes:
    data: dict[str, Any] = model.model_dump(mode="json", exclude={"signature"})
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _verified_by(key: str, signature: str, message: bytes) -> bool:
    try:
        public = serialization.load_ssh_public_key(key.encode())
        if not isinstance(public, Ed25519PublicKey):
            return False
        public.verify(urlsafe_b64decode(signature + "=" * (-len(signature) % 4)), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
