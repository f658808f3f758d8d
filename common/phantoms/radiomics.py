"""Made-up radiomics tables with planted effects, for statistics without images.

Features come in families that share a latent trait, as intensity, shape and texture
features do: most of a family say the same. They are skewed, of magnitudes from 1e-3 to 1e5, and
each hospital's scanner shifts and stretches them. A second reader measures a part
of the patients; a share of the features is not reproducible. The outcome depends on a few
traits, on age and on stage.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from common.seeds import numpy_rng

_FAMILY = 12  # features that share a trait
_TELLING = {0: 1.0, 3: -0.8, 7: 0.6}  # log odds a SD of a trait
_AGE, _STAGE = 0.03, 0.7  # log odds a year, and a stage


@dataclass(frozen=True)
class Radiomics:
    """What to make.

    Attributes:
        seed: of everything.
        n_features: of each reader.
        n_patients: by hospital.
        read_twice: share of patients whom a second reader measures.
    """

    seed: int
    n_features: int
    n_patients: Mapping[str, int]
    read_twice: float = 0.3


Rows = dict[str, list[str]]


def feature_names(n: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the features by the first and the second reader."""
    return tuple(f"f{i:04d}" for i in range(n)), tuple(f"g{i:04d}" for i in range(n))


def table_of(what: Radiomics, site: str) -> Rows:
    """Return the columns of one hospital's cohort.csv, as texts.

    Other hospitals do not change them.
    """
    rng = numpy_rng(what.seed, "radiomics", site)
    n, p = what.n_patients[site], what.n_features
    traits = rng.normal(size=(n, -(-p // _FAMILY)))
    true = _features(what, traits, rng.normal(size=(n, p)))
    unsure = np.where(numpy_rng(what.seed, "readers").random(p) < 0.3, 1.0, 0.15)
    readings = [true + unsure * rng.normal(size=(n, p)) for _ in range(2)]
    shift, stretch = rng.normal(0, 0.5, p), np.exp(rng.normal(0, 0.15, p))
    size = 10 ** numpy_rng(what.seed, "sizes").uniform(-3, 5, p)
    first, second = (size * np.exp(0.5 * (shift + stretch * z)) for z in readings)
    twice = rng.random(n) < what.read_twice
    age, stage = np.clip(np.rint(rng.normal(62, 9, n)), 30, 90), rng.integers(0, 3, n)
    telling = sum(effect * traits[:, t] for t, effect in _TELLING.items() if t < traits.shape[1])
    odds = telling + _AGE * (age - 62) + _STAGE * (stage - 1) + rng.normal(0, 0.2) - 0.2
    event = rng.random(n) < 1 / (1 + np.exp(-odds))
    days = np.ceil(rng.exponential(900 * np.exp(-0.6 * odds)))
    end = np.rint(rng.uniform(200, 2000, n))
    names, names_b = feature_names(p)
    return {
        "case_id": [f"{site}{i:04d}" for i in range(n)],
        "patient_id": [f"{site}{i:04d}" for i in range(n)],
        "age": [f"{v:.0f}" for v in age],
        "sex": ["fm"[int(v)] for v in rng.integers(0, 2, n)],
        "stage": [("i", "ii", "iii")[int(v)] for v in stage],
        "outcome": [("no", "yes")[int(v)] for v in event],
        "days": [f"{v:.0f}" for v in np.minimum(days, end)],
        "died": ["01"[int(v)] for v in days <= end],
        **{name: [f"{v:.6g}" for v in first[:, j]] for j, name in enumerate(names)},
        **{
            name: [f"{v:.6g}" if t else "" for v, t in zip(second[:, j], twice, strict=True)]
            for j, name in enumerate(names_b)
        },
    }


def _features(what: Radiomics, traits: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return standard normal features that follow the trait of their family."""
    p = what.n_features
    follow = numpy_rng(what.seed, "families").uniform(0.6, 0.97, p)
    of = np.arange(p) // _FAMILY
    features: np.ndarray = follow * traits[:, of] + np.sqrt(1 - follow**2) * own
    return features
