"""A crop of a pelvis: a bent rectum with a tumour on its wall, before and after treatment.

T2 and ADC. The tumour sits on one side of the wall and bulges into the lumen; nodes of
its grey value lie in the fat around, so that a threshold finds more than the tumour. After
treatment the tumour is smaller, much smaller where it has responded, and a scar that T2
shows like muscle stands where it was: there two readers agree far less.
"""

from typing import Literal

import numpy as np

from common.cohort import Column, Image, Mask
from common.phantoms.anatomy import Body, Layer, Traits, Weighting
from common.phantoms.fields import Floats, Grid, Triple, inside, smooth_field, stream
from common.settings import Frozen

Names = tuple[str | int, ...]

WEIGHTINGS = {
    "t2": Weighting(
        "MR",
        {
            "fat": 0.95,
            "muscle": 0.28,
            "wall": 0.40,
            "lumen": 0.62,
            "fluid": 1.25,
            "scar": 0.32,
            "tumour": 0.78,
        },
        centre=0.6,
    ),
    "adc": Weighting(
        "MR",
        {
            "fat": 0.22,
            "muscle": 0.85,
            "wall": 0.95,
            "lumen": 0.75,
            "fluid": 1.60,
            "scar": 0.80,
            "tumour": 0.45,
        },
        centre=0.8,
    ),
}
COLUMNS = {
    "age": Column(type="integer", unit="years", range=(18, 100), title="Age"),
    "sex": Column(type="category", levels=("f", "m"), title="Sex"),
    "visit": Column(type="category", levels=("before", "after"), title="Examination"),
    "response": Column(type="category", levels=("no", "yes"), title="Complete response"),
}

_EDGE_MM = 0.8
_LUMEN_MM, _WALL_MM = 6.5, 3.0


class Rectum(Frozen):
    """A rectum with a tumour, at two visits; `malignant` of the effects is the response."""

    kind: Literal["rectum"] = "rectum"
    size_mm: Triple = (48.0, 64.0, 64.0)
    reader_mm: float = 0.9
    finest_mm: float = 2.0
    visits: tuple[str, ...] = ("before", "after")

    def images(self) -> dict[str, Image]:
        """Return T2 and ADC."""
        return {"t2": Image(modality="MR"), "adc": Image(modality="MR", unit="1e-3 mm2/s")}

    def masks(self) -> dict[str, Mask]:
        """Return the tumour as two readers drew it."""
        one = Mask(on="t2", labels={"tumour": 1}, required=False)
        return {"tumour": one, "tumour@fellow": one}

    def columns(self) -> dict[str, Column]:
        """Return age, sex, which examination, and the response to treatment."""
        return COLUMNS

    def row(self, traits: Traits, cells: dict[str, str], *names: str | int) -> dict[str, str]:
        """Return the row of an examination; the response is the same at both."""
        del names
        response = "yes" if traits.outcome else "no"
        return {
            "age": cells["age"],
            "sex": cells["sex"],
            "visit": traits.visit,
            "response": response,
        }

    def weighting(self, image: str) -> Weighting:
        """Return the grey values of T2 or ADC."""
        return WEIGHTINGS[image]

    def draw(self, grid: Grid, traits: Traits, *names: str | int) -> Body:
        """Return the pelvis of these stream names on a grid."""
        patient = names[:-1]  # the same body at both visits
        tube = _Tube.bent(grid, traits.size, patient)
        before = tube.bulge(_size(traits), patient)
        after = traits.visit == "after"
        left = 0.6 if traits.outcome else 0.85
        tumour = tube.bulge(_size(traits) * left, patient) if after else before
        wander = smooth_field(stream(*names, "fellow"), grid, 7.0)
        blur = self.reader_mm * (2.2 if after else 1.0)
        other = tumour - 0.1 + blur * wander
        patches = smooth_field(stream(*names, "patches"), grid, 3.5)
        strength = 0.05 * np.exp(0.55 * traits.heterogeneity)
        layers = [*_surroundings(grid, tube, patient)]
        if after:
            layers.append(Layer("scar", inside(before, 1.0)))
        layers.append(Layer("tumour", inside(tumour, _EDGE_MM), strength * patches))
        return Body(
            tuple(layers),
            {
                "tumour": {"tumour": inside(tumour, _EDGE_MM)},
                "tumour@fellow": {"tumour": inside(other, _EDGE_MM)},
            },
        )


def _size(traits: Traits) -> float:
    """Return a tumour's size as a factor, from the volume of the lesion."""
    return float((traits.volume_ml / 0.15) ** (1.0 / 3.0))


class _Tube:
    """A bent rectum: distance from its axis and angle around it at every point."""

    def __init__(self, grid: Grid, rho: Floats, theta: Floats, lumen: Floats) -> None:
        self.grid, self.rho, self.theta, self.lumen = grid, rho, theta, lumen

    @classmethod
    def bent(cls, grid: Grid, size: float, names: Names) -> "_Tube":
        rng = stream(*names, "tube")
        z, y, x = grid.points()
        t = z / 20.0
        lean, bow = rng.normal(0.0, 3.0, 2), rng.normal(0.0, 2.0, 2)
        phase = rng.uniform(0.0, 6.3, 2)
        middle = rng.normal((6.0, 0.0), 3.0)
        dy, dx = (
            p - middle[i] - lean[i] * t - bow[i] * np.sin(2.2 * t + phase[i])
            for i, p in enumerate((y, x))
        )
        wobble = smooth_field(rng, grid, 12.0)
        lumen = size * (_LUMEN_MM + 1.1 * wobble + rng.normal(0.0, 0.7))
        rho = np.asarray(np.hypot(dy, dx), np.float64)
        return cls(grid, rho, np.asarray(np.arctan2(dx, dy), np.float64), lumen)

    def bulge(self, size: float, names: Names) -> Floats:
        """Return the distance to a cap on the wall that grows into lumen and fat."""
        rng = stream(*names, "tumour")
        at_z, at_theta = rng.uniform(-10.0, 10.0), rng.uniform(-np.pi, np.pi)
        length, width, thick = 16.0 * size, 1.2 * size**0.5, 10.0 * size
        z = self.grid.points()[0]
        turn = np.angle(np.exp(1j * (self.theta - at_theta)))
        rough = 0.16 * smooth_field(rng, self.grid, 8.0)
        profile = 1.0 - ((z - at_z) / length) ** 2 - (turn / width) ** 2 + rough
        inner = self.lumen - 0.55 * thick * np.clip(profile, 0.0, None)
        outer = self.lumen + _WALL_MM * 0.6 + 0.45 * thick * np.clip(profile, 0.0, None)
        apart = np.maximum(inner - self.rho, self.rho - outer)
        edge = -profile * 0.5 * length
        return np.asarray(np.maximum(apart, np.clip(edge, -20.0, 20.0)), np.float64)


def _surroundings(grid: Grid, tube: _Tube, names: Names) -> tuple[Layer, ...]:
    """Return fat with nodes, pelvic muscle, a bladder, the wall and what is in it."""
    rng = stream(*names, "surroundings")
    z, y, x = grid.points()
    grain = 0.04 * smooth_field(rng, grid, 3.0)
    side = 27.0 + 1.5 * smooth_field(rng, grid, 15.0)
    muscle = side - np.abs(x) - 0.1 * y
    bladder = np.sqrt(((z - 8.0) / 20.0) ** 2 + ((y + 26.0) / 11.0) ** 2 + (x / 18.0) ** 2)
    layers = [
        Layer("fat", np.ones(grid.shape), grain),
        Layer("muscle", inside(muscle, 1.0), grain),
        Layer("fluid", inside((bladder - 1.0) * 11.0, 1.0)),
    ]
    for _ in range(int(rng.integers(2, 6))):
        at_z, turn = rng.uniform(-20.0, 20.0), rng.uniform(-np.pi, np.pi)
        far, radius = rng.uniform(14.0, 20.0), rng.uniform(1.8, 4.0)
        dy, dx = (tube.rho * f(tube.theta) - far * f(turn) for f in (np.cos, np.sin))
        node = np.sqrt((z - at_z) ** 2 + dy**2 + dx**2) - radius
        layers.append(Layer("tumour", inside(node, _EDGE_MM), grain))
    stool = smooth_field(rng, grid, 6.0)
    layers += [
        Layer("wall", inside(tube.rho - tube.lumen - _WALL_MM, _EDGE_MM), grain),
        Layer("lumen", inside(tube.rho - tube.lumen, _EDGE_MM), 0.10 * stool),
    ]
    return tuple(layers)
