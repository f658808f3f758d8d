"""Code that is loaded already serves an answer only where it is the signed bundle's."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.deploy.bundle import ROOT

_PROGRAM = """
import sys
from pathlib import Path
import common.errors
from client.joining.loaded import keep_what_is_signed, loaded
before = loaded()
sys.path.insert(0, {bundle!r})
kept = keep_what_is_signed(Path({bundle!r}), before)
import common.errors, common.seeds
files = common.errors.__file__, common.seeds.__file__
print(kept, *(file.startswith({bundle!r}) for file in files))
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name in ("client", "common"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / "bundle" / name, ignore=ignored)
    return tmp_path / "bundle"


def _said(bundle: Path) -> str:
    program = [sys.executable, "-c", _PROGRAM.format(bundle=str(bundle))]
    done = subprocess.run(
        program, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()


def test_the_same_code_is_kept_and_what_follows_comes_from_the_bundle(bundle: Path) -> None:
    assert _said(bundle) == "True False True"


def test_other_code_is_forgotten_and_loaded_from_the_bundle(bundle: Path) -> None:
    with (bundle / "common" / "errors.py").open("a") as file:
        file.write("# changed\n")
    assert _said(bundle) == "False True True"


def test_code_that_the_bundle_lacks_is_forgotten(bundle: Path) -> None:
    (bundle / "client" / "joining" / "loaded.py").unlink()
    assert _said(bundle) == "False True True"


def test_what_an_answer_needs_is_loaded_beforehand_but_no_torch() -> None:
    program = (
        "import sys, importlib; from client.joining import worker\n"
        "for name in worker._PRELOADED: importlib.import_module(name)\n"
        "print('client.gate' in sys.modules, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == ["True", "False"]
