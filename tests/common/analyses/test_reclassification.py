"""NRI and IDI over sites: equal to the pooled ones and to the formulas on rows."""

import json

import numpy as np
import pytest
from scipy.stats import norm

from common.analyses.outcome import FEW_OF_A_CLASS, complete
from common.analyses.reclassification import Reclassification
from common.analyses.runner import Cost, run
from common.table import Table
from tests.common.analyses.scored import alone, assert_laws, scored
from tests.common.analyses.tables import split_unevenly

NEW = ("new", "fine")
STEP = Reclassification(outcome="response", old="old", new=NEW, categories=(0.3, 0.6))


def test_federated_is_pooled_in_any_split_and_order() -> None:
    assert_laws(STEP, scored(330, seed=1))


def test_nri_and_idi_are_those_of_rows() -> None:
    table = scored(400, seed=2)
    rows = complete(table, STEP.columns())
    y, old = rows.columns["response"], rows.columns["old"]
    models = run(STEP, split_unevenly(table, 4)).values["models"]
    for name in NEW:
        p = rows.columns[name]
        for kind, was, now in (
            ("continuous_nri", old, p),
            ("categorical_nri", np.digitize(old, (0.3, 0.6)), np.digitize(p, (0.3, 0.6))),
        ):
            signs = np.sign(now - was)
            of_events, of_rest = signs[y == 1], -signs[y == 0]
            found = models[name][kind]
            total = of_events.mean() + of_rest.mean()
            assert found["estimate"] == pytest.approx(total, abs=1e-14)
            assert found["events"]["estimate"] == pytest.approx(of_events.mean(), abs=1e-14)
            se = np.sqrt(of_events.var() / of_events.size + of_rest.var() / of_rest.size)
            assert found["se"] == pytest.approx(se, rel=1e-12)
            null = np.sqrt(
                (of_events**2).sum() / of_events.size**2 + (of_rest**2).sum() / of_rest.size**2
            )
            assert found["p"] == pytest.approx(2 * norm.sf(abs(total) / null), rel=1e-10)
        d = p - old
        idi = models[name]["idi"]
        assert idi["estimate"] == pytest.approx(d[y == 1].mean() - d[y == 0].mean(), abs=1e-14)
        se = np.sqrt(
            d[y == 1].var(ddof=1) / (y == 1).sum() + d[y == 0].var(ddof=1) / (y == 0).sum()
        )
        assert idi["se"] == pytest.approx(se, rel=1e-11)
        assert idi["p"] == pytest.approx(2 * norm.sf(abs(idi["estimate"]) / se), rel=1e-9)


def test_table_is_the_one_of_rows_with_small_cells_hidden() -> None:
    table = scored(400, seed=3, missing=0.0)
    found = run(STEP, [table]).values["models"]["new"]["table"]
    y = table.columns["response"]
    was, now = (np.digitize(table.columns[c], (0.3, 0.6)) for c in ("old", "new"))
    n_shown = 0
    for c, name in enumerate(("non_events", "events")):
        for i in range(3):
            for j in range(3):
                n = ((y == c) & (was == i) & (now == j)).sum()
                assert found[name][i][j] in (None, n)
                assert found[name][i][j] is None or n == 0 or n >= 5
                n_shown += found[name][i][j] is not None
    assert n_shown > 9


def test_pencinas_framingham_example() -> None:
    """Pencina et al., Stat Med 27:157 (2008): HDL moves 29 of 183 events up and 7 down,
    173 of 3081 non-events up and 174 down; NRI 12.1 %, z = 3.616.
    """
    moves = [(1.0, 29, 7, 183), (0.0, 173, 174, 3081)]
    y = np.concatenate([np.full(n, c) for c, _, _, n in moves])
    new = np.concatenate(
        [np.repeat([0.7, 0.1, 0.4], [up, down, n - up - down]) for _, up, down, n in moves]
    )
    table = scored(len(y), seed=1, missing=0.0)
    table.columns["response"][:], table.columns["new"][:] = y, new
    table.columns["old"][:] = 0.4
    step = STEP.model_copy(update={"new": ("new",)})
    model = run(step, [table]).values["models"]["new"]
    for kind in ("categorical_nri", "continuous_nri"):
        assert round(model[kind]["estimate"], 3) == 0.121
        assert norm.isf(model[kind]["p"] / 2) == pytest.approx(3.616, abs=5e-4)


def test_one_round() -> None:
    cost = Cost()
    run(STEP, split_unevenly(scored(330, seed=1), 4), cost=cost)
    assert cost.rounds == 1


def test_site_alone_hides_what_has_small_cells() -> None:
    table = alone(scored(200, seed=4, missing=0.0))
    ask = next(STEP.solve(table.contract, alone=True))
    sums = STEP.summarise(table, ask)
    for name in ("table", "moves"):
        counts = np.asarray(sums[name])
        assert not ((counts > 0) & (counts < 5)).any()
        assert STEP.schema(ask, table.contract)[name].alone == "cells"
    mine = run(STEP, [table], alone=True).values["models"]["new"]
    pooled = run(STEP, [table]).values["models"]["new"]
    assert mine["idi"] == pooled["idi"]
    assert mine["continuous_nri"] == pooled["continuous_nri"]
    assert mine["categorical_nri"] is None
    assert "not shown" in mine["note"]


def test_the_same_model_changes_nothing() -> None:
    table = scored(100, seed=5, missing=0.0)
    table.columns["new"][:] = table.columns["old"]
    answer = run(STEP, [table]).values
    json.dumps(answer, allow_nan=False)
    model = answer["models"]["new"]
    assert (model["continuous_nri"]["estimate"], model["continuous_nri"]["p"]) == (0.0, None)
    assert (model["idi"]["estimate"], model["idi"]["p"]) == (0.0, None)


def test_too_few_events() -> None:
    table = scored(100, seed=6, missing=0.0)
    table.columns["response"][:] = 0.0
    table.columns["response"][:4] = 1.0
    answer = run(STEP, [table]).values
    assert (answer["models"], answer["note"]) == ({}, FEW_OF_A_CLASS)


def test_settings_change_the_answer() -> None:
    table = scored(330, seed=1)
    base = run(STEP, [table]).values
    for change in (
        {"positive": "no"},
        {"old": "fine"},
        {"categories": (0.5,)},
        {"categories": ()},
        {"confidence": 0.9},
    ):
        assert run(STEP.model_copy(update=change), [table]).values != base


def test_a_score_is_not_held_against_itself() -> None:
    with pytest.raises(ValueError, match='new: "old" is the old score'):
        Reclassification(outcome="response", old="old", new=("new", "old"))
    step = Reclassification(outcome="response", old="old", new=("ol*",))
    assert step.expand(("response", "old", "new")).new == ("ol*",)  # told as one that fits nothing


@pytest.mark.filterwarnings("error")
def test_a_new_score_that_is_the_same_in_every_case_changes_nothing_and_says_so() -> None:
    table = scored(300, seed=4)
    same = Table({**table.columns, "new": table.columns["old"]}, table.contract, table.patients)
    found = run(STEP, split_unevenly(same, 3)).values["models"]
    assert found["new"]["continuous_nri"]["estimate"] == found["new"]["idi"]["estimate"] == 0
    assert found["new"]["continuous_nri"]["p"] is None
    assert "the same as the old score in every case" in found["new"]["same"]
    assert "same" not in found["fine"]
