"""What `consortium deploy init` says of options and rosters that are none."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.errors import ConfigError
from server.deploy.commands import deploy_app
from server.deploy.home import settings_of


@pytest.mark.parametrize("host", ["bad host;x", "https://x", "x:443", "a..b", "::1", "", "-x"])
def test_a_host_that_is_none_is_refused_together_with_a_bad_name(host: str) -> None:
    with pytest.raises(ConfigError) as said:
        settings_of({"name": "Trial 1", "host": host, "port": 443, "link_port": 8000})
    words = str(said.value)
    assert '--name: expected a name like "tumour_2"' in words
    assert "--host: expected the name or the IPv4 address" in words


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "trials.example.org", "a_b-1.x"])
def test_a_host_is_taken_as_it_is(host: str) -> None:
    options: dict[str, str | int] = {"name": "trial", "host": host, "port": 443}
    assert settings_of(options).host == host


@pytest.mark.parametrize("roster", ["sites: {{north}}", "sites: {north}", "sites: [north]"])
def test_a_roster_that_is_none_is_said_in_words(tmp_path: Path, roster: str) -> None:
    (tmp_path / "sites.yaml").write_text(roster, encoding="utf-8")
    command = ["init", str(tmp_path / "sites.yaml"), "--host", "localhost", "--name", "trial"]
    said = CliRunner().invoke(deploy_app, [*command, "--folder", str(tmp_path / "new")])
    assert isinstance(said.exception, ConfigError)
    assert not (tmp_path / "new").exists()
