"""The bundle, the journal's follower, the comparison, and how Flower is called."""

import json
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from flwr.cli.build import build_fab_from_disk
from flwr.common.config import parse_config_args

from common.machine.flower import environment, setting
from server.arrays import write_arrays
from server.deploy.bundle import PACKAGES, ROOT, stage
from server.deploy.compare import differences, n_arrays
from server.deploy.flower import Link
from server.deploy.follow import Follower
from server.run import Run

# Flower's own use of pathspec, not ours.
FLOWER_PACKS = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


@FLOWER_PACKS
def test_a_bundle_holds_all_code_and_nothing_but_code(tmp_path: Path) -> None:
    before = (ROOT / "pyproject.toml").read_bytes()
    folder = stage(tmp_path / "bundle")
    staged = {p.relative_to(folder) for p in folder.rglob("*") if p.is_file()}
    code = {p.relative_to(ROOT) for top in PACKAGES for p in (ROOT / top).rglob("*.py")}
    assert staged == code | {Path("pyproject.toml")}
    packed = set(ZipFile(BytesIO(build_fab_from_disk(folder))).namelist())
    assert packed == {str(path) for path in staged} | {".info/CONTENT"}
    assert (
        (ROOT / "pyproject.toml").read_bytes() == before == (folder / "pyproject.toml").read_bytes()
    )


@FLOWER_PACKS
def test_a_bundle_of_the_same_code_is_the_same(tmp_path: Path) -> None:
    bundles = {build_fab_from_disk(stage(tmp_path / name)) for name in ("one", "other")}
    assert len(bundles) == 1


def test_a_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    follower = Follower(path)
    assert follower.news() == []
    path.write_text('{"event": "round"}\n{"event": "exch')
    assert follower.news() == [{"event": "round"}]
    assert follower.news() == []
    assert path.read_text().endswith("exch")
    with path.open("a") as file:
        file.write('anged"}\n')
    assert follower.news() == [{"event": "exchanged"}]


@pytest.mark.parametrize("path", ["/srv/a b/site.yaml", "/srv/müller's/site.yaml", "/a=b/x"])
def test_flower_reads_a_setting_as_it_was_meant(path: str) -> None:
    assert parse_config_args([setting("site", path)]) == {"site": path}


@pytest.mark.parametrize("path", ['/a"b', "/a\\b", "/a\nb"])
def test_a_path_that_flower_would_misread_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="site: expected a path"):
        setting("site", path)


def test_nothing_of_the_callers_shell_reaches_flower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLWR_HOME", "/elsewhere")
    monkeypatch.setenv("FLWR_TELEMETRY_ENABLED", "1")
    monkeypatch.setenv("CONSORTIUM_RUN", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = environment(tmp_path)
    assert "/elsewhere" not in found.values()
    assert found["FLWR_HOME"] == str(tmp_path / "flower")
    assert found["FLWR_TELEMETRY_ENABLED"] == "0"
    assert found["FLWR_DISABLE_UPDATE_CHECK"] == "1"


def test_the_callers_exceptions_from_its_proxy_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    assert environment(tmp_path)["NO_PROXY"] == "intranet.example,127.0.0.1"


def test_superlink_listens_on_this_machine_only(tmp_path: Path) -> None:
    link = Link(tmp_path / "c", 4000)
    words = list(link.plan().command)
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert "--enable-supernode-auth" in words
    assert "--disable-runtime-dependency-installation" in words
    assert words[words.index("--isolation") + 1] == "process"
    assert "127.0.0.1:4000" in list(link.worker_plan().command)


def _run(folder: Path, weight: float = 0.1, n: int = 3, name: str = "w") -> Run:
    folder.mkdir()
    (folder / "answers.json").write_text(json.dumps({"answers": {"a": {"all": {"n": n}}}}))
    digest = write_arrays(folder / "checkpoints" / "a.safetensors", {name: np.array([weight])})
    entry = {"event": "answer", "problem": "a/all", "file": "checkpoints/a.safetensors"}
    (folder / "journal.jsonl").write_text(json.dumps({**entry, "sha256": digest}) + "\n")
    return Run(folder)


def test_equal_runs_have_no_differences(tmp_path: Path) -> None:
    one, other = _run(tmp_path / "one"), _run(tmp_path / "other")
    assert differences(one, other) == []
    assert n_arrays(one) == 1


def test_the_last_bit_of_a_weight_is_a_difference(tmp_path: Path) -> None:
    one, other = _run(tmp_path / "one"), _run(tmp_path / "other", np.nextafter(0.1, 1))
    assert differences(one, other) == ["answer a/all: w"]


def test_another_number_or_another_name_is_a_difference(tmp_path: Path) -> None:
    one = _run(tmp_path / "one")
    assert differences(one, _run(tmp_path / "two", n=4)) == ["answers.json"]
    named = differences(one, _run(tmp_path / "three", name="v"))
    assert named == ["answer a/all: arrays of other names"]
