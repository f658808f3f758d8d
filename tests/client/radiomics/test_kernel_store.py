"""Compiled kernels are found wherever the code lies, and where nothing can be written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from client.radiomics import kernel_store
from client.radiomics.kernel_store import folder_in, name, places

ROOT = Path(__file__).parents[3]
ONE_KERNEL = """
import numpy as np
from client.radiomics import region
region.bounding_box(np.ones((2, 2, 2), bool))
stats = region._bounds.stats
print(region.__file__, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def kept(place: Path) -> Path:
    folder = place / "kernels-1"
    folder.mkdir(parents=True)
    (folder / "a.nbi").write_bytes(b"machine code")
    return folder


def test_the_first_place_that_can_be_written_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    where = (tmp_path / "file" / "no", tmp_path / "yes", tmp_path / "later")
    assert folder_in(where, "kernels-1") == tmp_path / "yes" / "kernels-1"
    with pytest.raises(OSError, match="can write none of"):
        folder_in(where[:1], "kernels-1")


def test_kernels_of_an_image_that_is_read_only_are_brought_where_they_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = kept(tmp_path / "image")
    monkeypatch.setattr(
        os, "access", lambda path, _: tmp_path / "image" not in (path, *path.parents)
    )
    found = folder_in((tmp_path / "image", tmp_path / "tmp"), "kernels-1")
    assert found == tmp_path / "tmp" / "kernels-1"
    assert (found / "a.nbi").read_bytes() == (built / "a.nbi").read_bytes()
    assert [path.name for path in found.parent.iterdir()] == ["kernels-1"]
    (found / "b.nbi").write_bytes(b"learnt since")
    assert folder_in((tmp_path / "image", tmp_path / "tmp"), "kernels-1") == found
    assert (found / "b.nbi").exists()


def test_another_processor_or_another_source_is_another_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = name()
    with monkeypatch.context() as changed:
        changed.setattr(kernel_store.llvmlite.binding, "get_host_cpu_name", lambda: "abacus")
        assert name() != before
    shutil.copytree(kernel_store._HERE, tmp_path / "radiomics", ignore=shutil.ignore_patterns("_*"))
    monkeypatch.setattr(kernel_store, "_HERE", tmp_path / "radiomics")
    monkeypatch.setattr(kernel_store, "_HOW", tmp_path / "radiomics" / "compiled.py")
    assert name() == before  # the same elsewhere
    with (tmp_path / "radiomics" / "runs.py").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    assert name() != before


def test_this_environment_comes_before_the_user_s_own_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert places()[0] == Path(sys.prefix) / "share" / "consortium"
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    assert places()[0] == Path("/elsewhere")


def test_a_bundle_elsewhere_finds_what_the_checkout_has_compiled(tmp_path: Path) -> None:
    """Deployed, the code runs out of the bundle's own folder, not out of the image's."""
    bundle, env = tmp_path / "bundle", {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    for package in ("client", "common"):
        left = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, bundle / package, ignore=left)
    for folder in (ROOT, bundle):
        command = [sys.executable, "-P", "-c", ONE_KERNEL]
        path = {"PYTHONPATH": str(folder)}
        done = subprocess.run(
            command, cwd=tmp_path, env=env | path, capture_output=True, text=True, check=True
        )
        file, *counts = done.stdout.split()
        assert Path(file).is_relative_to(folder)
    assert counts == ["1", "0"]  # read from the disk, compiled never


def test_the_image_of_a_site_compiles_kernels_when_it_is_built() -> None:
    text = (ROOT / "docker" / "Dockerfile.site").read_text(encoding="utf-8")
    before, _, built = text.partition("COPY client client")
    assert "NUMBA_CACHE_DIR" not in before  # it would point away from what was built
    assert "warm_up()" in built.partition("USER 49999")[0]
