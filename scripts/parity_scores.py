"""Cases of the evaluation of scores, of survival curves and of effects over sites."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from lifelines import KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test
from lifelines.utils.concordance import _concordance_summary_statistics
from MLstatkit import Delong_test
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    roc_auc_score,
)
from statsmodels.duration.survfunc import survdiff
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.proportion import proportion_confint

from common.analyses.analysis import Analysis, Answer
from common.analyses.outcome import complete
from common.analyses.roc import Roc
from common.table import Table
from scripts.parity_case import Case, Pairs
from scripts.parity_tests import with_nobody
from tests.common.analyses import (
    test_calibration,
    test_concordance,
    test_cutoff_scan,
    test_decision_curve,
    test_kaplan_meier,
    test_meta,
    test_operating_point,
    test_reclassification,
)
from tests.common.analyses.scored import scored
from tests.common.analyses.tables import split_unevenly


def cases() -> Iterator[Case]:
    """Yield the cases."""
    table = scored(400, seed=2)
    table.columns["constant"] = np.full(table.n, 0.5)
    yield _roc(table)
    yield _case("operating_point", test_operating_point.STEP, table, "scikit-learn", _points)
    yield _case("calibration", test_calibration.STEP, table, "statsmodels", _calibrated)
    yield _case("decision_curve", test_decision_curve.STEP, table, "dcurves", _benefit)
    yield _case("reclassification", test_reclassification.STEP, table, "rows (numpy)", _gain)
    yield _kaplan_meier(table)
    yield _cutoffs()
    yield _concordance()
    yield from _metas()


def _case(name: str, step: Any, table: Table, reference: str, pairs: Any) -> Case:
    rows = complete(table, step.columns())
    tables = with_nobody(split_unevenly(table, 5))
    return Case(name, step, tables, reference, lambda a: pairs(a, rows), (step, table))


def _roc(table: Table) -> Case:
    scores = ("old", "new", "sum_score")

    def pairs(answer: Answer, rows: Table) -> Pairs:
        y, found = rows.columns["response"], answer.values["scores"]
        for name in scores:
            mine: Any = found[name]  # type: ignore[index,call-overload]
            yield mine["auc"], roc_auc_score(y, rows.columns[name])
            expected = average_precision_score(y, rows.columns[name])
            yield mine["average_precision"]["estimate"], expected
        for pair in answer.values["pairs"]:  # type: ignore[union-attr]
            a, b = (rows.columns[pair[k]] for k in ("a", "b"))  # type: ignore[index,call-overload]
            yield pair["p"], Delong_test(y, a, b, return_ci=True)[1]  # type: ignore[index,call-overload]

    step = Roc(outcome="response", scores=scores, bootstrap=100)
    return _case("roc", step, table, "scikit-learn, MLstatkit", pairs)


def _points(answer: Answer, rows: Table) -> Pairs:
    y, scores = rows.columns["response"], answer.values["scores"]
    for name in test_operating_point.SCORES:
        for point in scores[name]["points"]:  # type: ignore[index,call-overload]
            call = rows.columns[name] >= point["threshold"]
            tn, fp, fn, tp = confusion_matrix(y, call).ravel()
            yield [point[k] for k in ("tn", "fp", "fn", "tp")], (tn, fp, fn, tp)
            yield point["f1"]["estimate"], f1_score(y, call)
            ci = proportion_confint(tp, tp + fn, method="wilson")
            yield [point["sensitivity"][k] for k in ("ci_low", "ci_high")], ci


def _calibrated(answer: Answer, rows: Table) -> Pairs:
    y, scores = rows.columns["response"], answer.values["scores"]
    for name in test_calibration.SCORES:
        mine: Any = scores[name]  # type: ignore[index,call-overload]
        p = np.clip(rows.columns[name], 1e-6, 1 - 1e-6)
        fit = sm.Logit(y, sm.add_constant(np.log(p / (1 - p)))).fit(disp=0, tol=1e-12)
        for i, term in enumerate(("intercept", "slope")):
            yield (mine[term]["estimate"], mine[term]["se"]), (fit.params[i], fit.bse[i])
        yield mine["brier"]["estimate"], brier_score_loss(y, rows.columns[name])


def _benefit(answer: Answer, rows: Table) -> Pairs:
    from dcurves import dca

    step = test_decision_curve.STEP
    data = pd.DataFrame({c: rows.columns[c] for c in step.columns()})
    thresholds = np.array(step.thresholds)
    theirs = dca(data=data, outcome="response", modelnames=list(step.scores), thresholds=thresholds)
    curves: Any = {**answer.values["scores"], "all": answer.values["all"]}  # type: ignore[dict-item]
    for name, curve in curves.items():
        of = theirs[theirs["model"] == name].set_index("threshold")["net_benefit"]
        yield curve["net_benefit"], of.loc[curve["threshold"]].to_numpy()


def _gain(answer: Answer, rows: Table) -> Pairs:
    y, old = rows.columns["response"], rows.columns["old"]
    models: Any = answer.values["models"]
    for name in test_reclassification.NEW:
        d = rows.columns[name] - old
        yield models[name]["idi"]["estimate"], d[y == 1].mean() - d[y == 0].mean()
        nri = np.sign(d)[y == 1].mean() - np.sign(d)[y == 0].mean()
        yield models[name]["continuous_nri"]["estimate"], nri


def _kaplan_meier(table: Table) -> Case:
    def pairs(answer: Answer, rows: Table) -> Pairs:
        picture: Any = answer.values["strata"]["all"]  # type: ignore[index,call-overload]
        days, died, arm = (rows.columns[c] for c in ("days", "died", "arm"))
        for g, name in enumerate(test_kaplan_meier.ARMS):
            fitted = KaplanMeierFitter().fit(days[arm == g], died[arm == g])
            curve = picture["groups"][name]["curve"]
            theirs = fitted.survival_function_at_times(curve["days"][1:])
            yield curve["survival"][1:], theirs.to_numpy()
        test = multivariate_logrank_test(days, arm, died)
        found = picture["log_rank"]
        yield (found["chi2"], found["p"]), (test.test_statistic, test.p_value)

    step = test_kaplan_meier.STEP
    made = _case("kaplan_meier", step, table, "lifelines", pairs)
    return Case(
        made.name, step, made.tables, made.reference, made.pairs, made.pooled, without="by_site"
    )


def _cutoffs() -> Case:
    step: Analysis = test_cutoff_scan.STEP
    tables = split_unevenly(scored(400, seed=1), 4)

    def pairs(answer: Answer) -> Pairs:
        strata: Any = answer.values["strata"]
        parts = [complete(t, step.columns()) for t in tables]
        site = np.repeat(np.arange(4), [t.n for t in parts])
        days, died, marker, sex = (
            np.concatenate([t.columns[c] for t in parts]) for c in ("days", "died", "marker", "sex")
        )
        for code, level in enumerate(("f", "m")):
            of = sex == code
            for test in strata[level]["cutoffs"]:
                above = marker[of] >= test["cutoff"]
                chi2, _ = survdiff(days[of], died[of], above, strata=site[of])
                yield test["chi2"], chi2

    return Case("cutoff_scan", step, with_nobody(tables), "statsmodels", pairs, None)


def _concordance() -> Case:
    """Pairs within sites; those across sites are binned, within a bound the tests check."""
    step, tables = test_concordance.STEP, test_concordance.survival_sites(400, 7)

    def pairs(answer: Answer) -> Pairs:
        scores: Any = answer.values["scores"]
        for name in step.scores:
            parts = []
            for t in tables:
                days, score, died = (t.columns[c] for c in ("days", name, "died"))
                parts.append(_concordance_summary_statistics(days, -score, died))
            right, tied, n = np.sum(parts, axis=0)
            within = scores[name]["within_sites"]
            yield within["comparable_pairs"], n
            yield within["estimate"], (right + tied / 2) / n

    return Case("concordance", step, with_nobody(tables), "lifelines", pairs, None)


def _metas() -> Iterator[Case]:
    for step in test_meta.STEPS:
        tables = test_meta.sites(4.0)

        def pairs(answer: Answer, step: Any = step, tables: Any = tables) -> Pairs:
            values: Any = answer.values
            effects, variances = (np.array(of) for of in test_meta.own_effects(step, tables))
            with np.errstate(invalid="ignore"):
                theirs = combine_effects(effects, variances, method_re="dl")
            yield values["q"], theirs.q
            found = values["fixed"]
            yield (found["estimate"], found["se"]), (theirs.mean_effect_fe, theirs.sd_eff_w_fe)
            if theirs.tau2 > 0:
                found = values["random"]
                yield (found["estimate"], found["se"]), (theirs.mean_effect_re, theirs.sd_eff_w_re)
                yield values["tau2"], theirs.tau2

        name = f"meta {step.effect}"
        yield Case(name, step, with_nobody(tables), "statsmodels", pairs, None)
