"""The files by which an IT department runs coordinator and site: systemd, compose, a page.

Their texts are in `docker/`; here the names of one deployment are put in.
"""

from collections.abc import Mapping

from server.deploy.bundle import ROOT
from server.deploy.home import Home

_TEXTS = ROOT / "docker"
_COORDINATOR = {
    "compose.yaml": "compose.coordinator.yaml",
    "consortium-coordinator.service": "consortium-coordinator.service",
}
_SITE = {
    "compose.yaml": "compose.site.yaml",
    "consortium-site.service": "consortium-site.service",
    "README.txt": "kit-readme.txt",
}


def coordinator_files(home: Home) -> dict[str, str]:
    """Return the files for the coordinator's folder, by name."""
    return _filled(_COORDINATOR, _names(home))


def kit_files(home: Home, site: str) -> dict[str, str]:
    """Return the files for a site's kit, by name."""
    return _filled(_SITE, {**_names(home), "site": site})


def _names(home: Home) -> dict[str, str]:
    return {
        "name": home.settings.name,
        "folder": str(home.folder),
        "host": home.settings.host,
        "port": str(home.settings.port),
        "address": home.address,
    }


def _filled(texts: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    filled = {}
    for name, source in texts.items():
        text = (_TEXTS / source).read_text(encoding="utf-8")
        for key, value in names.items():
            text = text.replace("{{" + key + "}}", value)
        filled[name] = text
    return filled
