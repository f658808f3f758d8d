"""A crop of liver with a lesion whose fine texture says what a coarse image cannot.

The lesion holds two textures: broad patches whose strength is drawn at random and means
nothing, and small bright spots whose strength follows the patient's heterogeneity, from
which outcomes are drawn. Coarse voxels keep the patches and lose most of the spots, so a
score of coarse images mistakes the one for the other. Spots and patches add nothing to
the lesion's mean: its grey level tells nothing either.
"""

from typing import Literal

import numpy as np

from common.cohort import Column, Image, Mask
from common.phantoms.anatomy import Body, Layer, Traits, Weighting
from common.phantoms.brain_shapes import Names, Space, lump, tube
from common.phantoms.fields import Floats, Grid, Triple, inside, smooth_field, stream
from common.settings import Frozen

COLUMNS = {
    "age": Column(type="integer", unit="years", range=(18, 100), title="Age"),
    "sex": Column(type="category", levels=("f", "m"), title="Sex"),
    "afp": Column(type="number", unit="ng/ml", range=(0, 1000), title="Alpha-fetoprotein"),
    "bclc": Column(type="category", levels=("0", "A", "B", "C"), title="BCLC stage"),
    "response": Column(type="category", levels=("no", "yes"), title="Response"),
}

_STAGES = dict(zip(("I", "II", "III", "IV"), COLUMNS["bclc"].levels, strict=True))
_LARGER = 12.0  # than the lesions of the traits
_EDGE_MM = 0.55
_GREY = {"liver": 0.62, "vessel": 1.0, "fat": 0.30, "lesion": 0.80}
_SPOT_MM = 0.7  # standard deviation of a spot
_SPOTS_PER_ML = 70
_PATCHES_MM = 5.0
_MOST_ML = 5.0  # what fits the field of view


class LiverLesion(Frozen):
    """Liver with vessels, fat beside it, and one lesion, on contrast-enhanced MRI."""

    kind: Literal["liver_lesion"] = "liver_lesion"
    size_mm: Triple = (24.0, 36.0, 36.0)

    def images(self) -> dict[str, Image]:
        """Return the one image."""
        return {"mr": Image(modality="MR")}

    def masks(self) -> dict[str, Mask]:
        """Return the lesion."""
        return {"lesion": Mask(on="mr", labels={"lesion": 1}, required=False)}

    def columns(self) -> dict[str, Column]:
        """Return what the clinic writes down, and the response to treatment."""
        return COLUMNS

    def row(self, traits: Traits, cells: dict[str, str], *names: str | int) -> dict[str, str]:
        """Return the row of a case; `malignant` of the effects is the response."""
        del names
        return {
            "age": cells["age"],
            "sex": cells["sex"],
            "afp": cells["marker"],
            "bclc": _STAGES.get(cells["stage"], cells["stage"]),
            "response": "yes" if traits.outcome else "no",
        }

    def weighting(self, image: str) -> Weighting:
        """Return the grey values of the arterial phase."""
        del image
        return Weighting("MR", _GREY, centre=_GREY["liver"])

    def draw(self, grid: Grid, traits: Traits, *names: str | int) -> Body:
        """Return the patient of these stream names on a grid."""
        space = Space.bent(grid, traits.left, names)
        rng = stream(*names, "lesion place")
        middle = rng.normal(0.0, 1.0, 3).tolist()
        volume_ml = min(_LARGER * traits.volume_ml, _MOST_ML)
        lesion = lump(space, (middle[0], middle[1], middle[2]), volume_ml, names)
        share = inside(lesion, _EDGE_MM)
        texture = _patches(grid, names) + _spots(grid, traits.heterogeneity, names)
        texture = texture - float((texture * share).sum() / share.sum())
        layers = (*_liver(space, grid, names), Layer("lesion", share, texture))
        return Body(layers, {"lesion": {"lesion": share}})


def _liver(space: Space, grid: Grid, names: Names) -> tuple[Layer, ...]:
    """Return parenchyma with its grain, vessels of all sizes, and the fat outside."""
    rng = stream(*names, "liver")
    grain = 0.03 * smooth_field(rng, grid, 2.0) + 0.02 * smooth_field(rng, grid, 8.0)
    tubes = [tube(space, rng.uniform(0.5, 1.6), rng) for _ in range(7)]
    border = space.x + 14.0 + rng.normal(0.0, 1.0) + 1.5 * smooth_field(rng, grid, 9.0)
    return (
        Layer("liver", np.ones(grid.shape), grain),
        *(Layer("vessel", inside(t, 0.5)) for t in tubes),
        Layer("fat", inside(border, _EDGE_MM), 0.02 * smooth_field(rng, grid, 2.0)),
    )


def _patches(grid: Grid, names: Names) -> Floats:
    rng = stream(*names, "patches")
    strength = 0.07 * float(np.exp(0.5 * rng.normal()))
    return strength * smooth_field(rng, grid, _PATCHES_MM)


def _spots(grid: Grid, heterogeneity: float, names: Names) -> Floats:
    """Return small bright spots, as many in every patient, brighter with heterogeneity."""
    rng = stream(*names, "spots")
    sizes = np.multiply(grid.shape, grid.spacing_mm)
    n = round(_SPOTS_PER_ML * float(np.prod(sizes)) / 1000.0)
    at = (rng.random((n, 3)) - 0.5) * sizes
    z, y, x = (
        np.exp(-0.5 * ((grid.axis(i)[None] - at[:, i, None]) / _SPOT_MM) ** 2) for i in range(3)
    )
    strength = 0.22 * float(np.exp(0.5 * heterogeneity))
    found = np.einsum("ni,nj,nk->ijk", z, y, x, optimize=True)
    return np.asarray(strength * found, np.float64)
