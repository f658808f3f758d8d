"""Run scripts/whole_study.template.yaml on made-up tables and count its rounds.

    python scripts/whole_study.py FOLDER [--features 420]

Prints the rounds of every step, of the whole study, the bytes a site sends, and what was
found. Exits with 1 where the study needs more than 60 rounds or a step gave no answer.
"""

import argparse
import csv
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import yaml

from common.nested import base_of
from common.phantoms.radiomics import Radiomics, feature_names, table_of
from server.journal import read_events
from server.run import Run
from server.simulate import prepare, simulate

STUDY = Path(__file__).with_name("whole_study.template.yaml")
SIZES = {"alpha": 151, "beta": 88, "gamma": 57, "delta": 32, "abroad": 80}
MOST_ROUNDS = 60


def write(folder: Path, n_features: int, seed: int = 7) -> Run:
    """Write tables, study and roster; return the prepared run."""
    # Folds of those read twice must hold two patients of every site.
    what = Radiomics(seed, n_features, SIZES, read_twice=0.8)
    sites = {}
    for name in SIZES:
        columns = table_of(what, name)
        home = folder / "cohorts" / name
        home.mkdir(parents=True, exist_ok=True)
        with (home / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        policy = {"per_site": name == "abroad", "most_numbers_per_patient": 5000}
        sites[name] = {
            "role": "external" if name == "abroad" else "develop",
            "simulate": {"cohort": f"cohorts/{name}", "policy": policy},
        }
    lines = "".join(f"    {c}: {{type: number}}\n" for of in feature_names(n_features) for c in of)
    (folder / "study.yaml").write_text(STUDY.read_text().replace("    # ...\n", lines))
    settings = {"deadline_s": 600, "wait_s": 30, "sites": sites}
    (folder / "sites.yaml").write_text(yaml.safe_dump(settings))
    return prepare(folder / "study.yaml", folder / "sites.yaml", folder / "runs")


def rounds_of(run: Run) -> tuple[dict[str, list[int]], int, int]:
    """Return first and last round of every step, the rounds of all, and bytes sent."""
    events = read_events(run.folder / "journal.jsonl")
    spans: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if event["event"] == "round":
            for problem in event["problems"]:
                spans[base_of(problem.partition("/")[0])].append(event["round"])
    sent = sum(event["bytes_up"] for event in events if event["event"] == "exchanged")
    return spans, max(max(of) for of in spans.values()), sent


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--features", type=int, default=420)
    arguments = parser.parse_args()
    run = write(arguments.folder, arguments.features)
    begin, cpu = time.monotonic(), time.process_time()
    simulate(run, engine="threads")
    seconds, cpu = time.monotonic() - begin, time.process_time() - cpu
    spans, n_rounds, sent = rounds_of(run)
    print(f"{'step':22} {'rounds':>6}  from - to")
    for step, of in spans.items():
        print(f"{step:22} {len(set(of)):6}  {min(of)} - {max(of)}")
    ended = json.loads((run.folder / "answers.json").read_text())
    for step, parts in ended["failed"].items():
        print(f"no answer: {step}: {parts}")
    for step in ("roc_nested", "roc"):
        for part, answer in ended["answers"].get(step, {}).items():
            for score, of in answer["scores"].items():
                print(f"AUC {part:12} {score:42} {of['auc']:.3f}")
    print(f"{n_rounds} rounds (at most {MOST_ROUNDS}), {sent / 1e6 / len(SIZES):.1f} MB a site,")
    print(f"{cpu:.0f} CPU-seconds, {seconds:.0f} s; {run.folder}")
    return int(n_rounds > MOST_ROUNDS or bool(ended["failed"]))


if __name__ == "__main__":
    sys.exit(main())
