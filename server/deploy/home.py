"""The coordinator's folder: settings, roster, keys, what sites have sent, offers, runs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field

from common.cohort import Name
from common.deployment import Approval, DryRun, Enrolment
from common.errors import ConfigError, Finding
from common.machine.standing import Standing
from common.settings import Frozen, parse, read_yaml
from common.sites import Roster
from server.deploy.flower import Link
from server.deploy.proxy import Proxy

SETTINGS, SITES = "deployment.yaml", "sites.yaml"
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LONGEST_HOST = 253  # RFC 1035


def _host(value: str) -> str:
    if len(value) > _LONGEST_HOST or not all(map(_LABEL.fullmatch, value.split("."))):
        raise ValueError(
            "expected the name or the IPv4 address of this machine as sites see it, such as "
            f"trials.example.org, without https:// and port; got {value[:60]!r}"
        )
    return value


Host = Annotated[str, AfterValidator(_host)]


class DeploymentSettings(Frozen):
    """`deployment.yaml`: where sites find the coordinator."""

    name: Name = Field(description="the consortium's name")
    host: Host = Field(description="name or address by which sites call the coordinator")
    port: int = Field(443, ge=1, le=65535, description="the one port that sites connect to")
    listen: str = Field("0.0.0.0", description="address on which the proxy listens")  # noqa: S104
    link_port: int = Field(
        8000, ge=1, le=65535, description="SuperLink's own port, on this machine only"
    )


def settings_of(options: Mapping[str, str | int]) -> DeploymentSettings:
    """Return the settings that the options of a command name.

    Raises:
        ConfigError: with every mistake, by the option's name.
    """
    try:
        return parse(DeploymentSettings, yaml.safe_dump(dict(options)), "")
    except ConfigError as error:
        named = [(f"--{f.path.replace('_', '-')}", f.message) for f in error.findings]
        raise ConfigError([Finding(option, None, "", words) for option, words in named]) from None


@dataclass(frozen=True)
class Home:
    """One coordinator.

    Attributes:
        folder: holds all of it.
    """

    folder: Path

    @cached_property
    def settings(self) -> DeploymentSettings:
        """Where sites find the coordinator."""
        return parse(DeploymentSettings, self._text(SETTINGS), str(self.folder / SETTINGS))

    @cached_property
    def roster(self) -> Roster:
        """Who takes part."""
        return parse(Roster, self._text(SITES), str(self.folder / SITES))

    @property
    def link(self) -> Link:
        """The coordinator's post office."""
        return Link(self.folder / "coordinator", self.settings.link_port)

    @property
    def proxy(self) -> Proxy:
        """The door that sites see."""
        return Proxy(self.link, self.settings.listen, self.settings.port)

    @property
    def address(self) -> str:
        """What sites connect to."""
        return f"{self.settings.host}:{self.settings.port}"

    @property
    def standing(self) -> Standing:
        """The process that keeps the coordinator up."""
        return Standing(self.folder, "up")

    @property
    def runs(self) -> Path:
        """Folder of all runs."""
        return self.folder / "runs"

    @property
    def offers(self) -> Path:
        """Folder of all offers."""
        return self.folder / "offers"

    @property
    def kits(self) -> Path:
        """Folder of the start-up kits."""
        return self.folder / "kits"

    @property
    def logs(self) -> Path:
        """Logs of the coordinator's processes."""
        return self.folder / "logs"

    def enrolments(self) -> dict[str, Enrolment]:
        """Return every site's public keys that were taken in, by site."""
        found = self._read(Enrolment, "enrolled")
        return {enrolment.site: enrolment for enrolment in found}

    def approvals(self, study: str, bundle: str) -> dict[str, Approval]:
        """Return the approvals of one study and bundle, by site."""
        found = self._read(Approval, "approvals")
        return {a.site: a for a in found if (a.study, a.bundle) == (study, bundle)}

    def file_of(self, received: Enrolment | Approval | DryRun) -> Path:
        """Return where something that a site has sent is kept."""
        if isinstance(received, DryRun):
            return self.folder / "dry_runs" / f"{received.site}-{received.study[:12]}.json"
        if isinstance(received, Enrolment):
            return self.folder / "enrolled" / f"{received.site}.json"
        name = f"{received.site}-{received.study[:12]}-{received.bundle[:12]}.json"
        return self.folder / "approvals" / name

    def roster_with_keys(self) -> str:
        """Return the roster as a run keeps it: with keys, without paths to anyone's data.

        Raises:
            ConfigError: a site has not enrolled.
        """
        enrolled = self.enrolments()
        missing = sorted(set(self.roster.sites) - set(enrolled))
        if missing:
            text = f"no enrolment yet of {', '.join(missing)}; see: consortium deploy take"
            raise ConfigError([Finding(str(self.folder / SITES), None, "sites", text)])
        roster: dict[str, Any] = read_yaml(self._text(SITES), SITES)[0]
        roster.pop("simulation", None)
        for name in roster["sites"]:
            entry = roster["sites"][name] or {}
            entry.pop("simulate", None)
            roster["sites"][name] = {**entry, "key": enrolled[name].identity}
        return yaml.safe_dump(roster, sort_keys=False)

    def _read(self, model: Any, folder: str) -> Iterator[Any]:
        for path in sorted((self.folder / folder).glob("*.json")):
            yield parse(model, path.read_text(encoding="utf-8"), str(path))

    def _text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


def find_home(folder: Path) -> Home:
    """Return the coordinator in a folder.

    Raises:
        ConfigError: there is none, or its files have mistakes.
    """
    if not (folder / SETTINGS).exists():
        text = "no deployment here; begin with: consortium deploy init"
        raise ConfigError([Finding(str(folder / SETTINGS), None, "", text)])
    home = Home(folder.resolve())
    home.settings, home.roster  # noqa: B018  (read now: mistakes are told before work begins)
    return home
