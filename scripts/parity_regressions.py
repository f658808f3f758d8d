"""Cases of regressions."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from common.analyses.analysis import Answer
from common.analyses.cox import Cox
from common.analyses.lasso import Lasso
from common.analyses.logistic import Logistic
from common.analyses.piecewise_exponential import PiecewiseExponential
from common.analyses.univariable_logistic import UnivariableLogistic
from common.table import Table
from scripts.parity_case import Case, Pairs
from scripts.parity_tests import with_nobody
from tests.common.analyses import test_cox, test_lasso, test_logistic, test_univariable_logistic
from tests.common.analyses.regression_tables import complete, followed
from tests.common.analyses.tables import split_unevenly


def cases() -> Iterator[Case]:
    """Yield the cases."""
    yield _univariable()
    yield _logistic()
    yield _firth()
    yield from _lasso()
    yield _cox()
    yield _piecewise()


def _terms(answer: Answer, model: str, key: str) -> list[float]:
    models: Any = answer.values["models"]
    return [t[key] for name, t in models[model]["terms"].items() if name[0] != "("]


def _univariable() -> Case:
    table, of = followed(400, seed=3), ("age", "volume", "adc", "same")
    step = UnivariableLogistic(outcome="response", of=of)

    def pairs(answer: Answer) -> Pairs:
        columns: Any = answer.values["columns"]
        for name in of[:-1]:
            fit, sd, n = test_univariable_logistic.statsmodels_fit(table, name)
            mine = columns[name]
            yield (mine["estimate"], mine["se"]), (fit.params[1] / sd, fit.bse[1] / sd)
            yield (mine["p"], mine["n"]), (fit.pvalues[1], n)

    tables = with_nobody(split_unevenly(table, 5))
    return Case("univariable_logistic", step, tables, "statsmodels", pairs, (step, table))


def _logistic() -> Case:
    table = followed(400, seed=3)
    step = test_logistic.LOGISTIC.model_copy(update={"folds": 5})

    def pairs(answer: Answer) -> Pairs:
        rows = complete(table, "age", "volume")
        models: Any = answer.values["models"]
        for name, columns in test_logistic.MODELS.items():
            fit, sd = test_logistic.statsmodels_logit(rows, columns)
            yield _terms(answer, name, "estimate"), fit.params[1:] / sd
            yield _terms(answer, name, "se"), fit.bse[1:] / sd
            yield _terms(answer, name, "p"), fit.pvalues[1:]
            yield models[name]["log_likelihood"], fit.llf

    tables = with_nobody(split_unevenly(table, 5))
    return Case("logistic 5 folds", step, tables, "statsmodels", pairs, (step, table))


def _firth() -> Case:
    table, columns = test_logistic.separated(240, 6), ("age", "stage")
    step = Logistic(outcome="response", models={"m": columns})

    def pairs(answer: Answer) -> Pairs:
        x, sd = test_logistic.standardised(table, columns)
        fit = test_logistic.firth_fit(x, table.columns["response"])
        yield _terms(answer, "m", "estimate"), fit.coef_ / sd
        yield _terms(answer, "m", "se"), test_logistic.information_se(fit, x, sd)
        yield _terms(answer, "m", "estimate_low"), fit.conf_int(method="pl")[:-1, 0] / sd

    tables = split_unevenly(table, 5)
    return Case("logistic separated, Firth", step, tables, "firthmodels", pairs, (step, table))


def _lasso() -> Iterator[Case]:
    table = test_lasso.radiomics(240, 20, seed=3)
    lasso = test_lasso.step()

    def pairs(answer: Answer) -> Pairs:
        z, y, sd = test_lasso.training(table, lasso, -1)
        lambda_: Any = answer.values["lambda"]
        fit = LogisticRegression(
            l1_ratio=1.0,
            C=1 / (lambda_ * len(y)),
            solver="saga",
            tol=1e-13,
            max_iter=100_000,
            random_state=0,
        ).fit(z, y)
        found = test_lasso.per_sd(answer, 0, sd)
        yield found[found != 0], fit.coef_[0][found != 0]
        yield (found != 0).sum(), (fit.coef_[0] != 0).sum()

    tables = with_nobody(split_unevenly(table, 5))
    yield Case("lasso", lasso, tables, "scikit-learn (saga)", pairs, (lasso, table), "kkt")
    yield _linear(table, test_lasso.step(outcome="grade", family="linear"))
    yield _ridge(table, test_lasso.step(alpha=0.0, smallest=None))


def _linear(table: Table, lasso: Lasso) -> Case:
    def pairs(answer: Answer) -> Pairs:
        from sklearn.linear_model import Lasso as Theirs

        z, y, sd = test_lasso.training(table, lasso, -1)
        lambda_: Any = answer.values["lambda"]
        fit = Theirs(alpha=lambda_, tol=1e-14, max_iter=1_000_000).fit(z, y)
        yield test_lasso.per_sd(answer, 0, sd), fit.coef_

    tables = with_nobody(split_unevenly(table, 5))
    name = "lasso linear"
    return Case(name, lasso, tables, "scikit-learn", pairs, (lasso, table), "kkt")


def _ridge(table: Table, ridge: Lasso) -> Case:
    def pairs(answer: Answer) -> Pairs:
        z, y, sd = test_lasso.training(table, ridge, -1)
        lambda_: Any = answer.values["lambda"]
        at = {"l1_ratio": 0.0, "C": 1 / (lambda_ * len(y)), "tol": 1e-12}
        fit = LogisticRegression(**at, solver="newton-cholesky", max_iter=1000).fit(z, y)
        yield test_lasso.per_sd(answer, 0, sd), fit.coef_[0]

    tables = with_nobody(split_unevenly(table, 5))
    return Case("lasso ridge", ridge, tables, "scikit-learn", pairs, (ridge, table), "kkt")


def _cox() -> Case:
    tables = split_unevenly(followed(400, seed=3), 5)
    by_site = test_cox.with_sites(tables)
    step: Cox = test_cox.COX

    def pairs(answer: Answer) -> Pairs:
        rows = complete(by_site, "age", "volume")
        models: Any = answer.values["models"]
        for name, columns in test_cox.MODELS.items():
            fit, sd = test_cox.statsmodels_cox(rows, columns, rows.columns["site"])
            yield _terms(answer, name, "estimate"), fit.params / sd
            yield _terms(answer, name, "se"), fit.bse / sd
            yield models[name]["log_likelihood"], fit.llf

    pooled = step.model_copy(update={"strata": ("site",)}), by_site
    return Case("cox", step, with_nobody(tables), "statsmodels", pairs, pooled, "strata")


def _piecewise() -> Case:
    table = followed(400, seed=3)
    models = {"combined": ("age", "adc")}
    step = PiecewiseExponential(time="days", event="died", models=models)

    def pairs(answer: Answer) -> Pairs:
        params, errors = _poisson(complete(table, "age"))
        yield _terms(answer, "combined", "estimate"), params
        yield _terms(answer, "combined", "se"), errors

    tables = with_nobody(split_unevenly(table, 5))
    return Case("piecewise_exponential", step, tables, "statsmodels", pairs, (step, table))


def _poisson(rows: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and errors of age and adc in a Poisson model of person-time."""
    import statsmodels.api as sm

    from common.analyses.person_time import cut_days

    days, died = rows.columns["days"], rows.columns["died"]
    x = rows.matrix(("age", "adc"))
    sd = x.std(0)
    z = (x - x.mean(0)) / sd
    cuts = cut_days(np.bincount(days[died == 1].astype(int), minlength=3001), 20)
    edges = np.concatenate([[0.0], cuts, [np.inf]])
    designs, events, exposures = [], [], []
    for j in range(len(edges) - 1):
        here = days > edges[j]
        interval = np.eye(len(edges) - 1)[np.full(here.sum(), j)]
        designs.append(np.hstack([interval, z[here]]))
        events.append(died[here] * (days[here] <= edges[j + 1]))
        exposures.append(np.minimum(days[here], edges[j + 1]) - edges[j])
    offset = np.log(np.concatenate(exposures))
    model = sm.GLM(np.concatenate(events), np.vstack(designs), sm.families.Poisson(), offset=offset)
    fit = model.fit(tol=1e-14, maxiter=100)
    return fit.params[-2:] / sd, fit.bse[-2:] / sd
