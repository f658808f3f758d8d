"""What "In short" names: networks that were scored, sizes against a reader's, models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from server.report.blocks import Items
from server.report.numbers import SPACE
from server.report.record import read_record
from server.report.sections.findings import findings
from tests.server.report.folders import STUDY, answers, journal, scores, write_run

STEPS = """
  second: {kind: predict, network: segment}
  middle: {kind: measure, mask: masks.organ, slice: {slices: 5, images: [t1], masks: [organ]}}
  reader: {kind: measure, mask: organ, slice: {images: [t1], masks: [organ]}}
  found: {kind: measure, mask: masks.organ, sizes: [volume_ml]}
  drawn: {kind: measure, mask: organ, sizes: [volume_ml]}
  there: {kind: measure, mask: middle.organ, sizes: [area_cm2]}
  index:
    kind: derive
    make:
      found: {op: product, of: {found.volume_ml: 1, age: -1}, unit: ml/a, title: Organ index}
      reader: {op: product, of: {drawn.volume_ml: 1, age: -1}, unit: ml/a, title: "Index, reader"}
"""
VOLUMES = "volume of masks.organ against the reader's volume of organ"
BOTH = 'more: {kind: describe, of: ["masks.dice_*", "second.dice_*"]}'
INDICES = "Organ index against Index, reader"


def in_short(folder: Path, step: str, found: Mapping[str, Any]) -> str:
    """Return the section of a run that has one more step, in words."""
    name = step.strip().partition(":")[0]
    study = f"{STUDY}{STEPS}  {step}\n"
    run = write_run(folder, journal({**answers(), name: found}), study=study)
    (section,) = findings(read_record(run))
    (items,) = section.blocks
    assert isinstance(items, Items)
    return " | ".join(f"{term}: {text}" for term, text in items.entries)


def pair(a: str, b: str, **values: Any) -> dict[str, Any]:
    return {"a": a, "b": b, "estimate": 0.95523, "ci_low": 0.94, "ci_high": 0.9665, **values}


def test_the_step_is_named_where_two_networks_were_scored(tmp_path: Path) -> None:
    of_both = scores(30, 0.87)
    first = {n: c for n, c in of_both["columns"].items() if n.startswith("masks.dice")}
    second = {n.replace("masks", "second"): {**c, "mean": 0.6} for n, c in first.items()}
    values = {**of_both, "columns": {**first, **second}}
    said = in_short(tmp_path, "more: {kind: missingness, of: [age]}", {})
    assert "front: mean Dice 0.870" in said  # one step was scored: nothing to tell apart
    said = in_short(tmp_path, BOTH, {"development": values})
    assert "front (masks): mean Dice 0.870 in 30 cases of the 4 developing sites" in said
    assert "front (second): mean Dice 0.600 in 30 cases of the 4 developing sites" in said


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        (("found.volume_ml", "drawn.volume_ml"), VOLUMES),
        (("drawn.volume_ml", "found.volume_ml"), VOLUMES),
        (("index.found", "index.reader"), INDICES),
    ],
)
def test_a_size_is_named_with_its_correlation(
    tmp_path: Path, columns: tuple[str, str], named: str
) -> None:
    step = f"r: {{kind: correlate, of: [{', '.join(columns)}], method: pearson, level: 0.9}}"
    parts = {"n": 179, "method": "pearson", "mode": "exact", "pairs": [pair(*columns)]}
    said = in_short(tmp_path, step, {"development": parts, "external": {**parts, "n": 21}})
    numbers = "0.955 (90 % CI 0.940 to 0.967)"
    assert (
        f"{named}: correlation (Pearson's r) {numbers} in 179 cases of the 4 developing sites "
        f"and {numbers} in 21 cases of the external site."
    ) in said


def test_a_size_is_named_with_its_agreement(tmp_path: Path) -> None:
    columns = ("found.volume_ml", "drawn.volume_ml")
    of = {"a": columns[0], "b": columns[1], "n": 60, "concordance": pair("", "")}
    step = f"r: {{kind: compare_paired, pairs: [[{', '.join(columns)}]], over: [all]}}"
    said = in_short(tmp_path, step, {"all": {"n": 60, "correction": "none", "pairs": [of]}})
    assert f"{VOLUMES}: agreement (Lin's concordance) 0.955 (95 % CI 0.940 to 0.967) in 60" in said
    assert "cases of the 5 sites." in said


@pytest.mark.parametrize(
    ("columns", "estimate"),
    [
        (("found.volume_ml", "age"), 0.9),  # of another unit: no reference
        (("found.volume_ml", "there.area_cm2"), 0.9),
        (("found.volume_ml_front", "drawn.volume_ml_back"), 0.9),  # of another label
        (("drawn.volume_ml", "drawn.volume_ml_front"), 0.9),  # no network's
        (("found.volume_ml", "drawn.volume_ml"), None),  # a number that is not told
    ],
)
def test_other_correlations_are_no_main_result(
    tmp_path: Path, columns: tuple[str, str], estimate: float | None
) -> None:
    step = f"r: {{kind: correlate, of: [{', '.join(columns)}], over: [all]}}"
    parts = {"n": 179, "mode": "exact", "pairs": [pair(*columns, estimate=estimate)]}
    assert "correlation" not in in_short(tmp_path, step, {"all": parts})


MODELS = """
name: risk
title: Risk of recurrence
description: Four hospitals and one abroad.
reference: Doe et al., 2024
cohort:
  columns:
    age: {type: integer, range: [18, 100], title: Age}
    marker: {type: number, range: [0, 1], title: Marker}
    recurrence: {type: category, levels: ["no", "yes"], title: Recurrence}
    other: {type: category, levels: ["no", "yes"], title: Other}
    days: {type: integer, range: [0, 900], unit: days, title: Survival}
steps:
  model:
    kind: logistic
    outcome: recurrence
    folds: 5
    models: {clinical: [age], combined: [age, marker]}
  fitted: {kind: roc, outcome: recurrence, scores: &scores [model.clinical_probability,
    model.combined_probability], over: [development, external]}
  within: {kind: roc, outcome: recurrence, scores: [model.clinical_probability_oof,
    model.combined_probability_oof]}
  elsewhere: {kind: roc, outcome: other, scores: [marker]}
  ranked: {kind: concordance, time: days, event: recurrence, scores: [marker, age], level: 0.9}
"""
PAIR = ("model.clinical_probability", "model.combined_probability")


def areas(n: int, *sizes: float | None, mark: str = "", **pair: Any) -> dict[str, Any]:
    """Return an answer of a step of kind roc over the two models."""
    names = [f"{name}{mark}" for name in PAIR]
    found = {
        name: {"auc": auc, "ci_low": auc - 0.1, "ci_high": auc + 0.1}
        for name, auc in zip(names, sizes, strict=True)
        if auc is not None
    }
    pairs = [{"a": names[1], "b": names[0], "p": 0.021, **pair}]
    return {"n": n, "events": n // 2, "scores": found, "pairs": pairs}


def said_of_models(folder: Path, found: Mapping[str, Any], study: str = MODELS) -> list[str]:
    """Return the entries of a run whose study fits models."""
    run = write_run(folder, journal(found), study=study)
    blocks = [block for section in findings(read_record(run)) for block in section.blocks]
    entries = [e for block in blocks if isinstance(block, Items) for e in block.entries]
    return [f"{term}: {text}".replace(SPACE, " ") for term, text in entries]


def test_models_are_named_with_their_areas_in_cases_they_had_not_seen(tmp_path: Path) -> None:
    fitted = {"development": areas(180, 0.9, 0.95), "external": areas(50, 0.6, 0.7, p=0.4)}
    within = {"development": areas(178, 0.63, 0.74, mark="_oof")}
    other = {"development": {"n": 9, "scores": {"marker": {"auc": 0.99}}}}
    found = {"fitted": fitted, "within": within, "elsewhere": other}
    assert said_of_models(tmp_path, found) == [
        "clinical: AUC for Recurrence 0.63 (95 % CI 0.53 to 0.73) in 178 cases (89 events) of the "
        "4 developing sites, cross-validated, and 0.60 (95 % CI 0.50 to 0.70) in 50 cases "
        "(25 events) of the external site.",
        "combined: AUC 0.74 (95 % CI 0.64 to 0.84) and 0.70 (95 % CI 0.60 to 0.80) in the same "
        "cases; against clinical p = 0.02 (developing) and p = 0.40 (external) by DeLong's test.",
    ]
    (first, _) = said_of_models(tmp_path / "seen", {"fitted": fitted})
    assert "180 cases (90 events) of the 4 developing sites, on the cases it was fitted to" in first
    assert ",." not in first
    assert ",;" not in first


def test_of_many_models_the_best_is_named(tmp_path: Path) -> None:
    many = "[model.clinical_probability, model.combined_probability, marker, model.linear]"
    study = MODELS.replace(
        "&scores [model.clinical_probability,\n    model.combined_probability]", many
    )
    study = study.replace("model.linear", "age")
    values = areas(50, 0.6, 0.7, p_adjusted=0.08)
    values["scores"] |= {"marker": {"auc": 0.5}, "age": {"auc": 0.55}}
    assert said_of_models(tmp_path, {"fitted": {"external": values}}, study) == [
        "4 models: AUC for Recurrence 0.50 to 0.70 at the external site; the best there, combined: "
        "0.70 (95 % CI 0.60 to 0.80) in 50 cases (25 events) of the external site; against "
        "clinical p = 0.08 by DeLong's test, adjusted (Holm)."
    ]


def test_survival_is_told_by_concordance_where_there_is_no_area(tmp_path: Path) -> None:
    across = {"estimate": 0.712, "ci_low": 0.65, "ci_high": 0.77, "bound": 0.001}
    scores = {"marker": {"across_sites": across}, "age": {"within_sites": {"estimate": 0.6}}}
    ranked = {"development": {"n": 200, "events": None, "scores": scores}}
    assert said_of_models(tmp_path, {"ranked": ranked}) == [
        "Marker: concordance with Survival (Harrell's C) 0.71 (90 % CI 0.65 to 0.77) in 200 cases "
        "of the 4 developing sites."
    ]


@pytest.mark.parametrize(
    "values", [areas(50, None, None), {"n": 3, "scores": {}, "note": "fewer than 5"}]
)
def test_nothing_is_said_of_models_without_an_area(tmp_path: Path, values: Any) -> None:
    assert said_of_models(tmp_path, {"fitted": {"external": values}}) == []
