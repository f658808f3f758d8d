"""A study with the code that answers it, as hospitals approve the two together."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import yaml

from common.deployment import BUNDLE, OFFER, STUDY, Approval, Offer, OfferedSite, verifications
from common.errors import ConfigError, Finding
from common.settings import parse
from common.sites import Roster
from common.study import read_study, study_hash
from server.arrays import write_file
from server.deploy.bundle import ROOT, stage
from server.deploy.control import Signed
from server.deploy.home import Home
from server.deploy.kits import zipped


@dataclass(frozen=True)
class Offered:
    """An offer on the coordinator's disk.

    Attributes:
        folder: holds study, code, and what is said about them.
        about: what is said about them.
    """

    folder: Path
    about: Offer

    @property
    def archive(self) -> Path:
        """The file to mail to every site."""
        return self.folder.with_suffix(".zip")

    def study(self) -> str:
        """Return the text of the study."""
        return (self.folder / STUDY).read_text(encoding="utf-8")

    def signed(self, home: Home) -> tuple[Signed, dict[str, Approval]]:
        """Return the code with every signature there is, and the approvals by site.

        Raises:
            ConfigError: the code was changed since it was offered.
        """
        content = (self.folder / BUNDLE).read_bytes()
        if hashlib.sha256(content).hexdigest() != self.about.bundle:
            text = "is not the code that was offered"
            raise ConfigError([Finding(str(self.folder / BUNDLE), None, "", text)])
        enrolled = home.enrolments()
        approvals = {
            site: approval
            for site, approval in home.approvals(self.about.study, self.about.bundle).items()
            if site in enrolled and approval.is_genuine(enrolled[site].approval)
        }
        by_key = {enrolled[site].approval: approval for site, approval in approvals.items()}
        return Signed(content, self.about.bundle, verifications(by_key)), approvals


def make_offer(home: Home, study: str, file: str, root: Path = ROOT) -> Offered:
    """Write an offer of a study with the code as it is now.

    Args:
        home: the coordinator.
        study: text of the study.
        file: its name, for messages.
        root: the checkout whose code is offered.

    Raises:
        ConfigError: the study has mistakes, or a site has not enrolled.
    """
    name, sha256 = read_study(study, file).name, study_hash(study)
    roster = parse(Roster, home.roster_with_keys(), "sites.yaml")
    bundle = build(home.folder / "coordinator" / "staged", root)
    sites = {
        site: OfferedSite(role=entry.role, key=entry.key)
        for site, entry in roster.sites.items()
        if entry.key is not None
    }
    digest = hashlib.sha256(bundle).hexdigest()
    offer = Offer(deployment=home.settings.name, study=sha256, bundle=digest, sites=sites)
    files = {
        OFFER: yaml.safe_dump(offer.model_dump(mode="json"), sort_keys=False).encode(),
        STUDY: study.encode(),
        BUNDLE: bundle,
    }
    offered = Offered(home.offers / f"offer-{name}-{sha256[:8]}-{digest[:8]}", offer)
    for part, data in files.items():
        write_file(offered.folder / part, data)
    write_file(offered.archive, zipped(files))
    return offered


def find_offer(home: Home, sha256: str) -> Offered:
    """Return the latest offer of a study.

    Raises:
        ConfigError: it was never offered.
    """
    found = []
    for path in home.offers.glob(f"*/{OFFER}"):
        offer = parse(Offer, path.read_text(encoding="utf-8"), str(path))
        if offer.study == sha256:
            found.append((path.stat().st_mtime, path.parent, offer))
    if not found:
        text = f"study {sha256[:12]} was not offered to the sites: consortium deploy offer"
        raise ConfigError([Finding(str(home.offers), None, "", text)])
    _, folder, offer = max(found, key=lambda one: one[0])
    return Offered(folder, offer)


def build(folder: Path, root: Path = ROOT) -> bytes:
    """Return the bundle of the code below `root`; the same code gives the same bytes."""
    from flwr.cli.build import build_fab_from_disk

    return bytes(build_fab_from_disk(stage(folder, root)))
