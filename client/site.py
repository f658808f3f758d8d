"""A site's own settings, `site.yaml`: never sent, and known to this site alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field

from common.cohort import Name
from common.deployment import APPROVED, Approved
from common.privacy.identity import read_identity
from common.settings import Frozen, decoded, parse
from common.sites import Hex, PolicySettings


class SiteSettings(Frozen):
    """The hospital's file. Paths are relative to it."""

    name: Name = Field(description="the name under which the roster lists this site")
    cohort: str | tuple[str, ...] = Field(description="folder, or folders, with cohort.csv")
    further_folders: tuple[str, ...] = Field(
        (), description="besides the cohort's own, where files that cohort.csv names may lie"
    )
    workspace: str = Field("workspace", description="audit log, caches, predictions, tables")
    identity: str = Field("identity.key", description="file with this site's private key")
    partners: dict[Name, Hex] = Field(
        {}, description="public identity keys of the sites this one adds up with"
    )
    columns: dict[str, str] = Field({}, description="own column names: {own: study's}")
    device: str = Field("auto", description="auto, cpu, cuda:0, ...")
    threads: int = Field(
        1, ge=1, description="threads of a training; the last bits of a result depend on it"
    )
    processes: int = Field(
        0, ge=0, description="that extract features at the same time; 0: one for each core"
    )
    scales: dict[Name, Annotated[float, Field(gt=0)]] = Field(
        {}, description="grey levels of an image times this are in the study's unit: {adc: 1000}"
    )
    policy: PolicySettings = PolicySettings()


@dataclass(frozen=True)
class Site:
    """A site's settings with its folders.

    Attributes:
        settings: what the hospital wrote.
        folder: where `site.yaml` lies.
    """

    settings: SiteSettings
    folder: Path

    @property
    def name(self) -> str:
        """The site's name."""
        return self.settings.name

    @property
    def policy(self) -> PolicySettings:
        """The hospital's rules."""
        return self.settings.policy

    @property
    def cohorts(self) -> tuple[Path, ...]:
        """Folders with cohort.csv."""
        named = self.settings.cohort
        return tuple(self.folder / c for c in ((named,) if isinstance(named, str) else named))

    @property
    def further_folders(self) -> tuple[Path, ...]:
        """Folders besides the cohort's own in which its files may lie."""
        return tuple(self.folder / named for named in self.settings.further_folders)

    @property
    def workspace(self) -> Path:
        """The folder for all this site writes."""
        return self.folder / self.settings.workspace

    def room(self, *parts: str) -> Path:
        """Return a folder of the workspace, made where it is missing."""
        folder = self.workspace.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def identity(self) -> Ed25519PrivateKey:
        """Return the private key that signs this site's replies."""
        return read_identity((self.folder / self.settings.identity).read_text())


def load_site(path: Path) -> Site:
    """Return the site whose `site.yaml` is `path`.

    What `consortium site approve` has let in, in the file beside it, counts as if it stood there.

    Raises:
        ConfigError: a file has mistakes.
    """
    settings = parse(SiteSettings, decoded(path.read_bytes(), str(path)), str(path))
    beside = path.parent / APPROVED
    if beside.exists():
        approved = parse(Approved, decoded(beside.read_bytes(), str(beside)), str(beside))
        studies = (*settings.policy.approved_studies, *approved.studies)
        policy = settings.policy.model_copy(update={"approved_studies": studies})
        partners = {**approved.partners, **settings.partners}
        settings = settings.model_copy(update={"policy": policy, "partners": partners})
    return Site(settings, path.parent)
