"""Run folders for tests of the report: written by hand, no site ever asked."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from server.report.write import write_report
from server.run import Run

Event = dict[str, Any]

STUDY = """
name: organs
title: Organs on MRI
description: Four hospitals and one abroad.
reference: Doe et al., 2024
cohort:
  images:
    t1: {modality: MR}
  masks:
    organ: {on: t1, labels: {front: 1, back: 2}}
  columns:
    age: {type: integer, range: [18, 100], unit: years, title: Age}
    sex: {type: category, levels: [f, m], title: Sex}
steps:
  table_1: {kind: describe, of: [age, sex], over: [development, external, each]}
  segment:
    kind: train
    rounds: 4
    baselines: [local, pooled]
    task:
      kind: segmentation
      images: [t1]
      mask: organ
      recipe: {spacing_mm: [1, 1, 1], size: [16, 16, 16]}
      network: {kind: residual_unet, channels: [4, 8]}
  masks: {kind: predict, network: segment}
  accuracy:
    kind: describe
    of: ["masks.*dice_*"]
    over: [development, external, each]
    cases: {split: [test]}
"""

SITES = """
sites:
  east: {}
  north: {}
  south: {}
  west: {}
  abroad: {role: external}
"""
NAMES = ("east", "north", "south", "west", "abroad")
DEVELOPING = NAMES[:4]
PARTS = ("development", "external", *(f"site.{name}" for name in NAMES))


def table_one(n: int, f: int | None, m: int | None) -> dict[str, Any]:
    """Return an answer of the step `table_1`."""
    quantiles = [{"at": q, "value": v, "low": v, "high": v} for q, v in _QUARTERS.items()]
    age = {"n": n - 1, "missing": 1, "mean": 61.234, "sd": 9.87, "quantiles": quantiles}
    shown = None if f is None and m is None else n
    sex = {"levels": {"f": f, "m": m}, "n": shown, "missing": None if shown is None else 0}
    return {"n": n, "n_patients": n, "columns": {"age": age, "sex": sex}}


def scores(n: int, mean: float) -> dict[str, Any]:
    """Return an answer of the step `accuracy`; baselines do a little worse."""
    columns = {}
    for k, variant in enumerate(("", "local.", "pooled.")):
        for label, less in (("front", 0.0), ("back", 0.1)):
            value = mean - less - 0.02 * k
            quarters = {0.25: value - 0.03, 0.5: value, 0.75: value + 0.03}
            columns[f"masks.{variant}dice_{label}"] = {
                "n": n,
                "missing": 0,
                "mean": value,
                "sd": 0.04,
                "quantiles": [{"at": q, "value": v} for q, v in quarters.items()],
            }
    return {"n": n, "n_patients": n, "columns": columns}


def training(rounds: int, *, scored: bool = True) -> dict[str, Any]:
    """Return an answer of the step `segment`."""
    history: list[dict[str, Any]] = [
        {"round": r, "n": 40, "loss": 1.5 / (1 + r)} for r in range(rounds)
    ]
    if not scored:
        return {"history": history}
    history.append({"round": rounds})
    for line in history[::2]:
        score = {"front": 0.5 + 0.1 * line["round"], "back": 0.4 + 0.1 * line["round"]}
        line |= {"n_validated": 16, "score": score}
    best = history[::2][-1]
    values = {"rounds": rounds, "history": history}
    return {**values, "selected_round": best["round"], "score": best["score"]}


def answers() -> dict[str, dict[str, Any]]:
    """Return the answers of a whole run, by step and part; west keeps to itself."""
    counts = {"east": (9, 11), "north": (16, 14), "south": (12, 13), "abroad": (8, 9)}
    first = {"development": table_one(105, 53, 52), "external": table_one(17, 8, 9)}
    first |= {f"site.{s}": table_one(f + m, f, m) for s, (f, m) in counts.items()}
    dice = {"development": scores(30, 0.87), "external": scores(17, 0.81)}
    dice |= {f"site.{s}": scores(8, 0.8 + 0.01 * k) for k, s in enumerate(counts)}
    trained = {"development": training(4), "pooled": training(4)}
    trained |= {f"local.{s}": training(4, scored=False) for s in ("east", "north", "south")}
    predicted = {"all": {"done": 100, "failed": 0}}
    return {"table_1": first, "segment": trained, "masks": predicted, "accuracy": dice}


def journal(found: Mapping[str, Mapping[str, Any]], *, end: bool = True) -> list[Event]:
    """Return the events of a run with these answers, in which west refuses twice."""
    steps = list(found)
    events: list[Event] = [_event("session", session="s", sites=list(NAMES))]
    for number, step in enumerate(steps, start=1):
        problems = [f"{step}/{part}" for part in found[step]]
        refusing = "development" in found[step] and step != "segment"
        if refusing:
            problems.append(f"{step}/site.west")
        events.append(_event("round", round=number, problems=problems))
        cost = {"seconds": 5.25, "bytes_up": 3_000_000, "bytes_down": 1_000_000}
        events.append(_event("exchanged", round=number, **cost, work_s={"east": 2.5}))
        if refusing:
            events += refusal(f"{step}/site.west", "west", "per_site_not_allowed")
        events += [
            _event("answer", problem=f"{step}/{part}", values=values)
            for part, values in found[step].items()
        ]
    return [*events, _event("end", failed={})] if end else events


def refusal(problem: str, site: str, reason: str) -> list[Event]:
    """Return the events of a site that gives nothing to a problem of its own."""
    why = f"too few sites: {reason}"
    lost = _event("lost", problem=problem, site=site, reason=reason)
    return [lost, _event("failed", problem=problem, why=why)]


def write_run(
    folder: Path, events: Sequence[Event], *, study: str = STUDY, sites: str = SITES
) -> Run:
    """Write a run folder and return the run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(study)
    (folder / "sites.yaml").write_text(sites)
    about = {"keys": dict.fromkeys(NAMES, "ab" * 32), "simulated": list(NAMES)}
    about |= {"versions": {"numpy": "2.4.6"}}
    (folder / "run.json").write_text(json.dumps(about))
    lines = "".join(json.dumps({**e, "time": 1.8e9 + i}) + "\n" for i, e in enumerate(events))
    (folder / "journal.jsonl").write_text(lines)
    return Run(folder)


def page_of(run: Run) -> str:
    """Write a run's report and return its text."""
    return write_report(run).read_text(encoding="utf-8")


def _event(event: str, **entry: Any) -> Event:
    return {"event": event, **entry}


_QUARTERS = {0.25: 54.0, 0.5: 61.0, 0.75: 70.0}
