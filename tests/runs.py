"""Small studies over sites with tables only, for tests of everything but images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from server.run import Run
from server.simulate import prepare

STUDY = """
name: tables
cohort:
  columns:
    age: {type: integer, range: [18, 100], unit: years}
    marker: {type: number, range: [0, 50]}
    sex: {type: category, levels: [f, m]}
steps:
  table1:
    kind: describe
    of: [age, marker, sex]
    over: [development, external, each]
  women:
    kind: describe
    of: [marker]
    cases: {where: {sex: [f]}}
"""

SIZES = {"north": 41, "east": 19, "south": 33, "west": 28, "abroad": 24}


def write_cohort(folder: Path, n: int, seed: int) -> None:
    """Write a cohort.csv of n patients without images."""
    rng = np.random.default_rng(seed)
    lines = ["case_id,patient_id,split,age,marker,sex"]
    for i in range(n):
        split = "validation" if i % 4 == 0 else "train"
        age = int(np.clip(rng.normal(62, 10), 18, 100))
        marker = min(round(float(rng.lognormal(1, 0.6)), 3), 50)
        lines.append(f"case{i:03d},patient{i:03d},{split},{age},{marker},{rng.choice(['f', 'm'])}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")


def make_run(
    folder: Path,
    *,
    study: str = STUDY,
    policy: Mapping[str, Any] | None = None,
    roster: Mapping[str, Any] | None = None,
    policies: Mapping[str, Mapping[str, Any]] | None = None,
) -> Run:
    """Return a prepared run over four developing sites and an external one."""
    sites: dict[str, Any] = {}
    for seed, (name, n) in enumerate(SIZES.items()):
        write_cohort(folder / "cohorts" / name, n, seed)
        rules = {"per_site": True, **(policy or {}), **((policies or {}).get(name) or {})}
        sites[name] = {
            "role": "external" if name == "abroad" else "develop",
            "simulate": {"cohort": f"cohorts/{name}", "policy": rules},
        }
    settings = {"deadline_s": 60, "wait_s": 120, **(roster or {}), "sites": sites}
    (folder / "study.yaml").write_text(study)
    (folder / "sites.yaml").write_text(yaml.safe_dump(settings))
    return prepare(folder / "study.yaml", folder / "sites.yaml", folder / "runs")
