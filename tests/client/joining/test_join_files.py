"""A site that cannot connect with what it has says so and ends; it does not try for ever."""

import errno
from pathlib import Path

import pytest

from client.joining.__main__ import MISTAKE, REFUSED, keep_joined
from client.joining.connection import check_files
from client.joining.keep import Keeper
from common.errors import ConfigError
from tests.client.joining.sites import new_site


def test_every_file_of_the_connection_that_is_none_is_named_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    place = new_site(tmp_path, "north")
    check_files(place)
    place.connection_key.write_text("cut off", encoding="utf-8")
    place.secret.unlink()
    place.trusted.write_bytes(b"")
    assert keep_joined(place.folder) == MISTAKE
    said = capsys.readouterr().err
    assert f"{place.connection_key}: holds no private key in OpenSSH's form" in said
    assert f"{place.secret}: there is no such file" in said
    assert f"{place.trusted}: is empty" in said
    assert said.count("take it from your backup") == 3
    place.connection_key.write_bytes(place.approval_key.read_bytes())
    with pytest.raises(ConfigError, match="expected an ECDSA key"):
        check_files(place)


def test_a_full_disk_ends_the_joining_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    place = new_site(tmp_path, "north")

    def full(_keeper: Keeper) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Keeper, "run", full)
    assert keep_joined(place.folder) == REFUSED
    assert capsys.readouterr().err == f"{place.folder}: the disk is full\n"
