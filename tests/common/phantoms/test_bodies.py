"""Rectum and neck: what is planted in bodies and rows is there to be found."""

import numpy as np
import pytest

from common.cohort import Cohort
from common.phantoms.cases import columns_of, contract, draw, plan_site, row
from common.phantoms.spec import PhantomSpec


def spec_of(kind: str, n: int, **site: object) -> PhantomSpec:
    spacing = {"rectum": [3, 2, 2], "neck": [4, 2, 2]}[kind]
    settings = {"n_patients": n, "scanner": {"spacing_mm": spacing, "noise": 0.1}, **site}
    return PhantomSpec.model_validate(
        {"seed": 3, "anatomy": {"kind": kind}, "sites": {"north": settings}}
    )


def dice(a, b) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


@pytest.mark.parametrize("kind", ["rectum", "neck"])
def test_rows_fit_the_columns_and_pictures_the_contract(kind) -> None:
    spec = spec_of(kind, 1, reader2=1.0)
    made: Cohort = contract(spec)
    for plan in plan_site(spec, "north"):
        cells, pictures = row(spec, plan), draw(spec, plan)
        assert cells.keys() == columns_of(spec).keys() == made.columns.keys()
        assert pictures.images.keys() == made.images.keys()
        assert pictures.masks.keys() == made.masks.keys()
        assert all(mask.any() for name, mask in pictures.masks.items() if "@" not in name)


def test_a_tumour_shrinks_and_readers_agree_less_after_treatment() -> None:
    spec = spec_of("rectum", 6, reader2=1.0)
    before, after = [], []
    for plan in plan_site(spec, "north"):
        masks = {name: m > 0 for name, m in draw(spec, plan).masks.items()}
        (before if plan.side == "before" else after).append(masks)
        assert row(spec, plan)["visit"] == plan.side
    sizes = [[np.count_nonzero(m["tumour"]) for m in part] for part in (before, after)]
    assert all(a < b for b, a in zip(*sizes, strict=True))
    agree = [np.mean([dice(m["tumour"], m["tumour@fellow"]) for m in p]) for p in (before, after)]
    assert agree[1] < agree[0] - 0.1


def test_both_visits_have_one_split_and_one_response_and_are_labelled_together() -> None:
    plans = list(plan_site(spec_of("rectum", 30, unlabelled=0.5), "north"))
    for one, other in zip(plans[::2], plans[1::2], strict=True):
        assert (one.split, one.labelled, one.lesion) == (other.split, other.labelled, other.lesion)
    assert {plan.labelled for plan in plans} == {True, False}


def test_muscle_on_the_middle_slice_is_what_the_index_says() -> None:
    spec = spec_of("neck", 6)
    found, planted = [], []
    for plan in plan_site(spec, "north"):
        masks = draw(spec, plan).masks
        z = int(np.median(np.flatnonzero(masks["c3"].any(axis=(1, 2)))))
        found.append(np.count_nonzero(masks["muscle"][z]) * 0.04)
        who = spec.anatomy.person(plan.patient.male, 0, spec.seed, "north", plan.index)
        planted.append(who.area_mm2 / 100)
    assert np.corrcoef(found, planted)[0, 1] > 0.99
    assert found == pytest.approx(planted, rel=0.05)  # no more than voxels of 2 mm explain


def test_survival_hangs_on_the_index_in_men_only() -> None:
    neck = spec_of("neck", 1).anatomy
    for male, ratio in ((True, np.exp(1.3)), (False, 1.0)):
        people = [neck.person(male, 60, "many", i) for i in range(4000)]
        low = np.array([p.index < neck.index_mean["m" if male else "f"] for p in people])
        days = np.array([p.time_days for p in people])
        dead = np.array([p.dead for p in people])
        rates = [dead[part].sum() / days[part].sum() for part in (low, ~low)]
        assert rates[0] / rates[1] == pytest.approx(ratio, rel=0.12)
