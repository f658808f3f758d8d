"""What a phantom cohort is: a file such as studies/phantom_cohorts.yaml."""

import hashlib
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from common.cohort import Name
from common.phantoms.anatomies import AnyAnatomy
from common.phantoms.organ_lesion import OrganLesion
from common.seeds import LARGEST_SEED
from common.settings import Frozen, nearest, parse

GENERATOR = 1  # one more whenever the same spec would give other data
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Millimetres = Annotated[float, Field(gt=0.1, le=20.0)]
VoxelType = Literal["uint8", "int16", "float32"]


class Split(Frozen):
    """Of every block of so many patients, how many go where."""

    train: int = Field(3, ge=0)
    validation: int = Field(1, ge=0)
    test: int = Field(1, ge=0)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.train + self.validation + self.test < 1:
            raise ValueError("expected at least one patient in a block, got 0")
        return self


class Look(Frozen):
    """What a scanner does otherwise in one of its images."""

    contrast: float | None = Field(None, gt=0, le=3)
    noise: float | None = Field(None, ge=0, le=1)
    bias: float | None = Field(None, ge=0, lt=1)


class Scanner(Frozen):
    """How a site's machine shows the body."""

    scale: float = Field(1000.0, gt=0, description="MR: grey level of white matter (CT keeps HU)")
    contrast: float = Field(1.0, gt=0, le=3, description="stretches grey values about grey matter")
    noise: float = Field(0.04, ge=0, le=1, description="MR: Rician, of white matter; CT: in 100 HU")
    bias: float = Field(
        0.1, ge=0, lt=1, description="MR: how far the coil's shading goes up and down"
    )
    spacing_mm: tuple[Millimetres, Millimetres, Millimetres] = Field(
        (1.0, 1.0, 1.0), description="voxel size, (z, y, x)"
    )
    oblique_deg: float = Field(
        0.0, ge=-45, le=45, description="tilt of the slices about the left-right axis"
    )
    stored_as: VoxelType = "int16"
    images: dict[Name, Look] | None = Field(None, description="other settings of some images")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        highest = {"uint8": 255.0, "int16": 16000.0, "float32": 1e7}[self.stored_as]
        if self.scale > highest:
            raise ValueError(
                f"scale: expected at most {highest:g} where {self.stored_as} is stored, "
                f"got {self.scale:g}"
            )
        return self

    def of(self, image: str) -> "Scanner":
        """Return the settings of one image."""
        look = (self.images or {}).get(image, Look())
        return self.model_copy(update=look.model_dump(exclude_none=True))


class Patients(Frozen):
    """How a site's patients differ from the other sites'."""

    age_mean: float = Field(62.0, ge=30, le=85)
    female: Share = 0.5
    marker_doublings: float = Field(
        0.0, ge=-4, le=4, description="shift of the tumour marker's median"
    )
    size: float = Field(1.0, gt=0.7, lt=1.2, description="of the organ, as a factor")
    malignant_shift: float = Field(
        0.0, ge=-4, le=4, description="added to the log odds of the binary outcome"
    )
    hazard_shift: float = Field(0.0, ge=-4, le=4, description="added to the log hazard")


class Site(Frozen):
    """One hospital."""

    n_patients: int = Field(ge=1, le=100_000)
    role: Literal["developing", "external"] = "developing"
    scanner: Scanner = Scanner()
    patients: Patients = Patients()
    bilateral: Share = Field(0.2, description="share of patients with two cases")
    unlabelled: Share = Field(0.0, description="share of training cases without masks")
    reader2: Share = Field(0.0, description="share of cases that a second reader drew")
    missing: Share = Field(0.05, description="share of marker and stage values left out")
    missing_code: str = Field("", description="how this site writes a missing value")


class Effects(Frozen):
    """The planted truth. Each is per unit of the term its name says."""

    malignant_intercept: float = Field(-0.4, description="log odds at the reference")
    malignant_age_decade: float = 0.3
    malignant_marker_doubling: float = 0.5
    malignant_volume_doubling: float = 0.6
    malignant_heterogeneity_sd: float = 0.9
    hazard_age_decade: float = 0.15
    hazard_marker_doubling: float = 0.5
    hazard_stage: float = Field(0.45, description="log hazard ratio per stage")
    median_days: float = Field(900.0, gt=0, description="survival at the reference")
    weibull_shape: float = Field(1.2, gt=0)
    follow_up_days: tuple[float, float] = Field(
        (300.0, 2000.0), description="end of follow-up, uniform between these"
    )


class PhantomSpec(Frozen):
    """A multi-centre cohort of made-up patients."""

    seed: int = Field(ge=0, le=LARGEST_SEED)
    anatomy: AnyAnatomy = OrganLesion()
    split: Split = Split()
    effects: Effects = Effects()
    sites: dict[Name, Site] = Field(min_length=1)

    @model_validator(mode="after")
    def _images_are_there(self) -> Self:
        known = list(self.anatomy.images())
        strange = [
            f'sites.{site}.scanner.images: unknown image "{name}"{nearest(name, known)}'
            for site, its in self.sites.items()
            for name in its.scanner.images or {}
            if name not in known
        ]
        if strange:
            raise ValueError("; ".join(strange))
        return self

    def stamp(self, site: str) -> str:
        """Return the hash of everything that the data of one site depend on."""
        alone = self.model_copy(update={"sites": {site: self.sites[site]}})
        # A setting that is not there does not count: a new one leaves old phantoms as they are.
        text = f"{GENERATOR}\n{alone.model_dump_json(exclude_none=True)}"
        return hashlib.sha256(text.encode()).hexdigest()


def load_spec(text: str, file: str) -> PhantomSpec:
    """Return the phantom cohort that a YAML text describes.

    Raises:
        ConfigError: with every mistake found.
    """
    return parse(PhantomSpec, text, file)
