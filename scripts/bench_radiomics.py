#!/usr/bin/env python3
"""How fast the radiomics engine is, beside plain PyRadiomics in the same run.

    scripts/bench_radiomics.py [--rounds 3] [--regions brain1,...] [--cpu] [--profile] [--files]

Every round runs PyRadiomics as it comes (one process, ITK and BLAS on all cores) and the
engine on one thread, on two, and in two processes, one after the other on the same region;
a ratio is the median over rounds, so that other load on the machine meets both. Where that
load is heavy, --cpu counts CPU time, of one thread on both sides. Needs the real regions
(CONSORTIUM_TEST_DATA).
"""

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean, median
from typing import IO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import radiomics_cases as cases
import SimpleITK as sitk  # noqa: N813

from client.radiomics.engine import extract, warm_up
from client.radiomics.reference import extract_with_pyradiomics
from common.radiomics.profile import read_profile

WAYS = ("one thread", "two threads", "two processes")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--regions", default=",".join(cases.BENCH))
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    parser.add_argument("--cpu", action="store_true", help="CPU time of one thread, not wall time")
    parser.add_argument("--memory", action="store_true", help="peak memory of fresh processes")
    parser.add_argument("--files", action="store_true", help="files to features over a cohort")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        _work(json.loads(chosen.worker))
        return
    warm_up()
    names = chosen.regions.split(",")
    table = _cpu_table if chosen.cpu else _table
    for title, text in (("1130 features", cases.FULL), ("original only", cases.ORIGINAL)):
        table(title, text, names, chosen.rounds)
    if chosen.memory:
        _memory(names)
    if chosen.files:
        _files(chosen.rounds, cpu=chosen.cpu)
    if chosen.profile:
        _profile(names[-1])


def _table(title: str, text: str, names: list[str], rounds: int) -> None:
    profile = read_profile(text)
    print(f"\n{title}: PyRadiomics' time over the engine's, median of {rounds} rounds")
    print(f"{'region':22}{'voxels':>9}{'plain s':>9}" + "".join(f"{w:>15}" for w in WAYS)
          + f"{'worst rel.':>12}")  # fmt: skip
    ratios: list[list[float]] = []
    for name in names:
        image, mask, label = cases.real(name)
        reference = extract_with_pyradiomics(image, mask, profile, label)
        ours = extract(image, mask, profile, label)
        worst = max(abs(ours[k] - v) / max(abs(v), 1e-12) for k, v in reference.items())
        with _pool(name, text) as pool:
            found = [_round(image, mask, profile, label, pool) for _ in range(rounds)]
        plain = median(one[0] for one in found)
        ratio = [median(one[0] / one[w] for one in found) for w in (1, 2, 3)]
        ratios.append(ratio)
        numbers = "".join(f"{r:15.1f}" for r in ratio)
        voxels = ours.diagnostics.n_voxels
        print(f"{name:22}{voxels:9d}{plain:9.3f}{numbers}{worst:12.1e}", flush=True)
    means = [geometric_mean(column) for column in zip(*ratios, strict=True)]
    print(f"{'geometric mean':40}" + "".join(f"{m:15.1f}" for m in means))


def _cpu_table(title: str, text: str, names: list[str], rounds: int) -> None:
    """Compare CPU seconds, which other load on the machine changes little."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    profile = read_profile(text)
    print(f"\n{title}: CPU time of PyRadiomics over the engine's, one thread each, {rounds} rounds")
    print(f"{'region':22}{'plain s':>9}{'ratio':>9}{'worst rel.':>12}")
    ratios = []
    for name in names:
        image, mask, label = cases.real(name)
        extract(image, mask, profile, label)
        found = []
        for _ in range(rounds):
            start = time.process_time()
            reference = extract_with_pyradiomics(image, mask, profile, label)
            plain = time.process_time() - start
            times = max(1, min(10, int(plain / 0.05)))
            start = time.process_time()
            for _ in range(times):
                ours = extract(image, mask, profile, label)
            found.append((plain, times * plain / (time.process_time() - start)))
        worst = max(abs(ours[k] - v) / max(abs(v), 1e-12) for k, v in reference.items())
        ratios.append(median(one[1] for one in found))
        print(f"{name:22}{median(one[0] for one in found):9.3f}{ratios[-1]:9.1f}{worst:12.1e}",
              flush=True)  # fmt: skip
    print(f"{'geometric mean':31}{geometric_mean(ratios):9.1f}")


def _round(image, mask, profile, label, pool) -> tuple[float, ...]:  # type: ignore[no-untyped-def]
    plain = _timed(lambda: extract_with_pyradiomics(image, mask, profile, label))
    times = max(1, min(10, int(plain / 0.05)))
    one = _timed(lambda: extract(image, mask, profile, label), times)
    two = _timed(lambda: extract(image, mask, profile, label, n_threads=2), times)
    return plain, one, two, pool.seconds_a_case(times)


def _timed(work: Callable[[], object], times: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


class _pool:  # noqa: N801  (reads as a verb where it is used)
    """Two processes that each hold the region, one thread each."""

    def __init__(self, name: str, text: str) -> None:
        job = json.dumps({"kind": "serve", "name": name, "text": text})
        command = [sys.executable, __file__, "--worker", job]
        pipe = subprocess.PIPE
        self._workers = [
            subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)
        ]
        for worker in self._workers:
            _pipe(worker.stdout).readline()

    def seconds_a_case(self, times: int) -> float:
        """Return the time of a case when both processes work at once."""
        start = time.perf_counter()
        for worker in self._workers:
            _pipe(worker.stdin).write(f"{times}\n")
            _pipe(worker.stdin).flush()
        for worker in self._workers:
            _pipe(worker.stdout).readline()
        return (time.perf_counter() - start) / (2 * times)

    def __enter__(self) -> "_pool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.communicate("0\n")


def _pipe(end: IO[str] | None) -> IO[str]:
    if end is None:
        raise RuntimeError("a worker without pipes")
    return end


def _work(job: dict[str, str]) -> None:
    """Play one process of the benchmark."""
    single = job["kind"] == "serve" or job.get("clock") == "cpu"
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1 if single else 2)
    if job["kind"] == "files":
        _extract_files(job)
        return
    image, mask, label = cases.real(job["name"])
    profile = read_profile(job["text"])
    run = extract_with_pyradiomics if job.get("engine") == "plain" else extract
    run(image, mask, profile, label)
    if job["kind"] == "memory":
        print(_peak_mb())
        return
    print("ready", flush=True)
    for line in sys.stdin:
        if int(line) == 0:
            return
        for _ in range(int(line)):
            run(image, mask, profile, label)
        print("done", flush=True)


def _peak_mb() -> int:
    """Return this process's own peak; `ru_maxrss` begins with that of who started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def _memory(names: list[str]) -> None:
    print("\npeak memory of a fresh process, 1130 features, MB")
    for name in names:
        peaks = []
        for engine in ("plain", "fast"):
            job = {"kind": "memory", "name": name, "text": cases.FULL, "engine": engine}
            peaks.append(int(_run(job)))
        print(f"{name:22}{peaks[0]:8d} plain{peaks[1]:8d} fast{peaks[1] / peaks[0]:8.2f}")


def _run(job: dict[str, str]) -> str:
    command = [sys.executable, __file__, "--worker", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def _files(rounds: int, *, cpu: bool) -> None:
    """Compare from files to features, one process each, timed inside the process."""
    ratios, job = [], {"kind": "files", "clock": "cpu" if cpu else "wall"}
    for _ in range(rounds):
        plain, fast = (float(_run({**job, "engine": e})) for e in ("plain", "fast"))
        ratios.append(plain / fast)
    print(f"\nfiles to features, 1130 features, one process: {median(ratios):.1f} times")


def _extract_files(job: dict[str, str]) -> None:
    profile = read_profile(cases.FULL)
    run = extract_with_pyradiomics if job["engine"] == "plain" else extract
    if job["engine"] == "fast":
        warm_up()
    clock = time.process_time if job["clock"] == "cpu" else time.perf_counter
    start = clock()
    folder = cases.DATA / "hippocampus"
    for path in sorted((folder / "imagesTr").glob("*.nii.gz"))[:20]:
        mask = sitk.Cast(sitk.ReadImage(str(folder / "labelsTr" / path.name)), sitk.sitkUInt8)
        run(sitk.ReadImage(str(path)), mask, profile, 1)
    for path in sorted((cases.DATA / "sts" / "images").glob("*.nii.gz"))[:6]:
        stem = path.name.removesuffix(".nii.gz")
        mask = sitk.ReadImage(str(cases.DATA / "sts" / "masks" / f"{stem}_mask.nii.gz"))
        run(sitk.ReadImage(str(path)), mask, profile, 1)
    print(clock() - start)


def _profile(name: str) -> None:
    image, mask, label = cases.real(name)
    profile = read_profile(cases.FULL)
    recorder = cProfile.Profile()
    recorder.runcall(extract, image, mask, profile, label)
    with tempfile.TemporaryFile("w+") as text:
        stats = pstats.Stats(recorder, stream=text)
        stats.sort_stats("tottime").print_stats(14)
        text.seek(0)
        print(f"\nwhere the time goes on {name} (own time of a kernel includes what it calls)")
        print("\n".join(line for line in text.read().splitlines()[6:] if line.strip()))


if __name__ == "__main__":
    main()
