"""What is there to learn from is told before anything is trained."""

from pathlib import Path

import pytest

from client.cases import Case
from client.check_learning import lacks
from common.sites import Roster
from common.study import read_study
from tests.training import STUDY

ROSTER = Roster.model_validate(
    {"sites": {n: {"simulate": {"cohort": n}} for n in ("north", "east", "south")}}
)


def cases(train: int, validation: int, masked: bool) -> tuple[Case, ...]:
    """Return cases with images, of which those of a masked site have the mask too."""
    mask = Path("mask") if masked else None
    splits = ["train"] * train + ["validation"] * validation
    return tuple(
        Case(f"c{i}", f"p{i}", split, "", {"t1": Path("t1")}, {"organ": mask}, {})
        for i, split in enumerate(splits)
    )


def found(study: str, **sites: tuple[Case, ...]) -> dict[str, str]:
    return {lack.site: lack.text for lack in lacks(read_study(study, "s.yaml"), ROSTER, sites)}


def test_a_site_without_labels_is_named() -> None:
    whole = {name: cases(3, 1, masked=True) for name in ("north", "east")}
    said = found(STUDY, south=cases(3, 1, masked=False), **whole)
    assert said == {"south": 'step "segment": no training case has t1, organ; it adds nothing here'}
    taught = STUDY.replace("      mask: organ\n", "      mask: organ\n      consistency: {}\n")
    assert taught != STUDY
    assert not found(taught, south=cases(3, 1, masked=False), **whole)


def test_where_no_site_has_labels_the_study_cannot_run() -> None:
    none = {name: cases(3, 1, masked=False) for name in ("north", "east", "south")}
    (lack,) = lacks(read_study(STUDY, "s.yaml"), ROSTER, none)
    assert lack.stops
    assert "no site has a training case with t1, organ" in lack.text


@pytest.mark.parametrize("select", ["best", "last"])
def test_the_best_weights_need_a_case_to_validate_with(select) -> None:
    study = STUDY.replace("    rounds: 4", f"    rounds: 4\n    select: {select}")
    said = found(study, **{n: cases(3, 0, masked=True) for n in ("north", "east", "south")})
    assert ("last weights" in said.get("", "")) == (select == "best")
