"""What was found in a file is remembered until the file changes."""

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest

from client import facts
from client.check import check
from client.facts import find_facts
from tests.client.folders import CONTRACT, anatomy, make_site, write_volume


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list of files that are opened from now on."""
    paths: list[Path] = []
    real = facts._open

    def spy(item: facts.Wanted) -> facts.Facts:
        paths.append(item[1])
        return real(item)

    monkeypatch.setattr(facts, "_open", spy)
    return paths


def test_a_second_check_opens_nothing_and_says_the_same(tmp_path: Path, opened):
    site, cache = tmp_path / "site", tmp_path / "cache"
    make_site(site)
    (site / "t1_2.nii.gz").write_bytes(b"no image")
    first = check(CONTRACT, site, cache=cache)
    assert len(opened) == 8
    assert check(CONTRACT, site, cache=cache) == first
    assert len(opened) == 8


def test_a_changed_file_is_opened_again(tmp_path: Path, opened):
    site, cache = tmp_path / "site", tmp_path / "cache"
    make_site(site)
    check(CONTRACT, site, cache=cache)
    write_volume(site / "t1_1.nii.gz", anatomy(77))
    os.utime(site / "t1_1.nii.gz", (1, 1))
    check(CONTRACT, site, cache=cache)
    assert opened[8:] == [site / "t1_1.nii.gz"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"image x": {"mark": 3}}'])
def test_a_spoilt_memory_is_no_harm(tmp_path: Path, text: str):
    site, cache = tmp_path / "site", tmp_path / "cache"
    make_site(site)
    cache.mkdir()
    (cache / "facts.json").write_text(text)
    assert len(check(CONTRACT, site, cache=cache).cases) == 4


def test_an_image_of_four_dimensions_is_unreadable(tmp_path: Path):
    path = tmp_path / "series.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 4, 5, 2), "f4"), np.eye(4)), path)
    found = find_facts([("image", path)], None)["image", path]
    assert "dimensions" in found.problem


def test_large_cohorts_are_read_in_processes_and_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened
):
    make_site(tmp_path)
    wanted = [("image", file) for file in sorted(tmp_path.glob("*.nii.gz"))]
    here = find_facts(wanted, None)
    assert len(opened) == len(wanted) == 8
    monkeypatch.setattr(facts, "_WORTH_MB", 0)
    assert find_facts(wanted, None) == here
    assert len(opened) == 8, "the others were opened elsewhere"
