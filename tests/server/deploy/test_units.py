"""The files an IT department runs coordinator and site with keep what README promises."""

from pathlib import Path

import pytest
import yaml

from server.deploy.bundle import ROOT
from server.deploy.home import DeploymentSettings, Home
from server.deploy.kits import lay_out
from server.deploy.units import coordinator_files, kit_files

ROSTER = "sites: {east: {}, north: {}, south: {}}\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    settings = DeploymentSettings(name="trial", host="trials.example.org", port=8443)
    return lay_out(tmp_path_factory.mktemp("home"), settings, ROSTER, "sites.yaml")


def test_every_name_is_filled_in(home: Home) -> None:
    texts = {**coordinator_files(home), **kit_files(home, "north")}
    assert not [name for name, text in texts.items() if "{{" in text]


def test_a_sites_container_reads_its_data_only_and_has_no_way_out_but_the_door(home: Home) -> None:
    compose = yaml.safe_load(kit_files(home, "north")["compose.yaml"])
    site, door = compose["services"]["site"], compose["services"]["door"]
    assert site["networks"] == ["inside"]
    assert compose["networks"]["inside"] == {"internal": True}
    assert door["networks"]["inside"]["aliases"] == ["trials.example.org"]
    assert "0.0.0.0:8443" in door["entrypoint"]
    assert site["volumes"][1].endswith(":/data:ro")
    assert "ports" not in site
    assert "volumes" not in door


def test_every_container_is_hardened(home: Home) -> None:
    for text in (
        kit_files(home, "north")["compose.yaml"],
        coordinator_files(home)["compose.yaml"],
    ):
        for service in yaml.safe_load(text)["services"].values():
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["site", "coordinator"])
def test_nobody_is_root_in_an_image(name: str) -> None:
    lines = (Path(ROOT) / "docker" / f"Dockerfile.{name}").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users[-1] == "49999:49999"


def test_the_coordinator_opens_one_port(home: Home) -> None:
    compose = yaml.safe_load(coordinator_files(home)["compose.yaml"])
    assert compose["services"]["coordinator"]["ports"] == ["8443:8443"]
