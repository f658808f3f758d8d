"""Several models on one design matrix: which use which columns, and how they nest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from common.analyses.analysis import Ask, Json
from common.analyses.design import Contract, Term, saturated, terms_of
from common.analyses.effects import likelihood_ratio, wald
from common.analyses.newton import (
    CONVERGED,
    SEPARATED,
    Bools,
    Fit,
    Local,
    Point,
    inverse_of,
    n_packed,
    pack,
    unpack,
)
from common.analyses.outcome import lacks_events
from common.analyses.plain import floats, plain
from common.analyses.publish import SMALLEST_CELL
from common.analyses.rare_levels import Unseen
from common.sums import Array, Schema, Sums, real
from common.table import Floats

_BEHIND = "n_patients"
_SEPARATED = (
    "separated: along a combination of the columns the likelihood rises for ever, so "
    "there is no estimate"
)


@dataclass(frozen=True)
class Models:
    """The models of a step.

    Attributes:
        columns: of each model, by its name.
        terms: of all models, in the order in which models name their columns.
        used: which terms each model has, shape (M, p).
    """

    columns: Mapping[str, tuple[str, ...]]
    terms: tuple[Term, ...]
    used: Bools

    @property
    def most(self) -> int:
        """Coefficients of the largest model."""
        return int(self.used.sum(axis=1).max())


def models_of(models: Mapping[str, tuple[str, ...]], contract: Contract) -> Models:
    """Return the models of a step."""
    columns = tuple(dict.fromkeys(c for of in models.values() for c in of))
    terms = terms_of(columns, contract)
    used = [[t.column in of for t in terms] for of in models.values()]
    return Models(models, terms, np.array(used, bool))


def check_models(models: Mapping[str, tuple[str, ...]], *others: str) -> None:
    """Check that models have distinct columns, none of them an outcome's.

    Raises:
        ValueError: which model is wrong, and how.
    """
    for name, of in models.items():
        if not of or len(set(of)) < len(of):
            raise ValueError(f'model "{name}": expected distinct columns, got {of}')
        for other in others:
            if other in of:
                raise ValueError(f'model "{name}": "{other}" is the outcome')


def derivatives_schema(ask: Ask) -> Schema:
    """Return what a site sends for the models that an ask names by coefficients."""
    a, q = ask.arrays["beta"].shape
    each = real(a, behind=_BEHIND)
    return {
        "value": each,
        "gradient": real(a, q, behind=_BEHIND),
        "curvature": real(a, n_packed(q), behind=_BEHIND),
        "against": each,
        "along": each,
    }


def stacked(rows: Sequence[tuple[Array | float, ...]]) -> dict[str, Array]:
    """Return such sums from value, gradient, curvature, against, along of each model."""
    value, gradient, curvature, against, along = zip(*rows, strict=True)
    return {
        "value": np.array(value),
        "gradient": np.array(gradient),
        "curvature": pack(np.array(curvature)),
        "against": np.array(against),
        "along": np.array(along),
    }


@dataclass
class Climbing:
    """Asks for models' derivatives and reads the totals.

    Attributes:
        constants: arrays every ask carries.
        null: log-likelihood of each model at the start, from the first round.
        metric: curvature there.
    """

    constants: Mapping[str, Array]
    null: Floats = field(default_factory=lambda: np.zeros(0))
    metric: Floats = field(default_factory=lambda: np.zeros(0))

    def ask(self, point: Point) -> Ask:
        """Return the question at a point."""
        at = {"problems": point.problems, "beta": point.beta, "step": point.step}
        return Ask("climb", {}, {**at, **self.constants})

    def read(self, point: Point, total: Sums) -> Local:
        """Return the totals."""
        value = floats(total["value"])
        curvature = unpack(floats(total["curvature"]), point.beta.shape[1])
        if not self.null.size:
            self.null, self.metric = value, curvature
        gradient = floats(total["gradient"])
        against, along = floats(total["against"]), floats(total["along"])
        return Local(value, gradient, curvature, against, along)


def unfittable(models: Models, first: Sums, n_events: int) -> str | None:
    """Say why survival cannot be modelled, by the total of counts; None where it can."""
    if n_events < SMALLEST_CELL:
        return lacks_events(int(first["n"]), n_events)
    return saturated(first, models.most)


def unfitted(models: Mapping[str, tuple[str, ...]], note: str) -> dict[str, Json]:
    """Return the tables of models that could not be fitted."""
    tables: dict[str, Json] = {}
    for name in models:
        tables[name] = {"converged": False, "note": note}
    return tables


@dataclass(frozen=True)
class Slopes:
    """Slopes of all models, of unscaled columns: beta (M, p), covariance (M, p, p)."""

    fit: Fit
    beta: Floats
    covariance: Floats
    free: Bools


def slopes_of(fit: Fit, spread: Floats) -> Slopes:
    """Return the last coefficients of a fit as slopes of columns before scaling."""
    last = slice(fit.beta.shape[1] - len(spread), None)
    covariance = inverse_of(fit.curvature, fit.free)[:, last, last]
    return Slopes(
        fit,
        fit.beta[:, last] / spread,
        covariance / (spread[:, None] * spread),
        fit.free[:, last],
    )


def table_of(
    models: Models, slopes: Slopes, m: int, unseen: Unseen, level: float
) -> dict[str, Json]:
    """Return the table of one model of hazards with Wald's intervals and tests."""
    state = slopes.fit.state[m]
    if state != CONVERGED:
        note = _SEPARATED if state == SEPARATED else "did not converge"
        return {"converged": False, "note": note}
    used = np.flatnonzero(models.used[m])
    beta = np.where(slopes.free[m], slopes.beta[m], np.nan)[used]
    names = [models.terms[j].name for j in used]
    gone = [models.terms[j].name for j in used if not slopes.free[m, j]]
    covariance = slopes.covariance[m][np.ix_(used, used)]
    return {
        "converged": True,
        "note": unseen.left_out(gone),
        "terms": wald(names, beta, covariance, ratio="hazard_ratio", level=level),
        "log_likelihood": plain(slopes.fit.value[m]),
    }


def tests_of(models: Models, slopes: Slopes) -> list[Json]:
    """Return the likelihood-ratio tests of all pairs of nested models."""
    names, fit = list(models.columns), slopes.fit
    tests: list[Json] = []
    for b, larger in enumerate(models.used):
        for a, smaller in enumerate(models.used):
            nested = (smaller <= larger).all() and (smaller != larger).any()
            if not nested or (fit.state[[a, b]] != CONVERGED).any():
                continue
            df = int(slopes.free[b].sum()) - int(slopes.free[a].sum())
            test = likelihood_ratio(float(fit.value[a]), float(fit.value[b]), df)
            tests.append({"smaller": names[a], "larger": names[b], **test})
    return tests
