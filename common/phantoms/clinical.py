"""The row of a phantom: traits, clinical columns, and outcomes with planted effects.

Age, sex, marker, stage and survival belong to the patient; lesion and malignancy to
the case, of which a bilateral patient has two. Every number has a stream of its own.
"""

from dataclasses import dataclass

import numpy as np

from common.cohort import Column
from common.phantoms.fields import stream
from common.phantoms.spec import Effects, Site

STAGES = ("I", "II", "III", "IV")
REFERENCE_AGE = 60.0
REFERENCE_MARKER = 4.0
REFERENCE_VOLUME_ML = 0.15
MOST_DOUBLINGS = 2.0

COLUMNS = {
    "age": Column(type="integer", unit="years", range=(18, 100), title="Age"),
    "sex": Column(type="category", levels=("f", "m"), title="Sex"),
    "marker": Column(type="number", unit="ng/ml", range=(0, 1000), title="Tumour marker"),
    "stage": Column(type="category", levels=STAGES, title="Stage"),
    "malignant": Column(type="category", levels=("no", "yes"), title="Malignant"),
    "time_days": Column(type="number", unit="days", range=(0, 4000), title="Time to death"),
    "event": Column(type="category", levels=("no", "yes"), title="Death"),
}


@dataclass(frozen=True, slots=True)
class Patient:
    """What a patient's cases share.

    Attributes:
        age: in years.
        male: sex.
        marker: in ng/ml.
        stage: index of STAGES.
        time_days: until death or the end of follow-up.
        dead: whether it was death.
        hidden: columns that the site did not write down.
    """

    age: int
    male: bool
    marker: float
    stage: int
    time_days: int
    dead: bool
    hidden: frozenset[str]


@dataclass(frozen=True, slots=True)
class Lesion:
    """What the outcome of a case is drawn from, and the outcome.

    Attributes:
        volume_ml: of the lesion.
        heterogeneity: in standard deviations over all patients.
        chance: of malignancy, 0 to 1.
        malignant: the outcome.
    """

    volume_ml: float
    heterogeneity: float
    chance: float
    malignant: bool


def draw_patient(site: Site, effects: Effects, *names: str | int) -> Patient:
    """Return the patient of these stream names."""
    rng = stream(*names, "clinical")
    who = site.patients
    age = int(np.clip(np.rint(rng.normal(who.age_mean, 11.0)), 20, 95))
    doublings = float(np.clip(rng.normal(who.marker_doublings, 1.1), -6.0, 6.0))
    stage = int(np.clip(np.floor(rng.normal(1.6 + 0.35 * doublings, 1.0)), 0, 3))
    male = bool(rng.random() >= who.female)
    time_days, dead = _survival(
        _log_hazard(effects, age, doublings, stage) + who.hazard_shift, effects, rng
    )
    hidden = {name for name in ("marker", "stage") if rng.random() < site.missing}
    marker = round(REFERENCE_MARKER * 2.0**doublings, 2)
    return Patient(age, male, marker, stage, time_days, dead, frozenset(hidden))


def draw_lesion(patient: Patient, site: Site, effects: Effects, *names: str | int) -> Lesion:
    """Return the lesion of these stream names and whether it is malignant."""
    rng = stream(*names, "lesion")
    doublings = float(np.clip(rng.normal(), -MOST_DOUBLINGS, MOST_DOUBLINGS))
    heterogeneity = float(np.clip(rng.normal(), -2.5, 2.5))
    odds = (
        effects.malignant_intercept
        + site.patients.malignant_shift
        + effects.malignant_age_decade * (patient.age - REFERENCE_AGE) / 10.0
        + effects.malignant_marker_doubling * _doublings(patient.marker)
        + effects.malignant_volume_doubling * doublings
        + effects.malignant_heterogeneity_sd * heterogeneity
    )
    chance = float(1.0 / (1.0 + np.exp(-odds)))
    volume = REFERENCE_VOLUME_ML * 2.0**doublings
    return Lesion(volume, heterogeneity, chance, bool(rng.random() < chance))


def row(patient: Patient, lesion: Lesion, missing_code: str) -> dict[str, str]:
    """Return the clinical cells of a case as its site writes them."""
    cells = {
        "age": str(patient.age),
        "sex": "m" if patient.male else "f",
        "marker": f"{patient.marker:.2f}",
        "stage": STAGES[patient.stage],
        "malignant": "yes" if lesion.malignant else "no",
        "time_days": str(patient.time_days),
        "event": "yes" if patient.dead else "no",
    }
    return {name: missing_code if name in patient.hidden else cell for name, cell in cells.items()}


def _doublings(marker: float) -> float:
    return float(np.log2(marker / REFERENCE_MARKER))


def _log_hazard(effects: Effects, age: int, doublings: float, stage: int) -> float:
    return (
        effects.hazard_age_decade * (age - REFERENCE_AGE) / 10.0
        + effects.hazard_marker_doubling * doublings
        + effects.hazard_stage * stage
    )


def _survival(log_hazard: float, effects: Effects, rng: np.random.Generator) -> tuple[int, bool]:
    """Draw a Weibull time, cut off at the end of follow-up (Bender et al. 2005)."""
    shape = effects.weibull_shape
    scale = effects.median_days / np.log(2.0) ** (1.0 / shape)
    death = scale * (rng.exponential() / np.exp(log_hazard)) ** (1.0 / shape)
    end = rng.uniform(*effects.follow_up_days)
    return max(1, round(min(death, end))), bool(death <= end)
