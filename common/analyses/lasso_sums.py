"""What a site sends for a LASSO of the logistic family."""

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.design import with_intercept
from common.analyses.logit import probability, weighted_gram
from common.analyses.newton import Ints, n_packed, pack
from common.analyses.plain import floats, whole
from common.sums import (
    REAL_BOUND,
    WEIGHT_BOUND,
    Array,
    Field,
    Schema,
    Sums,
    cells,
    real,
)
from common.table import Floats

_CHUNK = 64  # problems a site works on at a time
_BEHIND = "n_patients"


def masked(*shape: int) -> Field:
    """Declare products of many columns, which one site may never show in clear."""
    return Field(shape, REAL_BOUND, "real", _BEHIND, alone="never")


def schema_of(ask: Ask, p: int, folds: int) -> Schema:
    """Return what a site sends for an ask of this family."""
    if ask.phase == "moments":
        each = real(folds, p, behind=_BEHIND)
        return {"classes": cells(folds, 2), "d": each, "d2": each, "dy": each}
    if ask.phase == "gram":
        return {"gram": masked(n_packed(len(ask.arrays["columns"])))}
    n = len(ask.arrays["problems"])
    size = sum(n_packed(1 + int(w)) for w in ask.arrays["sizes"])
    each = real(n, behind=_BEHIND)
    gradient = real(n, 1 + p, behind=_BEHIND)
    return {
        "value": each,
        "held_out": each,
        "gradient": gradient,
        "curvature": _steering(size),
    }


def _steering(*shape: int) -> Field:
    """Declare curvatures in 64 bits: they steer; where a fit ends the gradients decide."""
    return Field(shape, WEIGHT_BOUND, "weight", _BEHIND, alone="never")


def sums_of(ask: Ask, z: Floats, y: Floats, fold: Ints, shape: tuple[int, int]) -> Sums:
    """Return a site's sums for an ask of this family.

    Args:
        ask: with its phase.
        z: scaled columns, shape (n, p).
        y: outcome, shape (n,).
        fold: of each row, shape (n,).
        shape: number of folds, and of lambdas.
    """
    if ask.phase == "gram":
        chosen = z[:, ask.arrays["columns"].astype(np.int64)]
        return {"gram": pack(chosen.T @ chosen)}
    if ask.phase == "climb":
        return _derivatives(ask, with_intercept(z), y, fold, shape[1])
    within = (fold[:, None] == np.arange(shape[0])).astype(np.float64)
    events = within.T @ y
    return {
        "classes": np.rint(np.column_stack([within.sum(0) - events, events])),
        "d": within.T @ z,
        "d2": within.T @ (z * z),
        "dy": within.T @ (z * y[:, None]),
    }


def _derivatives(ask: Ask, x: Floats, y: Floats, fold: Ints, n_lambdas: int) -> dict[str, Array]:
    left_out = whole(ask.arrays["problems"]) // n_lambdas - 1
    columns = _split(whole(ask.arrays["columns"]), whole(ask.arrays["sizes"]))
    beta = _split(floats(ask.arrays["beta"]), whole(ask.arrays["sizes"]) + 1)
    parts: dict[str, list[Array]] = {}
    for start in range(0, len(left_out), _CHUNK):
        some = range(start, min(start + _CHUNK, len(left_out)))
        dense = np.zeros((x.shape[1], len(some)))
        for i, a in enumerate(some):
            dense[np.concatenate([[0], 1 + columns[a]]), i] = beta[a]
        eta = x @ dense
        likelihood = y[:, None] * eta - np.logaddexp(0.0, eta)
        p, train = probability(eta), fold[:, None] != left_out[some.start : some.stop]
        one = {
            "value": (likelihood * train).sum(0),
            "held_out": (likelihood * ~train).sum(0),
            "gradient": ((y[:, None] - p) * train).T @ x,
        }
        one["curvature"] = _curvatures(x, p * (1.0 - p) * train, columns[start:])
        for name, of in one.items():
            parts.setdefault(name, []).append(of)
    return {name: np.concatenate(of) for name, of in parts.items()}


def _curvatures(x: Floats, weight: Floats, columns: list[Array]) -> Floats:
    packed = []
    for i in range(weight.shape[1]):
        part = x[:, np.concatenate([[0], 1 + columns[i]])]
        packed.append(pack(weighted_gram(part, weight[:, i])))
    return np.concatenate(packed)


def _split(flat: Array, sizes: Ints) -> list[Array]:
    return np.split(flat, np.cumsum(sizes)[:-1])
