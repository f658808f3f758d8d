"""What stands in the way of a yes is said before a hospital is asked for it."""

import errno
import os
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from typer.testing import CliRunner

from client.cli import site_app
from client.files import write_atomically
from client.joining.approve import approve, read_proposal, withdraw
from client.joining.place import Place, find_place, read_own_approval_key
from common.deployment import Offer, OfferedSite
from common.errors import ConfigError
from common.study import study_hash
from tests.client.joining.sites import new_site
from tests.runs import STUDY


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    folder = tmp_path_factory.mktemp("sites")
    (folder / "data").mkdir()
    return {name: new_site(folder, name) for name in ("north", "south")}


@pytest.fixture
def offer(sites: dict[str, Place], tmp_path: Path) -> Path:
    named = {
        name: OfferedSite(role="develop", key=n * 64) for name, n in zip(sites, "ab", strict=True)
    }
    code = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing
    about = Offer(deployment="trial", study=study_hash(STUDY), bundle=code, sites=named)
    with ZipFile(tmp_path / "offer.zip", "w") as archive:
        archive.writestr("offer.yaml", yaml.safe_dump(about.model_dump(mode="json")))
        archive.writestr("study.yaml", STUDY)
        archive.writestr("bundle.fab", b"")
    return tmp_path / "offer.zip"


def _refused(*command: str | Path) -> str:
    said = CliRunner().invoke(site_app, ["approve", *map(str, command)])
    assert said.exit_code == 1
    assert isinstance(said.exception, ConfigError), said.exception
    assert said.output == ""  # not the whole study first
    return str(said.exception)


def test_the_key_of_another_hospital_lets_nothing_in(sites: dict[str, Place], offer: Path) -> None:
    north, south = sites["north"], sites["south"]
    words = _refused(north.folder, offer, "--yes", "--key", south.approval_key)
    assert f"{south.approval_key}: is not this site's approval key" in words
    assert not north.approved().studies
    assert read_own_approval_key(north, north.approval_key)


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "there is no such file"), ("", "holds no private key"), ("no key", "holds no private")],
)
def test_an_approval_key_that_is_none_is_named_first(
    sites: dict[str, Place], offer: Path, tmp_path: Path, text: str | None, words: str
) -> None:
    key = tmp_path / "my.key"
    if text is not None:
        key.write_text(text, encoding="utf-8")
    said = _refused(sites["north"].folder, offer, "--key", key)
    assert said.startswith(f"{key}: {words}")
    assert "Errno" not in said


def test_a_folder_that_cannot_be_written_is_named_first(
    sites: dict[str, Place], offer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sites["north"].folder
    monkeypatch.setattr("client.joining.approve._is_open", lambda _: False)  # root may do all
    assert f"{folder}: this user may not write in this folder" in _refused(folder, offer)


def test_what_cannot_be_written_is_named_as_people_know_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as said:
        write_atomically(tmp_path / "approved.yaml", b"x")
    assert (said.value.errno, said.value.filename) == (
        errno.ENOSPC,
        str(tmp_path / "approved.yaml"),
    )
    assert not list(tmp_path.iterdir())


def test_the_kit_of_another_site_is_noticed(sites: dict[str, Place], tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_bytes((sites["north"].folder / "site.yaml").read_bytes())
    (tmp_path / "kit.yaml").write_bytes((sites["south"].folder / "kit.yaml").read_bytes())
    with pytest.raises(ConfigError, match='is the kit of "south", and this is the folder of "no'):
        find_place(tmp_path)


def test_who_withdraws_is_told_what_and_that_nobody_else_knows(
    sites: dict[str, Place], offer: Path
) -> None:
    south = sites["south"]
    key = read_own_approval_key(south, south.approval_key)
    approve(south, read_proposal(south, offer), key)
    sha256 = study_hash(STUDY)
    said = (
        CliRunner()
        .invoke(site_app, ["approve", str(south.folder), "--withdraw", sha256[:12]])
        .output
    )
    assert f'withdrawn: study "tables" ({sha256[:12]})' in said
    assert "the coordinator still holds your approval" in said.replace("\n", " ")
    assert withdraw(south, sha256[:12]) == ()
