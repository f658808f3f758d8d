"""Seconds a round, and the coordinator's memory, without any training.

    .venv/bin/python scripts/bench_rounds.py

Real apps, real gate, real masks, signatures, audit lines and checkpoints; only the local
training is left out (every site sends an update of zeros). Sites work in processes of their
own, so that the memory is the coordinator's alone; each measurement is a process of its own.

    s/round   from the first ask to the total, as in the journal; the median, least and most
    whole     with the next weights and their checkpoint on the disk; the median
    memory    most that was resident, less what was before there were any weights
    models    the same, in models of float32; the sums travel as 64-bit words, two models each
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
MEBI = 2**20
LAYERS = 25

STUDY = """
name: bench
cohort:
  images: {t1: {modality: MR, required: false}}
  masks: {organ: {on: t1, labels: {organ: 1}, required: false}}
steps:
  segment:
    kind: train
    rounds: ROUNDS
    select: last
    validate_every: 10000
    task: {kind: segmentation, images: [t1], mask: organ, recipe: {size: [16, 16, 16]}}
"""


def main() -> None:
    """Measure every combination and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, nargs="*", default=[4, 32])
    parser.add_argument("--bytes", type=int, nargs="*", default=[50_000, 20_000_000])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--one", nargs=3, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one)))
        return
    print("sites   weights  s/round     min     max   whole    memory models")
    for n_sites in options.sites:
        for n_bytes in options.bytes:
            command = [
                sys.executable,
                __file__,
                "--one",
                *map(str, (n_sites, n_bytes, options.rounds)),
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
            found = json.loads(done.stdout.splitlines()[-1])
            mib = found["peak_bytes"] / MEBI
            print(
                f"{n_sites:5d} {n_bytes / 1e6:6.2f} MB {found['median_s']:8.3f} "
                f"{found['min_s']:7.3f} {found['max_s']:7.3f} {found['whole_s']:7.3f} "
                f"{mib:6.1f} MB {found['peak_bytes'] / n_bytes:6.1f}",
                flush=True,
            )


def measure(n_sites: int, n_bytes: int, rounds: int) -> dict[str, float]:
    """Return seconds a round and the coordinator's peak memory above the bare process."""
    import server.training
    from server import progress
    from server.simulate import simulate

    bare: list[int] = []

    def first(*_: object) -> dict[str, np.ndarray]:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        bare.append(_status("VmRSS"))
        return _weights(n_bytes)

    server.training.initial_weights = first
    seconds: list[float] = []
    ends: list[float] = []

    def listen(event: dict[str, object]) -> None:
        if event["event"] == "exchanged":
            seconds.append(float(str(event["seconds"])))
            ends.append(time.monotonic())

    with tempfile.TemporaryDirectory() as folder:
        run = _prepare(Path(folder), n_sites, rounds)
        with progress.listening(listen):
            simulate(run, engine="processes", workers=2, client="scripts.bench_sites:app")
    steady = seconds[1:-1]  # the first starts the workers, the last trains nothing
    return {
        "median_s": statistics.median(steady),
        "min_s": min(steady),
        "max_s": max(steady),
        "whole_s": statistics.median(b - a for a, b in pairwise(ends[:-1])),
        "peak_bytes": _status("VmHWM") - bare[0],
    }


def _weights(n_bytes: int) -> dict[str, np.ndarray]:
    """Return the weights of a network of equal layers."""
    layer = np.random.default_rng(0).standard_normal(n_bytes // 4 // LAYERS, np.float32)
    return {f"layer{i:02d}": layer.copy() for i in range(LAYERS)}


def _prepare(folder: Path, n_sites: int, rounds: int) -> object:
    from server.simulate import prepare

    sites = {}
    for i in range(n_sites):
        cohort = folder / f"s{i:02d}"
        cohort.mkdir()
        rows = "".join(f"c{k},p{k},train\n" for k in range(20))
        (cohort / "cohort.csv").write_text("case_id,patient_id,split\n" + rows)
        sites[cohort.name] = {"simulate": {"cohort": cohort.name}}
    (folder / "study.yaml").write_text(STUDY.replace("ROUNDS", str(rounds)))
    (folder / "sites.yaml").write_text(yaml.safe_dump({"sites": sites}))
    return prepare(folder / "study.yaml", folder / "sites.yaml", folder / "runs")


def _status(name: str) -> int:
    """Return one of the process's memory figures of Linux, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
