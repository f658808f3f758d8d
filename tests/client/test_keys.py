"""A site makes its identity once, and shows the public half."""

import sys
from pathlib import Path

import pytest

from client.keys import make_identity, public_half
from common.privacy.identity import read_identity, verified
from server.cli import main


def test_the_key_signs_for_the_public_half_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "identity.key"
    public = make_identity(path)
    assert verified(public, read_identity(path.read_text()).sign(b"words"), b"words")
    assert public_half(path) == public
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    public = make_identity(path)
    with pytest.raises(FileExistsError):
        make_identity(path)
    assert public_half(path) == public


def test_the_command_prints_the_public_half_and_refuses_to_replace_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("name: north\ncohort: data\n")

    def key(*more: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["consortium", "site", "key", str(site), *more])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), "".join(capsys.readouterr())

    code, public = key()
    assert (code, public.strip()) == (0, public_half(tmp_path / "identity.key"))
    assert key("--show") == (0, public)
    code, said = key()
    assert code == 1
    assert "there is a key, and it stays" in said
    (tmp_path / "identity.key").write_text("no key")
    assert key("--show")[0] == 1
