"""What "In short" names: the networks that were scored, and sizes against a reader's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from server.report.blocks import Items
from server.report.record import read_record
from server.report.sections.findings import findings
from tests.server.report.folders import STUDY, answers, journal, scores, write_run

STEPS = """
  second: {kind: predict, network: segment, combine: vote}
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
