"""A pelvis with a tumour of the rectal wall, on T2 and diffusion weighted MR.

The rectum is a bent tube in the fat of its compartment, between bladder, pelvic wall and
sacrum. The tumour lies in its wall. What outcomes are drawn from can be seen: the
tumour's volume, and, as its heterogeneity, how much of it is dense: bright in diffusion
and dark in T2 (where the fat around it is a reference that normalising the grey levels
leaves alone), and how patchy it is.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from common.cohort import Image, Mask
from common.phantoms.anatomy import Body, Layer, Traits, Weighting
from common.phantoms.fields import Floats, Grid, Triple, inside, smooth_field, stream
from common.settings import Frozen

WEIGHTINGS = {
    "t2": Weighting(
        "MR",
        {
            "fat": 0.95,
            "muscle": 0.28,
            "bone": 0.50,
            "fluid": 1.50,
            "wall": 0.36,
            "lumen": 0.08,
            "vessel": 0.12,
            "node": 0.55,
            "tumour": 0.68,
            "dense": 0.36,
        },
        centre=0.6,
    ),
    "dwi": Weighting(
        "MR",
        {
            "fat": 0.10,
            "muscle": 0.22,
            "bone": 0.18,
            "fluid": 0.12,
            "wall": 0.34,
            "lumen": 0.04,
            "vessel": 0.05,
            "node": 0.85,
            "tumour": 0.55,
            "dense": 1.45,
        },
        centre=0.4,
    ),
}

_EDGE_MM = 0.8
_LARGER = 40.0  # rectal tumours are larger than the lesions of the traits
Names = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Tube:
    """The rectum in a bent space.

    Attributes:
        z: of each point, in mm.
        y: from the tube's axis, towards the back.
        x: from the tube's axis, to the side.
        radius_mm: of the outer wall.
    """

    z: Floats
    y: Floats
    x: Floats
    radius_mm: float

    @property
    def wall(self) -> Floats:
        """Distance to the outer wall."""
        return np.asarray(np.hypot(self.y, self.x) - self.radius_mm)


class RectalTumour(Frozen):
    """A rectal tumour on T2 and diffusion weighted MR."""

    kind: Literal["rectal_tumour"] = "rectal_tumour"
    sequences: tuple[Literal["t2", "dwi"], ...] = ("t2", "dwi")
    size_mm: Triple = (48.0, 72.0, 72.0)

    def images(self) -> dict[str, Image]:
        """Return one image a sequence."""
        return {name: Image(modality="MR") for name in self.sequences}

    def masks(self) -> dict[str, Mask]:
        """Return the tumour, and a second reader's."""
        tumour = Mask(on=self.sequences[0], labels={"tumour": 1}, required=False)
        return {"tumour": tumour, "tumour@reader2": tumour}

    def weighting(self, image: str) -> Weighting:
        """Return the grey values of a sequence."""
        return WEIGHTINGS[image]

    def draw(self, grid: Grid, traits: Traits, *names: str | int) -> Body:
        """Return the patient of these stream names on a grid."""
        tube = _tube(grid, traits, names)
        tumour = _tumour(grid, tube, traits, names)
        other = tumour + 0.3 + 0.5 * smooth_field(stream(*names, "reader2"), grid, 5.0)
        layers = (
            *_pelvis(grid, names),
            *_compartment(tube, names),
            *_rectum(tube, names),
            *_tumour_layers(tumour, grid, traits.heterogeneity, names),
        )
        regions = {
            "tumour": {"tumour": inside(tumour, _EDGE_MM)},
            "tumour@reader2": {"tumour": inside(other, _EDGE_MM)},
        }
        return Body(layers, regions)


def _tube(grid: Grid, traits: Traits, names: Names) -> Tube:
    rng = stream(*names, "tube")
    z, y, x = grid.points()
    bend = [1.2 * smooth_field(rng, grid, 14.0) for _ in range(2)]
    sway = rng.normal(0.0, 2.0, 4)
    at = z / 24.0
    y = y - 6.0 - sway[0] - sway[1] * at - 4.0 * at**2 + bend[0]
    x = x - sway[2] - sway[3] * np.sin(1.6 * at) + bend[1]
    return Tube(np.broadcast_to(z, grid.shape), y, x, 12.0 * traits.size)


def _pelvis(grid: Grid, names: Names) -> tuple[Layer, ...]:
    """Return fat, the muscles of the wall, the sacrum behind and the bladder in front."""
    rng = stream(*names, "pelvis")
    z, y, x = grid.points()
    grain = 0.05 * smooth_field(rng, grid, 4.0)
    wide, deep = 31.0 + rng.normal(), 33.0 + rng.normal()
    ring = (np.hypot(x / wide, y / deep) - 1.0) * 31.0
    sacrum = np.hypot(x / 1.6, y - 36.0 - 0.12 * z) - 8.0
    bladder = (
        np.sqrt((x / 1.3) ** 2 + (y + 24.0 + rng.normal()) ** 2 + (z - 10.0) ** 2)
        - 9.5
        - rng.normal()
    )
    return (
        Layer("fat", np.ones(grid.shape), grain),
        Layer("muscle", inside(-ring, 1.2), grain),
        Layer("bone", np.broadcast_to(inside(sacrum, 1.2), grid.shape), grain),
        Layer("fluid", inside(bladder, 1.0)),
        Layer("muscle", inside(np.abs(bladder + 0.5) - 1.0, 0.8)),
    )


def _compartment(tube: Tube, names: Names) -> tuple[Layer, ...]:
    """Return vessels and small nodes in the fat around the rectum."""
    rng = stream(*names, "compartment")
    layers = []
    for _ in range(4):
        angle, away = rng.uniform(0.0, 6.3), tube.radius_mm + rng.uniform(3.0, 9.0)
        turn = angle + rng.normal(0.0, 0.4) * tube.z / 24.0
        apart = np.hypot(tube.y - away * np.sin(turn), tube.x - away * np.cos(turn))
        layers.append(Layer("vessel", inside(apart - rng.uniform(0.6, 1.1), 0.6)))
    for _ in range(3):
        angle, away = rng.uniform(0.0, 6.3), tube.radius_mm + rng.uniform(4.0, 9.0)
        y, x = tube.y - away * np.sin(angle), tube.x - away * np.cos(angle)
        apart = np.sqrt(y**2 + x**2 + (tube.z - rng.uniform(-18.0, 18.0)) ** 2)
        layers.append(Layer("node", inside(apart - rng.uniform(1.5, 2.5), 0.7)))
    return tuple(layers)


def _rectum(tube: Tube, names: Names) -> tuple[Layer, ...]:
    rng = stream(*names, "rectum")
    folded = 0.8 * np.sin(3.0 * np.arctan2(tube.y, tube.x) + 0.35 * tube.z + rng.uniform(0, 6.3))
    lumen = tube.wall + 4.0 + folded + rng.normal(0.0, 0.4)
    return (Layer("wall", inside(tube.wall, _EDGE_MM)), Layer("lumen", inside(lumen, _EDGE_MM)))


def _tumour(grid: Grid, tube: Tube, traits: Traits, names: Names) -> Floats:
    """Return the distance to a lobed lump in the wall, of just the volume of the traits."""
    rng = stream(*names, "tumour")
    angle = rng.uniform(0.0, 6.3)
    away = tube.radius_mm - 3.0
    y, x = tube.y - away * np.sin(angle), tube.x - away * np.cos(angle)
    rough = smooth_field(rng, grid, 6.0)
    z = (tube.z - rng.normal(0.0, 4.0)) / 1.2
    rho = np.sqrt(z**2 + y**2 + x**2) * (1.0 + 0.12 * rough)
    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000.0
    n = min(rho.size - 1, max(1, round(_LARGER * traits.volume_ml / voxel_ml)))
    return np.asarray(rho - np.partition(rho, n, axis=None)[n], np.float64)


def _tumour_layers(
    tumour: Floats, grid: Grid, heterogeneity: float, names: Names
) -> tuple[Layer, ...]:
    """Return the tumour, and how much of it is dense."""
    rng = stream(*names, "patches")
    strength = 0.09 * np.exp(0.5 * heterogeneity)
    patches = strength * smooth_field(rng, grid, 3.0)
    share = 1.0 / (1.0 + np.exp(-1.1 * heterogeneity - 0.5 * smooth_field(rng, grid, 5.0)))
    whole = inside(tumour, _EDGE_MM)
    return (Layer("tumour", whole, patches), Layer("dense", whole * share, patches))
