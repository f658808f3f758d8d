"""A hospital tries a study out by itself: on made-up patients, then on its own, nobody else.

The whole machinery runs, masks and all, as a simulation on this machine; nothing leaves it.
As sums want partners, made-up sites stand for them. Training is cut to two short rounds.
What came of it goes into one file for the coordinator, which holds no number of a patient
and no path: which steps ran, how long they took, why not.
"""

import importlib
import json
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.deployment import DryRun, as_text
from common.settings import read_yaml
from common.sites import PolicySettings
from common.study import Study, read_study, study_hash
from server.arrays import write_file
from server.journal import read_events
from server.progress import listening
from server.run import Run
from server.simulate import prepare, simulate, versions

_FEWEST = 3  # sites in a masked sum
_N_PATIENTS = 15
_SHORT = {"rounds": 2, "validate_every": 1}
_STEPS = 2

Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Tried:
    """What came of one try.

    Attributes:
        answered: steps that gave an answer.
        failed: why others did not, in the words of the fixed list.
        seconds: how long the whole took.
        work_s: the longest that one round's work took a site.
    """

    answered: tuple[str, ...]
    failed: Mapping[str, str]
    seconds: float
    work_s: float


def try_on_phantoms(study: str, folder: Path, tell: Tell) -> Tried:
    """Try a study on made-up patients of three sites.

    Args:
        study: text of the study.
        folder: a new one; made-up images and the run stay in it.
        tell: told the run's events.
    """
    return _try(study, _made_up(study, folder, _FEWEST), folder, tell)


def try_on_own(study: str, site_file: Path, folder: Path, tell: Tell) -> Tried:
    """Try a study on this site's own cases under its own policy; made-up sites are partners.

    Args:
        study: text of the study.
        site_file: the site's `site.yaml`.
        folder: a new one for the run.
        tell: told the run's events.
    """
    site = importlib.import_module("client.site").load_site(site_file)
    if len(site.cohorts) != 1:
        raise ValueError("expected a site with one folder of cases")
    own = {
        "cohort": str(site.cohorts[0].resolve()),
        "columns": dict(site.settings.columns),
        "policy": site.policy.model_dump(),
        "device": site.settings.device,
    }
    partners = _made_up(study, folder, max(_FEWEST, site.policy.fewest_sites) - 1)
    return _try(study, {**partners, site.name: {"simulate": own}}, folder, tell)


def _made_up(study: str, folder: Path, n_sites: int) -> dict[str, Any]:
    """Make up sites that fit a study's contract; return their part of a roster."""
    contract = read_study(study, "study.yaml").cohort
    make_up = importlib.import_module("client.ingest.made_up").make_up
    policy = PolicySettings(per_site=True, share_network=True).model_dump()
    sites = {}
    for i in range(1, n_sites + 1):
        name = f"made_up_{i}"
        make_up(contract, folder / name, _N_PATIENTS, name)
        sites[name] = {"simulate": {"cohort": name, "policy": policy}}
    return sites


def shortened(study: str) -> str:
    """Return a study whose training takes two rounds of two steps, and pools nothing."""
    data: dict[str, Any] = read_yaml(study, "study.yaml")[0]
    for step in data["steps"].values():
        if step["kind"] == "train":
            step |= _SHORT
            step["baselines"] = [b for b in step.get("baselines") or () if b != "pooled"]
            step["local"] = {**(step.get("local") or {}), "steps": _STEPS}
    return yaml.safe_dump(data, sort_keys=False)


def report(study: str, site: str, tries: Mapping[str, Tried]) -> str:
    """Return the file for the coordinator: no path, no count, no number of a patient."""
    said = {
        "site": site,
        "study": study_hash(study),
        "machine": _machine(),
        "versions": {"python": platform.python_version(), **versions()},
        "tries": {
            name: {
                "answered": tried.answered,
                "failed": dict(tried.failed),
                "seconds": round(tried.seconds),
                "longest_work_s": round(tried.work_s, 1),
            }
            for name, tried in tries.items()
        },
    }
    return as_text(DryRun.model_validate(said))


def write_report(path: Path, text: str) -> None:
    """Write the file for the coordinator."""
    write_file(path, text.encode())


def _try(study: str, sites: Mapping[str, Any], folder: Path, tell: Tell) -> Tried:
    plain = json.loads(json.dumps({"sites": sites}))
    (folder / "study.yaml").write_text(shortened(study), encoding="utf-8")
    (folder / "sites.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    begin = time.monotonic()
    run = prepare(folder / "study.yaml", folder / "sites.yaml", folder / "runs")
    with listening(tell):
        simulate(run, workers=1)
    tried = _tried(run, time.monotonic() - begin)
    shutil.rmtree(folder / "runs" / ".sites", ignore_errors=True)
    return tried


def _tried(run: Run, seconds: float) -> Tried:
    events = read_events(run.folder / "journal.jsonl")
    failed: dict[str, str] = {}
    for event in events:
        if event["event"] == "failed":
            step = str(event["problem"]).partition("/")[0]
            failed[step] = _bare(str(event["why"]))
    answered = {str(e["problem"]).partition("/")[0] for e in events if e["event"] == "answer"}
    study: Study = run.study
    works = [max(e["work_s"].values(), default=0.0) for e in events if e["event"] == "exchanged"]
    return Tried(
        tuple(step for step in study.bound if step in answered and step not in failed),
        failed,
        seconds,
        max(works, default=0.0),
    )


def _bare(why: str) -> str:
    """Return why a step failed; of an error its kind alone, as its text may hold numbers."""
    return why.partition(":")[0] if "Error" in why.partition(":")[0] else why


def _machine() -> dict[str, Any]:
    import os

    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cores": os.cpu_count(), "memory_gb": round(memory), "gpu": gpu}
