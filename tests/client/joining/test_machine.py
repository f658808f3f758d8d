"""What a hospital does before and beside joining: checks, health, standing, words."""

import os
import sys
import time
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from typer.testing import CliRunner

from client import audit
from client.cli import site_app
from client.joining import keep as keeping
from client.joining import probe as probing
from client.joining.connection import NODE, WORKER, Connection
from client.joining.enrol import check_folders, enrol
from client.joining.keep import Keeper, _gave_up, _is_away, _why
from client.joining.machine import check_machine
from client.joining.place import Place
from client.joining.words import in_words
from client.working import Halted, at_work, stop_work, work_under_way
from common.deployment import Kit, Offer, OfferedSite
from common.errors import ConfigError
from common.machine.processes import Gone, Plan, Processes
from common.machine.standing import Standing
from common.study import read_study, study_hash
from tests.client.small_cases import case
from tests.runs import STUDY, write_cohort


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_cohort(tmp_path / "data", 12, 1)
    kit = Kit(deployment="trial", site="north", coordinator="127.0.0.1:1")
    with ZipFile(tmp_path / "kit.zip", "w") as archive:
        archive.writestr("kit.yaml", yaml.safe_dump(kit.model_dump()))
        archive.writestr("ca.pem", _authority())
        archive.writestr("../evil", "x")
        archive.writestr("site.yaml", "name: other")
    return enrol(tmp_path / "kit.zip", tmp_path / "site", tmp_path / "data")[0]


def _authority() -> str:
    import certifi

    pems = Path(certifi.where()).read_text().split("-----END CERTIFICATE-----")
    return pems[0] + "-----END CERTIFICATE-----\n"


def test_a_kit_writes_only_what_a_kit_holds(place: Place) -> None:
    assert place.site.name == "north"
    assert not (place.folder.parent / "evil").exists()


def test_a_coordinator_that_cannot_be_reached_fails_in_words(place: Place) -> None:
    found = {one.what: one for one in check_machine(place)}
    assert found["network"].verdict == "fails"
    assert "127.0.0.1:1 cannot be reached" in found["network"].words
    assert found["disk"].verdict != "fails"
    assert "clock" not in found


def test_a_cohort_is_looked_at_without_a_study(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    cases = [case(tmp_path / "data", seed) for seed in range(3)]
    cases[1].images["t1"].write_text("no image")
    cases[2].images["t1"].unlink()
    rows = [f"{c.case_id},p0,train,{c.images['t1'].name}" for c in cases]
    table = tmp_path / "data" / "cohort.csv"
    table.write_text("\n".join(["case_id,patient_id,split,t1", *rows, rows[0]]) + "\n")
    (tmp_path / "site.yaml").write_text("name: north\ncohort: data\n")
    said = CliRunner().invoke(site_app, ["check", str(tmp_path / "site.yaml")])
    assert said.exit_code == 1
    assert '"c0" stands already in row 2' in said.output
    assert 'no such file: "2_t1.nii.gz"' in said.output
    table.write_text("\n".join(["case_id,patient_id,split,t1", *rows[:2]]) + "\n")
    said = CliRunner().invoke(site_app, ["check", str(tmp_path / "site.yaml")])
    assert said.exit_code == 1
    assert "1_t1.nii.gz: not readable: " in said.output
    table.write_text("\n".join(["case_id,patient_id,split,t1", rows[0]]) + "\n")
    said = CliRunner().invoke(site_app, ["check", str(tmp_path / "site.yaml")])
    assert said.exit_code == 0
    assert "1 of 1 cases sound, 1 patients; 1 files in t1" in said.output
    assert "only with the study can be checked" in said.output


def test_keys_that_others_may_read_fail(place: Place) -> None:
    place.connection_key.chmod(0o644)
    found = [one for one in check_machine(place, call=False) if one.what == "keys"]
    assert [one.verdict for one in found] == ["fails"]


@pytest.mark.parametrize(("ahead_s", "verdict"), [(0.5, "ok"), (60, "look"), (-3600, "fails")])
def test_a_clock_that_is_wrong_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, ahead_s: float, verdict: str
) -> None:
    answer = probing.Probe(True, "answers", ahead_s, 0.1)
    monkeypatch.setattr("client.joining.machine.probe", lambda _: answer)
    found = {one.what: one for one in check_machine(place)}
    assert found["clock"].verdict == verdict


def test_who_is_not_joined_says_so_and_leaves_in_peace(place: Place) -> None:
    status = CliRunner().invoke(site_app, ["status", str(place.folder)])
    assert status.exit_code == 1
    assert "not joined" in status.output
    log = place.site.workspace / "audit.jsonl"
    audit.record(log, event="release")
    log.write_bytes(log.read_bytes().replace(b"release", b"refusal"))
    status = CliRunner().invoke(site_app, ["status", str(place.folder)])
    assert "audit log BROKEN: line 1 was changed" in status.output
    left = CliRunner().invoke(site_app, ["leave", str(place.folder)])
    assert (left.exit_code, left.output) == (0, "not joined\n")


def test_only_one_process_stands(tmp_path: Path) -> None:
    standing = Standing(tmp_path, "join")
    assert not standing.lives()
    with standing.only_one():
        standing.say("joined", "joined trial")
        assert Standing(tmp_path, "join").lives()
        assert standing.state()["pid"] == os.getpid()
        with pytest.raises(RuntimeError, match="at this already"), standing.only_one():
            pass
    assert not standing.lives()


def test_work_ends_where_the_stop_sign_names_its_run(tmp_path: Path) -> None:
    with pytest.raises(Halted):
        _work_until_stopped(tmp_path)
    assert work_under_way(tmp_path) is None


def _work_until_stopped(workspace: Path) -> None:
    with at_work(workspace, 7, {"run": "r"}):
        note = work_under_way(workspace)
        assert note is not None
        assert note["flower_run"] == "7"
        stop_work(workspace, "8")
        time.sleep(0.7)  # another run's sign stops nothing
        stop_work(workspace, "7")
        time.sleep(20)


@pytest.mark.parametrize(("ahead_s", "words"), [(3600.0, "3600 s ahead"), (0.5, "ended (0)")])
def test_a_connection_that_ends_without_a_word_is_laid_to_the_clock_where_that_is_off(
    place: Place, monkeypatch: pytest.MonkeyPatch, ahead_s: float, words: str
) -> None:
    def plans(_: Connection) -> list[Plan]:
        ends = [sys.executable, "-c", "print('SuperNode terminated gracefully.')"]
        stays = [sys.executable, "-c", "import time; time.sleep(60)"]
        return [
            Plan(NODE, ends, place.folder, dict(os.environ)),
            Plan(WORKER, stays, place.folder, dict(os.environ)),
        ]

    monkeypatch.setattr(Connection, "plans", plans)
    answer = probing.Probe(True, "answers", ahead_s, 0.1)
    monkeypatch.setattr(keeping, "probe", lambda _: answer)
    said, wait_s = Keeper(place, lambda _: None)._live_once()
    assert words in said
    assert wait_s == 10


@pytest.mark.parametrize(
    ("gone", "words", "wait_s"),
    [
        (Gone("supernode", 1, "[code: 2004] Failed to activate"), "does not let this site in", 10),
        (Gone("supernode", -9, "killed"), "ended (-9)", 1),
        (Gone("supernode", 1, "CERTIFICATE_VERIFY_FAILED"), "certificate is not signed", 60),
    ],
)
def test_why_a_connection_ended_is_said_in_words(gone: Gone, words: str, wait_s: float) -> None:
    said, wait = _why(gone, was_joined=False)
    assert words in said
    assert wait == wait_s


def test_a_coordinator_that_answers_no_more_is_seen_in_what_the_connection_says() -> None:
    lost = "WARNING : Connection attempt failed, retrying in 2.00 seconds\n"
    assert not _is_away("SuperNode ID: 7\n")
    assert _is_away("Received successfully\n" + lost)
    assert not _is_away(lost + "INFO : Connection successful after 59.74 seconds and 10 tries.\n")


def test_a_site_is_not_laid_out_beside_no_cohort_or_inside_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigError, match="expected the cohort's folder"):
        check_folders(tmp_path / "site", tmp_path / "nothing")
    with pytest.raises(ConfigError, match="only read"):
        check_folders(tmp_path / "data" / "site", tmp_path / "data")


def test_a_connection_that_lives_but_has_given_up_is_taken_for_gone(tmp_path: Path) -> None:
    """As Flower 1.41 does when a handshake is cut, for instance while the proxy starts again."""
    script = tmp_path / "node.py"
    words = "ERROR : SSL/TLS handshake error detected."
    script.write_text(
        "import pathlib, time\n"
        "print('joined', flush=True)\n"
        f"while not pathlib.Path({str(tmp_path / 'cut')!r}).exists(): time.sleep(0.02)\n"
        f"print({words!r}, flush=True)\n"
        "time.sleep(60)\n"
    )
    with Processes(tmp_path) as processes:
        processes.start(Plan(NODE, [sys.executable, str(script)], tmp_path, dict(os.environ)))
        processes.wait_for(lambda: "joined" in processes.said(NODE), "it is joined", 30)
        assert _gave_up(processes) is None
        (tmp_path / "cut").touch()
        processes.wait_for(lambda: _gave_up(processes) is not None, "it is found", 30)
        gone = _gave_up(processes)
    assert gone is not None
    said, wait = _why(gone, was_joined=True)
    assert "cut while it was made" in said
    assert wait == 1


def test_a_study_in_words_names_every_step_column_and_what_the_policy_refuses(
    place: Place,
) -> None:
    study = read_study(STUDY, "study.yaml")
    sites = {"north": OfferedSite(role="develop", key="a" * 64)}
    offer = Offer(deployment="trial", study=study_hash(STUDY), bundle="b" * 64, sites=sites)
    words = in_words(study, offer, place.site.settings)
    for name, step in study.bound.items():
        assert f"{name} ({step.kind})" in words
    for column in study.cohort.columns:
        assert f"column {column}" in words
    assert "this site's own answer: refused by your policy" in words
    assert "no epsilon is spent" in words
    assert study_hash(STUDY) in words


def test_a_study_in_words_shows_every_selection_formula_and_code_of_a_missing_value(
    place: Place,
) -> None:
    text = """
name: words
cohort:
  columns:
    age: {type: number, range: [18, 100], missing: ["80"]}
    sex: {type: category, levels: [f, m]}
steps:
  made: {kind: derive, make: {young: {op: sum, of: {age: 1}, range: [18, 79.5]}}}
  few: {kind: describe, of: [made.young], cases: {where: {sex: [f]}}, over: [development, each]}
"""
    sites = {"north": OfferedSite(role="develop", key="a" * 64)}
    offer = Offer(deployment="trial", study=study_hash(text), bundle="b" * 64, sites=sites)
    words = in_words(read_study(text, "study.yaml"), offer, place.site.settings)
    assert "column age: number, 18 to 100, taken as missing: '80'" in words
    assert 'makes young, a sum: {"range": [18.0, 79.5], "of": {"age": 1.0}' in words
    assert 'only cases of where: {"sex": ["f"]}' in words
    assert "refused too where fewer than 3 sites keep their own" in words
