"""What a screening by univariable models answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.analyses.analysis import Answer, Json
from common.analyses.correction import Correction, adjusted
from common.analyses.effects import p_of_chi2, p_of_z, z_of
from common.analyses.few import HIDDEN_ALONE
from common.analyses.logit_asks import variances
from common.analyses.newton import CONVERGED, SEPARATED, Bools, Fit, Ints, inverse_of
from common.analyses.plain import plain
from common.analyses.publish import SMALLEST_CELL, shown_counts
from common.analyses.rare_levels import RARE_VALUE
from common.sums import Sums
from common.table import Floats

SATURATED = 16
_NO_CLASSES, _CONSTANT, _FEW, _EMPTY, _RARE, _HIDDEN = 10, 11, 12, 13, 14, 15
_NOTES = {
    CONVERGED: None,
    SEPARATED: "separated: the column tells the classes apart",
    _EMPTY: "no case has the column",
    _NO_CLASSES: "the cases that have the column are of one class",
    _FEW: f"fewer than {SMALLEST_CELL} cases of a class have the column",
    _RARE: RARE_VALUE,
    SATURATED: "more coefficients than a third of the cases",
    _HIDDEN: HIDDEN_ALONE,
    _CONSTANT: "constant, or collinear with the columns adjusted for",
}


@dataclass
class Screened:
    """The slopes of all columns per unit, shape (p,); NaN where there is none.

    `left_out` says which levels they are not adjusted for, as few cases have them.
    """

    classes: Ints
    beta: Floats
    se: Floats
    sd: Floats
    p: Floats
    state: Ints
    penalised: Bools
    left_out: str | None = None

    def take(self, rows: Ints, fit: Fit, gram: Floats, spread: Floats) -> None:
        """Take slopes of some columns, scaled by `spread`, with Wald's p."""
        n = gram[:, 0, 0]
        variance = variances(gram)[:, -1] * n / np.maximum(n - 1.0, 1.0)
        self.sd[rows] = np.sqrt(variance) * spread
        self._slopes(rows, fit, inverse_of(fit.curvature, fit.free), spread)
        with np.errstate(invalid="ignore"):
            self.p[rows] = p_of_z(self.beta[rows] / self.se[rows])

    def take_penalised(self, rows: Ints, fit: Fit, inverse: Floats, spread: Floats) -> None:
        """Take slopes by Firth; the second half of the fits is without the slope."""
        n = len(rows)
        self._slopes(rows, fit, inverse, spread)
        for i, row in enumerate(rows):
            chi2 = 2.0 * (fit.value[i] - fit.value[n + i])
            p = p_of_chi2(float(chi2), 1)
            known = p is not None and bool((fit.state[[i, n + i]] == CONVERGED).all())
            self.p[row] = p if known else np.nan
        self.penalised[rows] = True

    def _slopes(self, rows: Ints, fit: Fit, covariance: Floats, spread: Floats) -> None:
        n = len(rows)
        state = np.where(fit.free[:n, -1], fit.state[:n], _CONSTANT)
        good, variance = state == CONVERGED, covariance[:n, -1, -1]
        self.state[rows] = state
        self.beta[rows] = np.where(good, fit.beta[:n, -1], np.nan) / spread
        self.se[rows] = np.where(good, np.sqrt(variance), np.nan) / spread


def nothing_yet(classes: Ints, rare: Bools, *, alone: bool) -> Screened:
    """Return columns without slopes, by their counts of both classes, shape (p, 2).

    Args:
        classes: cases that have each column, by class.
        rare: columns of two values, one of which few have, shape (p,).
        alone: the counts are of a site alone, which leaves out what few have.
    """
    p = len(classes)
    none = np.full(p, np.nan)
    state = np.where((classes > 0).all(axis=1), _FEW, _NO_CLASSES)
    state[~classes.any(axis=1)] = _HIDDEN if alone and classes.any() else _EMPTY
    state[rare] = _RARE
    return Screened(
        classes,
        beta=none.copy(),
        se=none.copy(),
        sd=none.copy(),
        p=none.copy(),
        state=state,
        penalised=np.zeros(p, bool),
    )


def answer_of(
    of: Sequence[str], screened: Screened, first: Sums, rules: tuple[Correction, float]
) -> Answer:
    """Return the table of columns.

    Args:
        of: names of the columns.
        screened: their slopes.
        first: counts.
        rules: correction of p values, and level of the intervals.
    """
    correction, level = rules
    p = [plain(value) for value in screened.p]
    corrected = adjusted(p, correction)
    columns: dict[str, Json] = {}
    for j, name in enumerate(of):
        columns[name] = {
            **_column(screened, j, level),
            "p": p[j],
            "p_adjusted": corrected[j],
        }
    n = int(first["n"])
    values: dict[str, Json] = {
        "n": n,
        "n_excluded": int(first["n_cases"]) - n,
        "n_patients": int(first["n_patients"]),
        "n_tests": sum(value is not None for value in p),
        "correction": correction,
        "columns": columns,
        "mode": "exact",
    }
    return Answer(values)


def _column(screened: Screened, j: int, level: float) -> dict[str, Json]:
    beta, se, sd = screened.beta[j], screened.se[j], screened.sd[j]
    none, events = shown_counts([int(c) for c in screened.classes[j]])
    reach = z_of(level) * se
    method = "Firth" if screened.penalised[j] else "maximum likelihood"
    note = _NOTES.get(int(screened.state[j]), "did not converge")
    if screened.left_out and np.isfinite(beta):
        note = f"adjusted for the others: {screened.left_out}"
    with np.errstate(over="ignore"):
        ratios = np.exp([beta, beta - reach, beta + reach])
        per_sd = np.exp(np.array([beta, beta - reach, beta + reach]) * sd)
    return {
        "n": None if screened.state[j] == _HIDDEN else int(screened.classes[j].sum()),
        "events": events,
        "non_events": none,
        "estimate": plain(beta),
        "se": plain(se),
        "odds_ratio": plain(ratios[0]),
        "ci_low": plain(ratios[1]),
        "ci_high": plain(ratios[2]),
        "sd": plain(sd),
        "odds_ratio_per_sd": plain(per_sd[0]),
        "ci_low_per_sd": plain(per_sd[1]),
        "ci_high_per_sd": plain(per_sd[2]),
        "method": method,
        "note": note,
    }
