"""A neck on CT: a row of vertebrae, muscles behind and beside it, and survival.

Muscle for height squared (the index) is drawn for each patient. The muscles are made as
large as it takes for their outline on the slice through the middle of the third vertebra
to have just that area, so that the planted index is what a reader would measure. A patient
of a sex for which it is planted dies earlier where the index is below the mean of that sex.
The third vertebra is known by its place below the skull and the jaw.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from common.cohort import Column, Image, Mask
from common.phantoms.anatomy import Body, Layer, Traits, Weighting
from common.phantoms.fields import Floats, Grid, Triple, inside, smooth_field, stream
from common.settings import Frozen

WEIGHTING = Weighting(
    "CT",
    {
        "air": -1000.0,
        "fat": -95.0,
        "muscle": 55.0,
        "soft": 35.0,
        "vessel": 110.0,
        "disc": 85.0,
        "bone": 420.0,
        "cord": 25.0,
    },
    centre=0.0,
    span=100.0,
)
COLUMNS = {
    "age": Column(type="integer", unit="years", range=(18, 100), title="Age"),
    "sex": Column(type="category", levels=("f", "m"), title="Sex"),
    "height_m": Column(type="number", unit="m", range=(1.3, 2.2), title="Height"),
    "time_days": Column(type="integer", unit="days", range=(0, 4000), title="Time to death"),
    "event": Column(type="category", levels=("no", "yes"), title="Death"),
}

_PITCH_MM = 17.0  # from one vertebra to the next
_HALF_BODY_MM = 6.5  # of a vertebra's height; the rest is disc
_SHARES = (0.62, 0.38)  # of the muscles behind and beside the spine, if they lay apart
_MOST_SDS = 2.0  # how far from the mean an index may lie
_EDGE_MM = 0.9
_HALVINGS = 20


@dataclass(frozen=True, slots=True)
class Person:
    """What a neck and its row are drawn from.

    Attributes:
        male: sex.
        age: in years.
        height_m: height.
        index: muscle area for height squared at the third vertebra, cm2/m2.
        time_days: until death or the end of follow-up.
        dead: whether it was death.
    """

    male: bool
    age: int
    height_m: float
    index: float
    time_days: int
    dead: bool

    @property
    def area_mm2(self) -> float:
        """Muscle area at the third vertebra."""
        return self.index * self.height_m**2 * 100.0


class Neck(Frozen):
    """A neck on CT; survival is planted for the sexes that `planted` names."""

    kind: Literal["neck"] = "neck"
    size_mm: Triple = (80.0, 112.0, 112.0)
    visits: tuple[str, ...] = ("ct",)
    index_mean: dict[Literal["f", "m"], float] = Field({"f": 10.5, "m": 12.5})
    index_sd: float = 1.9
    skin_mm: float = Field(49.0, description="half the depth of the neck; it is 2 mm wider")
    finest_mm: float = 2.0
    planted: dict[Literal["f", "m"], float] = Field(
        {"m": 1.3}, description="log hazard ratio of a low index, by sex"
    )
    median_days: float = 1400.0

    def images(self) -> dict[str, Image]:
        """Return the CT."""
        return {"ct": Image(modality="CT", unit="HU")}

    def masks(self) -> dict[str, Mask]:
        """Return the third vertebra, and the muscles at its height."""
        muscles = {"paraspinal": 1, "sternocleidomastoid": 2}
        return {
            "c3": Mask(on="ct", labels={"c3": 1}, required=False),
            "muscle": Mask(on="ct", labels=muscles, required=False),
        }

    def columns(self) -> dict[str, Column]:
        """Return age, sex, height and survival."""
        return COLUMNS

    def row(self, traits: Traits, cells: dict[str, str], *names: str | int) -> dict[str, str]:
        """Return the row of a patient."""
        del traits
        who = self.person(cells["sex"] == "m", int(cells["age"]), *names)
        return {
            "age": cells["age"],
            "sex": cells["sex"],
            "height_m": f"{who.height_m:.2f}",
            "time_days": str(who.time_days),
            "event": "yes" if who.dead else "no",
        }

    def weighting(self, image: str) -> Weighting:
        """Return HU."""
        del image
        return WEIGHTING

    def person(self, male: bool, age: int, *names: str | int) -> Person:
        """Return the patient of these stream names."""
        rng = stream(*names, "person")
        sex: Literal["f", "m"] = "m" if male else "f"
        height = float(np.clip(rng.normal(1.77 if male else 1.65, 0.06), 1.45, 2.05))
        mean, far = self.index_mean[sex], _MOST_SDS * self.index_sd
        index = float(np.clip(rng.normal(mean, self.index_sd), mean - far, mean + far))
        hazard = np.exp(self.planted.get(sex, 0.0) * (index < mean))
        death = self.median_days * rng.exponential() / np.log(2.0) / hazard
        end = rng.uniform(700.0, 2500.0)
        days = int(np.clip(np.rint(min(death, end)), 1, 4000))
        return Person(male, age, round(height, 2), index, days, bool(death <= end))

    def draw(self, grid: Grid, traits: Traits, *names: str | int) -> Body:
        """Return the neck of these stream names on a grid."""
        neck = _Shapes(grid, self.person(traits.male, 0, *names[:-1]), names)
        behind, beside = neck.muscles(neck.growth())
        grain = 0.1 * smooth_field(stream(*names, "grain"), grid, 3.0)
        layers = (
            Layer("air", np.ones(grid.shape)),
            Layer("fat", inside(neck.skin(self.skin_mm), 1.0), grain),
            *(Layer("muscle", inside(m, _EDGE_MM), grain) for m in (behind, beside)),
            *neck.throat(),
            Layer("disc", inside(neck.column(), 0.9)),
            *(Layer("bone", inside(v, 0.9)) for v in neck.bones()),
            Layer("cord", inside(neck.cord(), 0.9)),
        )
        muscles = {
            "paraspinal": inside(behind, _EDGE_MM),
            "sternocleidomastoid": inside(beside, _EDGE_MM),
        }
        return Body(layers, {"c3": {"c3": inside(neck.vertebra(3), 0.9)}, "muscle": muscles})


class _Shapes:
    """Signed distances, in mm, of what is in a neck; negative inside."""

    def __init__(self, grid: Grid, who: Person, names: tuple[str | int, ...]) -> None:
        rng = stream(*names, "neck")
        z, y, x = grid.points()
        self.grid, self.who, self.rng = grid, who, rng
        self.z = z - rng.uniform(-7.0, 7.0)  # how high the scan was placed
        lean, bow = rng.normal(0.0, 0.08), rng.normal(2.5, 1.0)
        self.y = y + lean * self.z + bow * np.cos(self.z / 28.0) + rng.normal(0.0, 2.5)
        self.x = x + rng.normal(0.0, 2.0) + rng.normal(0.0, 0.04) * self.z
        self.rough = [smooth_field(rng, grid, 9.0) for _ in _SHARES]

    def _oval(self, y: float, x: float, ry: Floats | float, rx: Floats | float) -> Floats:
        rho = np.hypot((self.y - y) / ry, (self.x - x) / rx)
        return np.asarray((rho - 1.0) * np.minimum(ry, rx), np.float64)

    def skin(self, half_mm: float) -> Floats:
        wide = half_mm + 0.25 * np.clip(-self.z - 20.0, 0.0, None)
        return self._oval(2.0, 0.0, wide, wide + 2.0)

    def growth(self) -> float:
        """Return how large the muscles must be drawn for their area to be the patient's."""
        low, high = 0.5, 2.0
        nearest = int(np.abs(self.z.ravel()).argmin())
        pixel_mm2 = self.grid.spacing_mm[1] * self.grid.spacing_mm[2]
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            union = np.minimum(*self.muscles(middle, slice(nearest, nearest + 1)))
            area = float((inside(union, _EDGE_MM) >= 0.5).sum()) * pixel_mm2
            low, high = (middle, high) if area < self.who.area_mm2 else (low, middle)
        return (low + high) / 2

    def muscles(self, growth: float, part: slice = slice(None)) -> tuple[Floats, Floats]:
        """Return the muscles behind and beside the spine on a part of the slices."""
        z, y, x = (p if len(p) == 1 else p[part] for p in (self.z, self.y, self.x))
        # Muscles grow towards the shoulders: the height of the slice matters.
        size = growth * np.sqrt(self.who.area_mm2) * (1.0 - 0.004 * z)
        r = size * np.sqrt(_SHARES[0] / (2.0 * np.pi * 1.25))
        behind = [
            (np.hypot((y - 24.0) / r, (x - side * 13.5) / (1.25 * r)) - 1.0) * r for side in (-1, 1)
        ]
        # Those beside the throat run forwards going down.
        r = size * np.sqrt(_SHARES[1] / (2.0 * np.pi * 1.6))
        y = (y + 4.0 - 0.25 * z) / (1.6 * r)
        beside = [(np.hypot(y, (x - side * (33.0 + 0.1 * z)) / r) - 1.0) * r for side in (-1, 1)]
        return (
            np.asarray(np.minimum(*behind) + 0.7 * self.rough[0][part], np.float64),
            np.asarray(np.minimum(*beside) + 0.5 * self.rough[1][part], np.float64),
        )

    def throat(self) -> tuple[Layer, ...]:
        """Return soft tissue, the airway in it, and vessels."""
        soft = self._oval(-24.0, 0.0, 11.0, 15.0)
        airway = self._oval(-22.0, 0.0, 5.5, 8.0)
        vessels = [self._oval(-10.0, s * 22.0, 3.6, 3.6) for s in (-1.0, 1.0)]
        return (
            Layer("soft", inside(soft, 1.0)),
            Layer("air", inside(airway, 1.0)),
            *(Layer("vessel", inside(v, 0.9)) for v in vessels),
        )

    def column(self) -> Floats:
        return self._oval(0.0, 0.0, 7.5, 9.0)

    def cord(self) -> Floats:
        return self._oval(12.5, 0.0, 4.0, 6.0)

    def vertebra(self, number: int) -> Floats:
        """Return the body of a vertebra, 2 to 6; the third is in the middle."""
        middle = (3 - number) * _PITCH_MM
        return np.asarray(
            np.maximum(self._oval(0.0, 0.0, 8.5, 10.0), np.abs(self.z - middle) - _HALF_BODY_MM),
            np.float64,
        )

    def bones(self) -> tuple[Floats, ...]:
        """Return vertebrae with their arches, skull base, jaw and hyoid."""
        ring = np.abs(self._oval(12.5, 0.0, 7.5, 9.5)) - 1.6
        near = np.abs((self.z + _PITCH_MM / 2) % _PITCH_MM - _PITCH_MM / 2) - 5.0
        arches = np.maximum(ring, near)
        skull = np.maximum(self._oval(14.0, 0.0, 26.0, 34.0), 33.0 - self.z)
        jaw = np.maximum(np.abs(self._oval(-4.0, 0.0, 36.0, 30.0)) - 3.0, 12.0 - self.z)
        jaw = np.maximum(jaw, self.y + 8.0)
        hyoid = np.maximum(np.abs(self._oval(-20.0, 0.0, 14.0, 17.0)) - 1.6, np.abs(self.z) - 2.5)
        hyoid = np.maximum(hyoid, self.y + 16.0)
        bodies = [self.vertebra(n) for n in range(1, 7)]
        return tuple(np.asarray(b, np.float64) for b in (*bodies, arches, skull, jaw, hyoid))
