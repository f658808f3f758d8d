"""What is laid out for a deployment: each owner's own files, and nobody else's."""

import stat
from pathlib import Path

import pytest
import yaml

from client.policy import approved_study
from client.site import load_site
from common.privacy.identity import public_text
from common.study import study_hash
from server.deploy.__main__ import without_pooled
from server.deploy.kits import Deployment, lay_out
from tests.runs import STUDY, write_cohort

SITES = ("east", "north", "south")


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    sites: dict[str, object] = {}
    for seed, name in enumerate(SITES):
        write_cohort(tmp_path / "data" / name, 12, seed)
        sites[name] = {"simulate": {"cohort": f"data/{name}", "columns": {"Alter": "age"}}}
    path = tmp_path / "sites.yaml"
    path.write_text(yaml.safe_dump({"sites": sites, "seed": 5, "simulation": {"workers": 1}}))
    return path


@pytest.fixture
def deployment(roster: Path, tmp_path: Path) -> Deployment:
    return lay_out(STUDY, roster, tmp_path / "deployment")


def test_every_site_gets_a_file_of_its_own_that_it_can_read(deployment: Deployment) -> None:
    for node in deployment.nodes:
        site = load_site(node.folder / "site.yaml")
        assert site.name == node.name
        assert site.cohorts[0].joinpath("cohort.csv").exists()
        assert site.settings.columns == {"Alter": "age"}
        assert approved_study(site, study_hash(STUDY)).name == "tables"


def test_the_roster_holds_keys_in_place_of_paths(deployment: Deployment) -> None:
    identities = {
        node.name: public_text(load_site(node.folder / "site.yaml").identity())
        for node in deployment.nodes
    }
    assert deployment.run.keys == identities
    assert all(site.simulate is None for site in deployment.run.roster.sites.values())
    assert "data" not in (deployment.run.folder / "sites.yaml").read_text()
    assert deployment.run.roster.seed == 5


def test_every_site_knows_the_keys_of_all(deployment: Deployment) -> None:
    for node in deployment.nodes:
        partners = load_site(node.folder / "site.yaml").settings.partners
        assert partners == deployment.run.keys
    assert len(set(deployment.run.keys.values())) == len(SITES)


def test_only_the_owner_may_read_what_is_secret(deployment: Deployment) -> None:
    secret = [p for p in deployment.folder.rglob("*") if p.suffix == ".key" or p.name == "secret"]
    assert len(secret) == 2 + 3 * len(SITES)
    assert {stat.S_IMODE(p.stat().st_mode) for p in secret} == {0o600}
    assert len({p.read_bytes() for p in secret}) == len(secret)


def test_every_process_has_a_port_and_a_folder_of_its_own(deployment: Deployment) -> None:
    ports = [deployment.link.port, *(node.port for node in deployment.nodes)]
    assert len(set(ports)) == 1 + len(SITES)
    folders = [deployment.link.folder, *(node.folder for node in deployment.nodes)]
    assert len(set(folders)) == 1 + len(SITES)


def test_a_deployment_is_not_laid_out_over_another(deployment: Deployment, roster: Path) -> None:
    with pytest.raises(FileExistsError):
        lay_out(STUDY, roster, deployment.folder)


def test_a_site_without_data_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sites.yaml"
    path.write_text(yaml.safe_dump({"sites": {"east": {}, "north": {}}, "quorum": 2}))
    with pytest.raises(ValueError, match="east, north"):
        lay_out(STUDY, path, tmp_path / "deployment")


def test_a_study_without_the_pooled_baseline_stays_as_it_is() -> None:
    assert without_pooled(STUDY, "study.yaml") == STUDY


def test_only_the_pooled_baseline_is_taken_out() -> None:
    path = Path(__file__).resolve().parents[3] / "studies" / "phantom.yaml"
    text = path.read_text()
    taken = yaml.safe_load(without_pooled(text, "phantom.yaml"))
    whole = yaml.safe_load(text.replace("{on: ", "{'on': "))
    whole["steps"]["segment"]["baselines"].remove("pooled")
    assert taken == whole
