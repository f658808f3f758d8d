"""What tests of every part share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


# How long an example takes says nothing on a machine that does other things beside.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real images, or skip where there is none."""
    folder = Path(os.environ.get("CONSORTIUM_TEST_DATA", _DATA))
    if not folder.is_dir():
        pytest.skip("no real images here; CONSORTIUM_TEST_DATA may name their folder")
    return folder
