"""Sites laid out from a kit, for tests."""

from pathlib import Path
from zipfile import ZipFile

import yaml

from client.joining.enrol import enrol
from client.joining.place import Place
from common.deployment import Kit


def new_site(folder: Path, name: str) -> Place:
    """Return the folder of a new site whose kit names a coordinator that nobody is."""
    kit = Kit(deployment="trial", site=name, coordinator="127.0.0.1:1")
    with ZipFile(folder / f"{name}.zip", "w") as archive:
        archive.writestr("kit.yaml", yaml.safe_dump(kit.model_dump()))
        archive.writestr("ca.pem", "no certificate")
    return enrol(folder / f"{name}.zip", folder / name, folder / "data")[0]
