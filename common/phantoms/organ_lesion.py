"""A crop of a brain-like body: a curved organ of two parts, with a lesion in it.

The organ lies in white matter between folded grey matter, a fluid space, vessels and a
neighbour of the same grey value, so that a threshold finds none of it. Shapes are
signed distances in mm, negative inside, bent by one smooth random displacement.
"""

from typing import Literal

import numpy as np

from common.cohort import Image, Mask
from common.phantoms import brain_shapes as shapes
from common.phantoms.anatomy import Body, Layer, Traits, Weighting
from common.phantoms.brain_shapes import Names, Space
from common.phantoms.fields import Floats, Grid, Triple, inside, smooth_field, stream
from common.settings import Frozen

WEIGHTINGS = {
    "t1": Weighting(
        "MR",
        {
            "white": 1.0,
            "grey": 0.68,
            "fluid": 0.22,
            "vessel": 0.10,
            "front": 0.66,
            "back": 0.70,
            "lesion": 0.46,
        },
        centre=0.68,
    ),
    "t2": Weighting(
        "MR",
        {
            "white": 0.42,
            "grey": 0.62,
            "fluid": 1.25,
            "vessel": 0.08,
            "front": 0.66,
            "back": 0.63,
            "lesion": 0.90,
        },
        centre=0.62,
    ),
    "ct": Weighting(
        "CT",
        {
            "white": 27.0,
            "grey": 38.0,
            "fluid": 4.0,
            "vessel": 130.0,
            "front": 41.0,
            "back": 39.0,
            "lesion": 62.0,
        },
        centre=38.0,
        span=100.0,
    ),
}

_EDGE_MM = 0.55  # of a tissue's border, about the blur of a 1 mm voxel


class OrganLesion(Frozen):
    """A two-part organ with a lesion, as MR (t1, t2) or CT."""

    kind: Literal["organ_lesion"] = "organ_lesion"
    sequences: tuple[Literal["t1", "t2", "ct"], ...] = ("t1", "t2")
    size_mm: Triple = (32.0, 40.0, 32.0)

    def images(self) -> dict[str, Image]:
        """Return one image a sequence."""
        return {
            name: Image(modality=WEIGHTINGS[name].modality, unit="HU" if name == "ct" else "")
            for name in self.sequences
        }

    def masks(self) -> dict[str, Mask]:
        """Return the organ, a second reader's organ, and the lesion."""
        on, organ = self.sequences[0], {"front": 1, "back": 2}
        return {
            "organ": Mask(on=on, labels=organ, required=False),
            "organ@reader2": Mask(on=on, labels=organ, required=False),
            "lesion": Mask(on=on, labels={"lesion": 1}, required=False),
        }

    def weighting(self, image: str) -> Weighting:
        """Return the grey values of a sequence."""
        return WEIGHTINGS[image]

    def draw(self, grid: Grid, traits: Traits, *names: str | int) -> Body:
        """Return the patient of these stream names on a grid."""
        space = Space.bent(grid, traits.left, names)
        organ = shapes.organ(space, traits.size)
        front = inside(shapes.front(space, traits.size, names), _EDGE_MM)
        lesion = _lesion(space, traits, names)
        other = organ - 0.05 + 0.35 * smooth_field(stream(*names, "reader2"), grid, 4.0)
        layers = (
            *_surroundings(space, organ, names),
            *_fluid(space, organ, traits.size, names),
            *_organ(space, organ, front, names),
            *_vessels(space, organ, names),
            _lesion_layer(lesion, grid, traits.heterogeneity, names),
        )
        regions = {
            "organ": _parts(organ, front),
            "organ@reader2": _parts(other, front),
            "lesion": {"lesion": inside(lesion, _EDGE_MM)},
        }
        return Body(layers, regions)


def _parts(organ: Floats, front: Floats) -> dict[str, Floats]:
    whole = inside(organ, _EDGE_MM)
    return {"front": whole * front, "back": whole * (1.0 - front)}


def _surroundings(space: Space, organ: Floats, names: Names) -> tuple[Layer, ...]:
    """Return white matter, folded cortex with its fluid, and the organ's neighbour."""
    rng = stream(*names, "surroundings")
    grain = 0.025 * smooth_field(rng, space.grid, 2.2)
    depth = shapes.folds(space, 0.2 + 2.4 * np.exp(-((organ / 4.5) ** 2)), names)
    ribbon = 3.1 + rng.normal(0.0, 0.2)
    sulcus = 0.35 + 0.4 * smooth_field(rng, space.grid, 7.0)
    middle = (3.0 + rng.normal(), -15.5 + rng.normal(), 0.5 + rng.normal())
    neighbour = shapes.ellipsoid(space, middle, (5.5, 4.5, 5.5))
    return (
        Layer("white", np.ones(space.grid.shape), grain),
        Layer("grey", inside(depth - ribbon, 0.9), grain),
        Layer("fluid", inside(depth - sulcus, 0.8)),
        Layer("grey", inside(neighbour, 0.8), grain),
    )


def _fluid(space: Space, organ: Floats, size: float, names: Names) -> tuple[Layer, ...]:
    """Return the crescent of fluid above and beside the organ."""
    rng = stream(*names, "fluid")
    shift = (rng.normal(1.6, 0.3), 0.0, rng.normal(2.2, 0.4))
    horn = np.maximum(shapes.organ(space, 0.97 * size, shift), 0.4 - organ)
    return (Layer("fluid", inside(horn, _EDGE_MM)),)


def _organ(space: Space, organ: Floats, front: Floats, names: Names) -> tuple[Layer, ...]:
    """Return the two parts, with the faint bands that run along the organ."""
    rng = stream(*names, "organ")
    bands = 0.03 * np.sin(2.2 * organ) + 0.025 * smooth_field(rng, space.grid, 2.0)
    whole = inside(organ, _EDGE_MM)
    return (Layer("back", whole, bands), Layer("front", whole * front, bands))


def _vessels(space: Space, organ: Floats, names: Names) -> tuple[Layer, ...]:
    """Return winding vessels that stay out of the organ."""
    rng = stream(*names, "vessels")
    tubes = [shapes.tube(space, rng.uniform(0.5, 0.95), rng) for _ in range(3)]
    return tuple(Layer("vessel", inside(np.maximum(tube, 0.6 - organ), 0.5)) for tube in tubes)


def _lesion(space: Space, traits: Traits, names: Names) -> Floats:
    """Return a lump near the organ's axis, of just the volume of the traits."""
    rng = stream(*names, "lesion")
    middle = (rng.normal(0.8, 0.8), rng.uniform(-8.0, 7.0), rng.normal(0.0, 0.8))
    return shapes.lump(space, middle, traits.volume_ml, names)


def _lesion_layer(lesion: Floats, grid: Grid, heterogeneity: float, names: Names) -> Layer:
    """Return the lesion; the patchier, the higher its heterogeneity."""
    patches = smooth_field(stream(*names, "patches"), grid, 1.8)
    strength = 0.075 * np.exp(0.55 * heterogeneity)
    return Layer("lesion", inside(lesion, _EDGE_MM), strength * patches)
