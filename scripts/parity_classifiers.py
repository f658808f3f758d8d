"""Cases of classifiers and clusters."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from common.analyses.analysis import Answer
from common.analyses.bins import codes_of
from scripts.parity_case import Case, Pairs
from scripts.parity_tests import with_nobody
from tests.common.analyses import (
    test_boosting,
    test_cluster,
    test_forest,
    test_naive_bayes,
    test_prototypes,
    test_svm,
)
from tests.common.analyses.classified import OF, classified, rows_of
from tests.common.analyses.tables import split_unevenly

TABLE = classified(350, seed=2)


def cases() -> Iterator[Case]:
    """Yield the cases."""
    forest = test_forest.FOREST
    yield _case("forest", forest, "pooled rows only", lambda _: ())
    classic = test_boosting.boosting(steps=15, **test_boosting.CLASSIC)
    yield _case("boosting", classic, "scikit-learn, float32", lambda a: _boosted(a, classic))
    yield _case("svm", test_svm.SVM, "scikit-learn", _weights)
    bayes = test_naive_bayes.BAYES
    yield _case("naive_bayes", bayes, "scikit-learn", lambda a: _bayes(a, bayes))
    yield _case("prototypes", test_prototypes.PROTOTYPES, "scikit-learn (fixed point)", _centres)
    yield _case("cluster", test_cluster.CLUSTER, "scikit-learn (fixed point)", _clusters)


def _case(name: str, step: Any, reference: str, pairs: Any) -> Case:
    tables = with_nobody(split_unevenly(TABLE, 5))
    return Case(name, step, tables, reference, pairs, (step, TABLE))


def _boosted(answer: Answer, step: Any) -> Pairs:
    rows, x, y = rows_of(TABLE)
    codes = codes_of(x, answer.arrays["edges"])
    model = HistGradientBoostingClassifier(
        max_iter=15,
        max_depth=3,
        max_leaf_nodes=None,
        learning_rate=0.1,
        l2_regularization=step.l2,
        early_stopping=False,
    )
    with threadpool_limits(1):
        model.fit(codes, y)
    yield step.columns_from(rows, answer)["probability"], model.predict_proba(codes)[:, 1]


def _weights(answer: Answer) -> Pairs:
    _, x, y = rows_of(TABLE)
    z = StandardScaler().fit_transform(x)
    model = LinearSVC(C=test_svm.SVM.penalty, dual=False, tol=1e-12, max_iter=100_000).fit(z, y)
    yield answer.arrays["weights"][0], np.append(model.intercept_, model.coef_[0])


def _bayes(answer: Answer, step: Any) -> Pairs:
    rows, x, y = rows_of(TABLE)
    z = StandardScaler().fit_transform(x)
    model = GaussianNB(var_smoothing=step.smoothing).fit(z, y)
    yield step.columns_from(rows, answer)["probability"], model.predict_proba(z)[:, 1]


def _centres(answer: Answer) -> Pairs:
    _, x, y = rows_of(TABLE)
    arrays = answer.arrays
    z = (x - arrays["centre"][0]) / arrays["unit"][0]
    for of in (0, 1):
        start = arrays["centres"][of][arrays["n"][of] > 0]
        yield (
            start,
            KMeans(len(start), init=start, n_init=1, tol=0).fit(z[y == of]).cluster_centers_,
        )


def _clusters(answer: Answer) -> Pairs:
    rows, _, _ = rows_of(TABLE)
    z, about = test_cluster.scaled(rows, OF), answer.values["k"]
    for i, k in enumerate(test_cluster.CLUSTER.k):
        start = answer.arrays["centres"][i][:k]
        model = KMeans(k, init=start, n_init=1, tol=0).fit(z)
        yield about[str(k)]["inertia"], model.inertia_  # type: ignore[index,call-overload]
