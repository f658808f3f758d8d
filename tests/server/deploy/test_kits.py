"""What changes hands when hospitals join: each owner's own files, and nobody's secrets."""

import json
import shutil
import stat
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from flwr.supercore.fab import Fab
from flwr.supercore.primitives.asymmetric_ed25519 import create_message_to_sign
from flwr.supernode.start_client_internal import _verify_fab
from typer.testing import CliRunner

from client.cli import site_app
from client.joining.approve import approve, read_proposal, withdraw
from client.joining.enrol import enrol
from client.joining.place import find_place, read_approval_key
from client.policy import approved_study
from client.site import load_site
from common.deployment import code_message
from common.errors import ConfigError, Refused
from common.privacy.identity import public_text
from common.settings import parse
from common.sites import Roster
from common.study import study_hash
from server.cli import STOPPED, main
from server.deploy.__main__ import without_pooled
from server.deploy.bundle import ROOT
from server.deploy.conduct import missing_approvals, new_run
from server.deploy.control import Control
from server.deploy.intake import take
from server.deploy.kits import lay_out
from server.deploy.localhost import Localhost, lay_out_localhost
from server.dry_run import Tried, report
from server.run import Run
from tests.runs import STUDY, write_cohort

SITES = ("east", "north", "south")

pytestmark = [
    # Flower's own use of pathspec, not ours.
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Localhost:
    folder = tmp_path_factory.mktemp("localhost")
    return lay_out_localhost(STUDY, roster_in(folder), folder / "all", unapproved=("south",))


def roster_in(folder: Path) -> Path:
    sites: dict[str, object] = {}
    for seed, name in enumerate(SITES):
        write_cohort(folder / "data" / name, 12, seed)
        sites[name] = {"simulate": {"cohort": f"data/{name}", "columns": {"Alter": "age"}}}
    path = folder / "sites.yaml"
    path.write_text(yaml.safe_dump({"sites": sites, "seed": 5, "simulation": {"workers": 1}}))
    return path


def test_every_site_gets_a_file_of_its_own_that_it_can_read(here: Localhost) -> None:
    for name in ("east", "north"):
        site = load_site(here.sites[name] / "site.yaml")
        assert site.name == name
        assert site.cohorts[0].joinpath("cohort.csv").exists()
        assert site.settings.columns == {"Alter": "age"}
        assert approved_study(site, study_hash(STUDY)).name == "tables"


def test_a_study_that_a_site_has_not_approved_is_not_let_in(here: Localhost) -> None:
    with pytest.raises(Refused):
        approved_study(load_site(here.sites["south"] / "site.yaml"), study_hash(STUDY))
    assert missing_approvals(here.home, here.offered) == ["south"]


def test_the_roster_of_a_run_holds_keys_in_place_of_paths(here: Localhost) -> None:
    roster = parse(Roster, here.home.roster_with_keys(), "sites.yaml")
    for name in SITES:
        site = load_site(here.sites[name] / "site.yaml")
        assert roster.sites[name].key == public_text(site.identity())
        assert roster.sites[name].simulate is None
    assert "data" not in here.home.roster_with_keys()
    assert roster.seed == 5


def test_who_approves_knows_the_keys_of_all(here: Localhost) -> None:
    partners = load_site(here.sites["east"] / "site.yaml").settings.partners
    assert partners == {name: s.key for name, s in here.offered.about.sites.items()}
    assert len(set(partners.values())) == len(SITES)


def test_only_the_owner_may_read_what_is_secret(here: Localhost) -> None:
    secret = [p for p in here.folder.rglob("*") if p.suffix == ".key" or p.name == "secret"]
    assert len(secret) == 3 + 4 * len(SITES)
    assert {stat.S_IMODE(p.stat().st_mode) for p in secret} == {0o600}
    assert len({p.read_bytes() for p in secret}) == len(secret)


def test_the_coordinator_never_sees_a_sites_private_key(here: Localhost) -> None:
    private = [p.read_bytes().strip() for f in here.sites.values() for p in f.glob("*.key")]
    assert len(private) == 3 * len(SITES)
    for path in here.home.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(key in data for key in private), path


def test_a_kit_holds_nothing_secret(here: Localhost) -> None:
    with ZipFile(here.home.kits / "kit-east.zip") as kit:
        assert set(kit.namelist()) == {
            *("kit.yaml", "ca.pem", "README.txt", "compose.yaml", "consortium-site.service"),
        }
        for name in kit.namelist():
            assert b"PRIVATE" not in kit.read(name)
            assert b"{{" not in kit.read(name)


def test_a_deployment_is_not_laid_out_over_another(here: Localhost) -> None:
    with pytest.raises(ConfigError, match="already"):
        lay_out(here.home.folder, here.home.settings, STUDY_ROSTER, "sites.yaml")


STUDY_ROSTER = "sites: {east: {}, north: {}, south: {}}\n"


def test_a_site_is_not_laid_out_over_another(here: Localhost) -> None:
    with pytest.raises(ConfigError, match="already"):
        enrol(here.home.kits / "kit-east.zip", here.sites["east"], here.folder)


def test_new_keys_of_a_site_are_not_taken_in_silence(here: Localhost, tmp_path: Path) -> None:
    place, _ = enrol(here.home.kits / "kit-east.zip", tmp_path / "again", tmp_path)
    with pytest.raises(ConfigError, match="other keys already"):
        take(here.home, place.folder / "enrolment-east.json")


@pytest.mark.parametrize("what", ["connection", "site", "identity"])
def test_a_changed_enrolment_is_refused(here: Localhost, tmp_path: Path, what: str) -> None:
    data = json.loads((here.sites["east"] / "enrolment-east.json").read_text())
    other = json.loads((here.sites["north"] / "enrolment-north.json").read_text())
    path = tmp_path / "enrolment.json"
    path.write_text(json.dumps({**data, what: other[what]}))
    with pytest.raises(ConfigError, match="does not fit the keys"):
        take(here.home, path)


@pytest.mark.parametrize("what", ["study", "bundle", "code_signature", "signed_at"])
def test_a_changed_approval_is_refused(here: Localhost, tmp_path: Path, what: str) -> None:
    sent = next(here.sites["east"].glob("approval-*.json"))
    data = json.loads(sent.read_text())
    changed = {"study": "0" * 64, "bundle": "0" * 64, "code_signature": "AAAA", "signed_at": 1}
    path = tmp_path / "approval.json"
    path.write_text(json.dumps({**data, what: changed[what]}))
    with pytest.raises(ConfigError, match="not signed with the approval key"):
        take(here.home, path)


def test_an_approval_signs_the_message_that_flower_checks() -> None:
    digest = bytes(range(32))
    assert code_message(digest.hex(), 1234567) == create_message_to_sign(digest, 1234567)


def test_an_offer_with_another_study_is_not_shown_for_approval(
    here: Localhost, tmp_path: Path
) -> None:
    with ZipFile(here.offered.archive) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["study.yaml"] += b"\n# harmless?\n"
    path = tmp_path / "offer.zip"
    with ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with pytest.raises(ConfigError, match="not the one the offer names"):
        read_proposal(find_place(here.sites["east"]), path)


def test_who_cannot_be_asked_is_told_of_yes_and_a_missing_file_is_said_in_words(
    here: Localhost, tmp_path: Path
) -> None:
    south = str(here.sites["south"])
    asked = CliRunner().invoke(site_app, ["approve", south, str(here.offered.archive)], input="")
    assert asked.exit_code == 1
    assert "no answer; where there is no terminal, say it beforehand: --yes" in asked.output
    assert "nothing was let in" in asked.output
    for missing in (tmp_path / "offer.zip", tmp_path):
        with pytest.raises(ConfigError) as said:
            read_proposal(find_place(here.sites["south"]), missing)
        assert "Errno" not in str(said.value)
    (tmp_path / "offer.zip").write_text("no zip")
    with pytest.raises(ConfigError, match="no offer: this is no zip file"):
        read_proposal(find_place(here.sites["south"]), tmp_path / "offer.zip")


def test_a_dry_run_is_taken_in_and_shown_in_words(here: Localhost, tmp_path: Path) -> None:
    tries = {"phantoms": Tried(("table1",), {"age": "too few sites: no_reply"}, 12.2, 3.4)}
    path = tmp_path / "dry-run-north.json"
    path.write_text(report(STUDY, "north", tries))
    said = take(here.home, path)
    assert "on made-up patients: 12 s, work at most 3.4 s a round; steps that worked: tabl" in said
    assert "FAILED age: no reply within the deadline" in said
    assert "memory_gb" in said
    assert "flwr 1.41" in said
    assert "own cases were not tried" in said
    (kept,) = (here.home.folder / "dry_runs").glob("north-*.json")
    assert kept.read_text() == path.read_text()
    path.write_text(report(STUDY, "nobody", tries))
    with pytest.raises(ConfigError, match="not in the roster"):
        take(here.home, path)


def test_a_run_notes_who_has_not_approved_it_before_it_begins(
    here: Localhost, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(here.home, STUDY)
    seen: list[tuple[str, ...]] = []

    def begin(_control: object, _bundle: object, folder: Path) -> int:
        seen.append(Run(folder).unapproved)
        return 7

    monkeypatch.setattr(Control, "begin", begin)
    run.begin()
    shutil.rmtree(run.run.folder)
    assert seen == [("south",)]


def test_an_approval_can_be_withdrawn(here: Localhost) -> None:
    place, sha256 = find_place(here.sites["north"]), study_hash(STUDY)
    assert withdraw(place, sha256[:8])
    with pytest.raises(Refused):
        approved_study(load_site(here.sites["north"] / "site.yaml"), sha256)
    proposal = read_proposal(place, here.offered.archive)
    approve(place, proposal, read_approval_key(place.approval_key))
    assert approved_study(load_site(here.sites["north"] / "site.yaml"), sha256).name == "tables"


def test_a_site_without_data_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sites.yaml"
    path.write_text(yaml.safe_dump({"sites": {"east": {}, "north": {}}, "quorum": 2}))
    with pytest.raises(ValueError, match="east, north"):
        lay_out_localhost(STUDY, path, tmp_path / "deployment")


def test_a_study_without_the_pooled_baseline_stays_as_it_is() -> None:
    assert without_pooled(STUDY, "study.yaml") == STUDY


def test_only_the_pooled_baseline_is_taken_out() -> None:
    text = (ROOT / "studies" / "phantom.yaml").read_text()
    taken = yaml.safe_load(without_pooled(text, "phantom.yaml"))
    whole = yaml.safe_load(text.replace("{on: ", "{'on': "))
    whole["steps"]["segment"]["baselines"].remove("pooled")
    assert taken == whole


def test_flower_lets_in_what_a_hospital_signed_and_nothing_else(here: Localhost) -> None:
    bundle, _ = here.offered.signed(here.home)
    fab = Fab(bundle.sha256, bundle.content, dict(bundle.verifications))
    changed = Fab(bundle.sha256, bundle.content + b" ", dict(bundle.verifications))
    for name, signed in {"east": True, "north": True, "south": False}.items():
        trusted = yaml.safe_load((here.sites[name] / "trusted.yaml").read_text())
        assert _verify_fab(fab, trusted) is signed
        assert not _verify_fab(changed, trusted)


def test_a_coordinator_that_is_not_up_is_said_in_a_line_and_leaves_no_run(
    here: Localhost,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("server.deploy.commands.missing_approvals", lambda *_: [])
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    monkeypatch.setattr("sys.argv", ["consortium", "run", str(study), "-d", str(here.home.folder)])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr().err
    assert stop.value.code == STOPPED
    assert said.count("\n") == 1
    assert "is `consortium deploy up` running?" in said
    assert not list(here.home.runs.glob("*/run.json"))
