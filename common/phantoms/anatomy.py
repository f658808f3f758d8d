"""What every kind of body has to say: its tissues, its masks, how scanners show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from common.cohort import Column, Image, Mask
from common.phantoms.fields import Floats, Grid, Triple


@dataclass(frozen=True, slots=True)
class Traits:
    """What is special about one case; the outcomes are drawn from the same numbers.

    Attributes:
        volume_ml: of the lesion.
        heterogeneity: of the lesion, in standard deviations over all patients.
        size: of the organ, as a factor.
        left: whether it is the left side, which is shaped the other way round.
        male: sex.
        outcome: whether the binary outcome is yes.
        visit: which of the anatomy's visits it is, or "".
    """

    volume_ml: float
    heterogeneity: float
    size: float
    left: bool
    male: bool = False
    outcome: bool = False
    visit: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """One tissue, painted over all layers before it.

    Attributes:
        tissue: its name in the weightings.
        share: how much of each point it fills, 0 to 1, on the grid of the body.
        texture: added to its grey value, as a share of the weighting's span.
    """

    tissue: str
    share: Floats
    texture: Floats | float = 0.0


@dataclass(frozen=True, slots=True)
class Body:
    """A patient before any scanner.

    Attributes:
        layers: tissues from back to front.
        regions: by mask and label, how much of each point belongs to it.
    """

    layers: tuple[Layer, ...]
    regions: Mapping[str, Mapping[str, Floats]]


@dataclass(frozen=True, slots=True)
class Weighting:
    """How one kind of image shows the tissues.

    Attributes:
        modality: MR images get coil shading and Rician noise, CT keeps HU.
        grey: value of each tissue; in MR white matter is 1.
        centre: the grey value that a site's contrast turns about.
        span: grey values that a noise or texture of 1 means.
    """

    modality: Literal["MR", "CT"]
    grey: Mapping[str, float]
    centre: float
    span: float = 1.0


class Anatomy(Protocol):
    """A kind of body: one frozen pydantic model a file, listed in `anatomies.py`."""

    @property
    def size_mm(self) -> Triple:
        """Return the field of view, (z, y, x)."""

    def images(self) -> Mapping[str, Image]:
        """Return the images of a case, all on one grid."""

    def masks(self) -> Mapping[str, Mask]:
        """Return the masks of a case; labels are in the order of the regions."""

    def weighting(self, image: str) -> Weighting:
        """Return how an image shows the tissues."""

    def draw(self, grid: Grid, traits: Traits, *names: str | int) -> Body:
        """Return the patient of these stream names on a grid."""


class Clinical(Protocol):
    """What an anatomy has beside that whose patients are not those of `clinical.py`."""

    @property
    def finest_mm(self) -> float:
        """Return the longest step of the grid that its bodies are drawn on."""

    @property
    def visits(self) -> tuple[str, ...]:
        """Return the examinations of every patient, instead of a left and a right case."""

    def columns(self) -> Mapping[str, Column]:
        """Return the columns of the table."""

    def row(self, traits: Traits, cells: Mapping[str, str], *names: str | int) -> dict[str, str]:
        """Return the row of a case.

        Args:
            traits: of the case.
            cells: the row as `clinical.py` fills it.
            names: of the patient's stream.
        """
