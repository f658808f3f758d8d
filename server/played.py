"""A hospital that this machine plays: its key, its `site.yaml`, its copy of the study.

Used where one person stands for all hospitals: a simulation, a deployment on one machine.
A real hospital writes its own file and keeps its key to itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.privacy.identity import new_identity, private_text, public_text, read_identity
from common.sites import SimulatedSite
from common.study import study_hash
from server.arrays import write_file
from server.private import write_private


@dataclass(frozen=True)
class PlayedSite:
    """One such hospital.

    Attributes:
        name: the site's name.
        home: its workspace, which outlives a run: key, caches, audit log.
        settings: cohort, columns, policy and device, as they stand in `site.yaml`.
    """

    name: str
    home: Path
    settings: Mapping[str, Any]

    def key(self) -> str:
        """Return the public identity key; the pair is made where it is missing."""
        path = self.home / "identity.key"
        if not path.exists():
            write_private(path, private_text(new_identity()).encode())
        return public_text(read_identity(path.read_text()))

    def write(self, file: Path, study: str, partners: Mapping[str, str]) -> None:
        """Write the site's `site.yaml`, which approves a study, and its copy of that study.

        Args:
            file: the `site.yaml`.
            study: text of the study.
            partners: public identity keys of all sites.
        """
        sha256 = study_hash(study)
        settings = {
            **self.settings,
            "name": self.name,
            "workspace": str(self.home),
            "identity": str(self.home / "identity.key"),
            "partners": dict(partners),
            "policy": {**self.settings["policy"], "approved_studies": [sha256]},
        }
        plain = json.loads(json.dumps(settings))
        write_file(file, yaml.safe_dump(plain, sort_keys=False).encode())
        write_file(self.home / "studies" / f"{sha256}.yaml", study.encode())


def settings_of(simulated: SimulatedSite, folder: Path) -> dict[str, Any]:
    """Return the settings of a roster's `simulate` part.

    Args:
        simulated: that part.
        folder: where the roster lies; cohorts are named relative to it.
    """
    cohort = str((folder / simulated.cohort).resolve())
    further = [str((folder / named).resolve()) for named in simulated.further_folders]
    return {**simulated.model_dump(), "cohort": cohort, "further_folders": further}
