"""The roster: who takes part in a run and in which role. The coordinator's own file.

`sites.example.yaml` shows every setting with a comment.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from common.cohort import Name
from common.salvage import Path, refuse_all
from common.seeds import LARGEST_SEED
from common.settings import Frozen

POOLED = "pooled"

Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class PolicySettings(Frozen):
    """A site's rules. They refuse; they never change a study in silence."""

    approved_studies: tuple[Hex, ...] = Field((), description="sha256 of each study file allowed")
    columns: tuple[str, ...] | None = Field(
        None, description="columns a study may read, patterns allowed; empty: all it declares"
    )
    smallest_cohort: int = Field(10, ge=10, description="fewest cases behind any reply")
    smallest_cell: int = Field(
        5, ge=5, description="fewest patients in a cell that goes out in clear"
    )
    fewest_sites: int = Field(3, ge=2, description="fewest sites in a masked sum")
    per_site: bool = Field(False, description="may this site's own statistics go out in clear?")
    smallest_part: int = Field(
        1,
        ge=1,
        description="fewest of this site's patients in a split, or in a level of a category "
        "a step reads, that may enter a masked sum",
    )
    smallest_gap: int = Field(
        1,
        ge=1,
        description="fewest of this site's patients that lack the same values of a study; those "
        "with a rarer pattern are left out of it, as sums with and without a value would tell "
        "of them; 1: nobody is",
    )
    most_coefficients_per_patient: float = Field(
        0.33, gt=0, le=0.33, description="of a regression; patients: this site's times the sites"
    )
    most_numbers_per_patient: float = Field(
        1000, gt=0, description="let out of one study; patients: this site's times the sites"
    )
    most_epsilon: float = Field(
        10.0,
        ge=0,
        description="largest privacy loss of this site's patients, over all trainings with "
        "privacy in all studies",
    )
    budget_delta: float = Field(
        1e-5, gt=0, le=1e-3, description="chance with which the loss may be larger"
    )
    most_shapes_epsilon: float | None = Field(
        100.0,
        ge=0,
        description="largest sum of epsilon, over columns and runs, that steps of kind "
        "site_shapes may take; they need per_site too; null: no limit",
    )
    share_network: bool = Field(False, description="may a network trained here alone go out?")

    def opens(self, column: str) -> bool:
        """Tell whether a study may read a column; what a step made itself it may."""
        if self.columns is None or "." in column:
            return True
        return any(fnmatchcase(column, pattern) for pattern in self.columns)


class SimulatedSite(Frozen):
    """Where the simulation finds a site's data, and what its policy would be."""

    cohort: str = Field(description="folder with cohort.csv, relative to the roster's file")
    further_folders: tuple[str, ...] = Field(
        (), description="besides it, where files that cohort.csv names may lie"
    )
    columns: dict[str, str] = Field({}, description="the site's own column names: {own: study's}")
    policy: PolicySettings = PolicySettings()
    device: str = Field("auto", description="auto, cpu, cuda:0, ...")
    processes: int = Field(
        0, ge=0, description="that extract features at the same time; 0: one for each core"
    )
    scales: dict[str, float] = Field(
        {}, description="grey levels of an image times this are in the study's unit: {adc: 1000}"
    )


class RosterSite(Frozen):
    """One site of a run."""

    role: Literal["develop", "external"] = Field(
        "develop", description="an external site never trains and never tunes; it validates"
    )
    key: Hex | None = Field(None, description="the site's public identity key, in deployment")
    simulate: SimulatedSite | None = None


class SimulationSettings(Frozen):
    """One machine plays all sites."""

    workers: int = Field(2, ge=1, le=256, description="sites that work at the same time")
    engine: Literal["processes", "threads", "ray"] = "processes"
    phantoms: str | None = Field(
        None, description="a phantom specification; its cohorts are made where they are missing"
    )
    phantoms_folder: str = Field("phantoms", description="where, beside the roster's file")


class Roster(Frozen):
    """Who takes part: `sites.yaml`."""

    sites: dict[Name, RosterSite] = Field(min_length=1)
    quorum: int = Field(3, ge=1, description="fewest sites with which a sum still counts")
    deadline_s: float = Field(3600, gt=0, description="longest wait for the replies of a round")
    wait_s: float = Field(120, gt=0, description="longest wait for all sites to join at the start")
    patience: int = Field(
        2, ge=1, description="rounds in a row a site may fail before it is left out for good"
    )
    seed: int = Field(1, ge=0, le=LARGEST_SEED)
    simulation: SimulationSettings = SimulationSettings()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse_all(self._problems())
        return self

    @property
    def developing(self) -> tuple[str, ...]:
        """Names of the developing sites, in order."""
        return tuple(n for n, site in sorted(self.sites.items()) if site.role == "develop")

    @property
    def external(self) -> tuple[str, ...]:
        """Names of the external sites, in order."""
        return tuple(n for n, site in sorted(self.sites.items()) if site.role == "external")

    def _problems(self) -> Iterator[tuple[Path, str]]:
        n = len(self.developing)
        if POOLED in self.sites:
            yield ("sites", POOLED), "the name of the pooled baseline; no site can have it"
        if not n:
            yield ("sites",), 'expected at least one site with role "develop", got none'
        elif self.quorum > n:
            yield ("quorum",), f"expected at most the {n} developing sites, got {self.quorum}"
        owners: dict[str, str] = {}
        for name, site in self.sites.items():
            if site.key is not None and site.key in owners:
                text = f'the key of "{owners[site.key]}" too; every site makes its own'
                yield ("sites", name, "key"), text
            elif site.key is not None:
                owners[site.key] = name
