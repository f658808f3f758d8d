"""Laws of a phantom cohort: determinism, splits by patient, and the planted truth."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from common.errors import ConfigError
from common.phantoms.cases import contract, draw, plan_patient, plan_site, truth
from common.phantoms.clinical import (
    REFERENCE_AGE,
    REFERENCE_MARKER,
    REFERENCE_VOLUME_ML,
)
from common.phantoms.spec import PhantomSpec, load_spec

MANY = 4000


def spec_of(n_patients: int = 6, *, seed: int = 7, **site: object) -> PhantomSpec:
    settings = {"n_patients": n_patients, **site}
    return PhantomSpec.model_validate({"seed": seed, "sites": {"north": settings}})


def first_case(spec: PhantomSpec):
    return draw(spec, next(plan_patient(spec, "north", 0)))


def test_a_case_does_not_depend_on_how_many_others_are_made():
    few, many = spec_of(3), spec_of(40)
    plans = list(plan_site(few, "north"))
    assert plans == list(plan_site(many, "north"))[: len(plans)]
    a, b = first_case(few), first_case(many)
    assert np.array_equal(a.images["t1"], b.images["t1"])
    assert np.array_equal(a.masks["organ"], b.masks["organ"])


def test_another_seed_gives_another_body():
    a, b = first_case(spec_of(seed=1)), first_case(spec_of(seed=2))
    assert not np.array_equal(a.masks["organ"], b.masks["organ"])


def test_all_cases_of_a_patient_share_split_and_clinical_values():
    plans = list(plan_site(spec_of(60, bilateral=0.5), "north"))
    by_patient = defaultdict(list)
    for plan in plans:
        by_patient[plan.patient_id].append(plan)
    assert sum(len(cases) == 2 for cases in by_patient.values()) in range(20, 41)
    for cases in by_patient.values():
        assert len({(case.split, case.patient) for case in cases}) == 1


def test_every_block_of_patients_is_dealt_alike():
    plans = {p.index: p.split for p in plan_site(spec_of(40), "north")}
    for start in range(0, 40, 5):
        block = Counter(plans[i] for i in range(start, start + 5))
        assert block == {"train": 3, "validation": 1, "test": 1}


def test_an_external_site_only_tests():
    plans = plan_site(spec_of(10, role="external"), "north")
    assert {plan.split for plan in plans} == {"test"}


def test_only_training_cases_go_unlabelled():
    plans = list(plan_site(spec_of(60, unlabelled=1.0, reader2=1.0), "north"))
    assert {plan.split for plan in plans if plan.labelled} == {"validation", "test"}
    assert all(plan.reread == plan.labelled for plan in plans)


def test_the_lesion_has_the_volume_of_its_traits():
    spec = spec_of(8)
    for plan in plan_site(spec, "north"):
        ml = np.count_nonzero(draw(spec, plan).masks["lesion"]) / 1000.0
        assert ml == pytest.approx(plan.lesion.volume_ml, rel=0.12, abs=0.003)


def test_thick_slices_show_the_same_body():
    thick = {"scanner": {"spacing_mm": [2.0, 1.0, 1.0]}}
    thin = first_case(spec_of()).masks["organ"]
    half = first_case(spec_of(**thick)).masks["organ"]
    assert half.shape == (16, 40, 32)
    ratio = 2.0 * np.count_nonzero(half) / np.count_nonzero(thin)
    assert ratio == pytest.approx(1.0, abs=0.1)


def test_every_mask_holds_the_labels_of_the_contract():
    spec = spec_of(10, reader2=1.0)
    wanted = {n: {0, *m.labels.values()} for n, m in contract(spec).masks.items()}
    for plan in plan_site(spec, "north"):
        masks = draw(spec, plan).masks
        assert {n: set(np.unique(m).tolist()) for n, m in masks.items()} == wanted


def test_the_second_reader_nearly_agrees():
    masks = first_case(spec_of(reader2=1.0)).masks
    a, b = masks["organ"] > 0, masks["organ@reader2"] > 0
    dice = 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))
    assert 0.8 < dice < 0.99


def test_planted_effects_on_malignancy_are_found_again():
    spec = spec_of(MANY, bilateral=0.0, patients={"malignant_shift": 0.5})
    plans = list(plan_site(spec, "north"))
    x = np.array(
        [
            [
                1.0,
                (p.patient.age - REFERENCE_AGE) / 10.0,
                np.log2(p.patient.marker / REFERENCE_MARKER),
                np.log2(p.lesion.volume_ml / REFERENCE_VOLUME_ML),
                p.lesion.heterogeneity,
            ]
            for p in plans
        ]
    )
    y = np.array([p.lesion.malignant for p in plans])
    e = spec.effects
    planted = [
        e.malignant_intercept + 0.5,
        e.malignant_age_decade,
        e.malignant_marker_doubling,
        e.malignant_volume_doubling,
        e.malignant_heterogeneity_sd,
    ]
    beta = np.zeros(5)
    for _ in range(8):
        chance = 1.0 / (1.0 + np.exp(-x @ beta))
        information = x.T @ (x * (chance * (1.0 - chance))[:, None])
        beta += np.linalg.solve(information, x.T @ (y - chance))
    error = np.sqrt(np.diag(np.linalg.inv(information)))
    assert np.all(np.abs(beta - planted) < 4.0 * error)


def test_planted_hazards_are_found_again():
    """A Weibull time to its shape is exponential, whose likelihood is short."""
    spec = spec_of(MANY, bilateral=0.0)
    patients = [plan.patient for plan in plan_site(spec, "north")]
    x = np.array(
        [
            [
                1.0,
                (p.age - REFERENCE_AGE) / 10.0,
                np.log2(p.marker / REFERENCE_MARKER),
                p.stage,
            ]
            for p in patients
        ]
    )
    e = spec.effects
    time = np.array([p.time_days / e.median_days for p in patients]) ** e.weibull_shape
    dead = np.array([p.dead for p in patients])
    planted = [
        np.log(np.log(2.0)),
        e.hazard_age_decade,
        e.hazard_marker_doubling,
        e.hazard_stage,
    ]
    beta = np.zeros(4)
    for _ in range(12):
        expected = time * np.exp(x @ beta)
        information = x.T @ (x * expected[:, None])
        beta += np.linalg.solve(information, x.T @ (dead - expected))
    error = np.sqrt(np.diag(np.linalg.inv(information)))
    assert np.all(np.abs(beta - planted) < 4.0 * error)


def test_the_truth_names_every_case_and_effect():
    spec = spec_of(5)
    told = truth(spec, "north")
    assert set(told["cases"]) == {p.case_id for p in plan_site(spec, "north")}
    assert told["effects"]["hazard_stage"] == spec.effects.hazard_stage
    assert told["site"]["scanner"]["scale"] == 1000.0


def test_ct_comes_in_hounsfield_units():
    spec = spec_of().model_copy(
        update={"anatomy": spec_of().anatomy.model_copy(update={"sequences": ("ct",)})}
    )
    image = first_case(spec).images["ct"]
    assert image.dtype == np.int16
    assert 20 < np.median(image) < 45
    assert contract(spec).images["ct"].unit == "HU"


def test_mistakes_in_a_spec_are_named_with_their_lines():
    text = """
seed: 1
sites:
  north: {n_patients: 4, scanner: {scale: 900, stored_as: uint8}}
  south: {n_patients: 0, unlabeled: 0.5}
"""
    with pytest.raises(ConfigError) as error:
        load_spec(text, "phantoms.yaml")
    told = [str(finding) for finding in error.value.findings]
    assert len(told) == 3
    assert "phantoms.yaml:4" in told[0]
    assert "at most 255 where uint8 is stored, got 900" in told[0]
    assert any('did you mean "unlabelled"?' in line for line in told)


def test_a_stamp_changes_with_its_own_site_only():
    one, two = spec_of(3), spec_of(4)
    both = PhantomSpec(seed=7, sites={**one.sites, "south": two.sites["north"]})
    assert one.stamp("north") == both.stamp("north")
    assert one.stamp("north") != two.stamp("north")
