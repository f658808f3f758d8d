"""How pseudo-labels, measures, pairs of masks and derived columns are shown."""

from pathlib import Path

import numpy as np

from common.analyses.correlate import Correlate
from common.analyses.moments import Moments
from common.analyses.publish import FEW_CASES, NOBODY
from common.analyses.runner import run
from common.cohort import Column
from common.table import Table
from server.results import why_no_result
from tests.server.report.folders import SITES, STUDY, journal, page_of, write_run

STEPS = """
  pseudo: {kind: pseudo_label, network: segment, case_confidence: 0.8, flips: [x]}
  middle:
    kind: measure
    mask: organ
    slice: {label: front, plane: coronal, images: [t1], masks: [organ]}
  thick: {kind: measure, mask: organ, slice: {slices: 5, images: [t1]}}
  area: {kind: measure, mask: middle.organ, sizes: [area_cm2]}
  agreement: {kind: compare_masks, pairs: {network: [masks.organ, organ]}}
  index:
    kind: derive
    make:
      index: {op: product, of: {area.area_cm2: 1, age: -2}, factor: 100, title: Organ index}
      low: {op: below, of: [index], cut: {f: 1.5, m: 2}, by: sex}
      gap: {op: sum, of: {age: 1, index: -2}, offset: 5}
      size: {op: log, of: [index], base: 2}
"""
ANSWERS = {
    "pseudo": {
        "development": {
            "true": 31,
            "accepted": 47,
            "rejected": 17,
            "failed": 1,
            "confidence": [0, 0, 0, 0, 1, 2, 4, 10, 30, 17],
        }
    },
    "middle": {"all": {"done": 96, "empty": 3, "failed": 1}},
    "area": {"all": {"done": 96, "empty": 0, "failed": 0}},
    "agreement": {"all": {"done": 55, "failed": 2}},
    "index": {"development": {"columns": ["index", "low"]}, "apply": {"n": 100, "filled": 90}},
}


def page(folder: Path) -> str:
    return page_of(write_run(folder, journal(ANSWERS), study=STUDY + STEPS, sites=SITES))


def test_pages_say_in_words_and_numbers_what_became_of_masks(tmp_path) -> None:
    text = " ".join(page(tmp_path).split())
    for words in (
        "its own cases without a mask, as they are and mirrored along x",
        "cases with a mean probability below 0.8 rejected",
        "73 %",  # of 64 tried, 47 accepted
        "cuts the coronal slice in the middle of front of organ out of t1 and organ",
        "cuts the five axial slices in the middle of organ out of t1",
        "measures the area of middle.organ",
        "masks.organ with organ (network)",
        "100 x area.area_cm2 x age^-2",
        "index below 1.5 (f), 2 (m)",
        "5 + age + -2 x index",
        "log of index, base 2",
    ):
        assert words in text, words
    assert (tmp_path / "figures" / "pseudo-confidence-development.svg").exists()


UNTOLD = """
  skew: {kind: moments, of: [age]}
  pairs: {kind: correlate, of: [age, area.area_cm2]}
"""


def test_a_page_says_where_nobody_or_too_few_are_left(tmp_path) -> None:
    steps = STEPS + UNTOLD
    moments = run(Moments(of=("age",)), [_aged(0)]).values
    few = run(Correlate(of=("age", "age")), [_aged(3)]).values
    answers = {**ANSWERS, "skew": {"development": moments}, "pairs": {"development": few}}
    folder = write_run(tmp_path, journal(answers), study=STUDY + steps, sites=SITES)
    text = " ".join(page_of(folder).split())
    assert f": {NOBODY}." in text
    assert f": {FEW_CASES}." in text
    assert why_no_result(moments) == NOBODY
    assert why_no_result(few) == FEW_CASES


def _aged(n: int) -> Table:
    contract = {"age": Column(type="number", range=(0, 100))}
    return Table({"age": np.arange(float(n))}, contract, np.array([f"p{i}" for i in range(n)]))
