"""Every analysis a study can name is told about, tested and light to load."""

import subprocess
import sys
from pathlib import Path

import pytest

from common.analyses import ANALYSES
from common.by_site import ONLY_MASKED
from common.study import KINDS

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.mark.parametrize("analysis", ANALYSES, ids=lambda a: a.__name__)
def test_says_what_it_costs_and_has_a_test(analysis: type) -> None:
    assert "Rounds:" in (analysis.__doc__ or ""), "the docstring states the rounds"
    tests = "".join(path.read_text() for path in HERE.glob("test_*.py") if path != Path(__file__))
    assert f"{analysis.__name__}(" in tests
    assert ".rounds" in tests


def test_every_kind_that_cannot_be_fitted_by_site_says_what_must_not_be_seen() -> None:
    masked = {kind.model_fields["kind"].default for kind in KINDS if kind.only_masked}
    assert masked == ONLY_MASKED.keys()


def test_kinds_are_distinct() -> None:
    kinds = [kind.model_fields["kind"].default for kind in KINDS]
    assert len(set(kinds)) == len(kinds)


def test_a_study_loads_no_heavy_library() -> None:
    code = "import common.study, sys; print([m for m in HEAVY if m in sys.modules])".replace(
        "HEAVY", "('torch', 'scipy', 'sklearn', 'pandas', 'statsmodels', 'SimpleITK')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
