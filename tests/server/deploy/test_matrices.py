"""The matrices' own parts: the table, the names, and that the hostile hook really changes a gate.

The attacks themselves are in small form in `tests/attacks`, `test_kits.py`, `test_proxy.py`,
`tests/client/test_gate.py` and `test_audit.py`; in real processes in the scripts.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.matrix import Row, make_sites, markdown
from server.deploy.bundle import ROOT

_PROGRAM = """
import numpy as np
from pathlib import Path
from types import SimpleNamespace
import client.gate as gate
folder = Path({folder!r})
site = SimpleNamespace(folder=folder)
gate_work = gate.find_work
print(gate_work.__module__, gate.answer.__module__)
"""


def test_a_row_that_is_not_as_expected_stands_out() -> None:
    rows = [Row("a | b", "refused", "refused", "x | `y`", ok=True, seconds=2.4)]
    rows.append(Row("c", "refused", "let in", "", ok=False))
    table = markdown("Matrix", rows)
    assert "`x / 'y'` | 2 | yes |" in table
    assert "| c | refused | let in |  | **NO** |" in table


@pytest.mark.parametrize("name", ["security_matrix", "fault_matrix"])
def test_every_cell_has_a_name_that_can_be_asked_for(name: str) -> None:
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    names = done.stdout.split()
    assert len(names) == len(set(names)) > 10


def test_the_hostile_hook_changes_the_gate_and_only_on_its_path(tmp_path: Path) -> None:
    for path, module in ((str(ROOT / "scripts" / "hostile"), "sitecustomize"), ("", "client.")):
        around = {**os.environ, "PYTHONPATH": path}
        program = _PROGRAM.format(folder=str(tmp_path))
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=around,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        assert all(word.startswith(module) for word in done.stdout.split())


def test_the_victim_of_differencing_is_one_patient_of_each_site(tmp_path: Path) -> None:
    make_sites(tmp_path, {})
    for path in (tmp_path / "cohorts").glob("*/cohort.csv"):
        assert path.read_text().count(",rare,") == 1
