"""What the analyses cost at 1975 columns, 328 patients and four uneven sites.

    .venv/bin/python scripts/bench_statistics.py [--afresh] [WORD ...]

Every round goes through `run` as in the tests, with what a deployment adds: sums are checked,
encoded, masked under three pair keys a site, added and decoded. Seconds are of the processor,
on one core: "local" all four sites' own work, "sum" check to decode of all sites,
"server" the rest. Bytes are what one site sends.

"table" is what the same analyses took when they were designed (328 patients, one core of
another machine, masks by Philox): rounds, MB, seconds local + sum, and server where that was
measured. "ratio" is of seconds, or "-" where both are below 0.1 s. WORD runs only the
analyses whose name holds it. Exits with 1 where a ratio, or the memory, is above 2.

A site's process remembers what it has worked out of its table, as those of a simulation do;
with --afresh it forgets it before every ask, as where each message has a process of its own.
"""

import gc
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.analyses.analysis import Analysis, Ask  # noqa: E402
from common.analyses.boosting import Boosting  # noqa: E402
from common.analyses.combat import Combat  # noqa: E402
from common.analyses.compare_groups import CompareGroups  # noqa: E402
from common.analyses.correlate import Correlate  # noqa: E402
from common.analyses.forest import Forest  # noqa: E402
from common.analyses.icc import Icc  # noqa: E402
from common.analyses.lasso import Lasso  # noqa: E402
from common.analyses.moments import Moments  # noqa: E402
from common.analyses.runner import Cost, run  # noqa: E402
from common.analyses.svm import Svm  # noqa: E402
from common.analyses.univariable_logistic import UnivariableLogistic  # noqa: E402
from common.cohort import Column  # noqa: E402
from common.known import KNOWN  # noqa: E402
from common.phantoms.radiomics import Radiomics, feature_names, table_of  # noqa: E402
from common.privacy.encoding import Words, add_into, decode, encode  # noqa: E402
from common.privacy.masks import mask  # noqa: E402
from common.sums import Sums, conform  # noqa: E402
from common.table import Table  # noqa: E402

SIZES = {"a": 151, "b": 88, "c": 57, "d": 32}
COLUMNS = 1975
MEMORY_MB = 535.0  # of the whole script that made the table
GRAM_S = 0.15  # of all sites, as the table has it
FEWEST_S = 0.1  # below it a ratio says nothing
MOST = 2.0
AFRESH = "--afresh" in sys.argv[1:]
WORDS = [word for word in sys.argv[1:] if word != "--afresh"]
_LEVELS = {"sex": ("f", "m"), "stage": ("i", "ii", "iii"), "outcome": ("no", "yes")}
_LEFT_OUT = ("case_id", "patient_id")
_ROW = "{:<40} {:>6} {:>7} {:>7} {:>7} {:>7}  {:>20} {:>6} {:>7}"


@dataclass(frozen=True)
class Bench:
    """An analysis and what the table says of it.

    Attributes:
        rounds: of the table.
        sent_mb: what a site sent in all.
        seconds: all sites' work and the masked sums; the server's too where `server`.
    """

    name: str
    step: Analysis
    rounds: int
    sent_mb: float
    seconds: float
    server: bool = False


@dataclass
class Clock:
    """A round with masks, and the seconds that its parts took."""

    local_s: float = 0.0
    sum_s: float = 0.0
    keys: dict[frozenset[str], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = {frozenset((a, b)): os.urandom(32) for a in SIZES for b in SIZES if a < b}

    def exchange(self, analysis: Analysis, tables: Sequence[Table], ask: Ask, cost: Cost) -> Sums:
        """Return the total of masked sums, each added as it comes."""
        schema = analysis.schema(ask, tables[0].contract)
        total: Words | None = None
        for site, table in zip(SIZES, tables, strict=True):
            if AFRESH:
                KNOWN.forget()
            begin = time.process_time()
            sums = analysis.summarise(table, ask)
            done = time.process_time()
            self.local_s += done - begin
            conform(sums, schema)
            words = encode(sums, schema)
            peers = {s: self.keys[frozenset((s, site))] for s in SIZES if s != site}
            binding = cost.rounds.to_bytes(4, "big")
            mask(words, schema, site=site, group=tuple(SIZES), keys=peers, binding=binding)
            if total is None:
                total = words
            else:
                add_into(total, words, schema)
            del sums, words
            self.sum_s += time.process_time() - done
        assert total is not None  # noqa: S101
        cost.rounds += 1
        cost.bytes_up += total.nbytes
        begin = time.process_time()
        found = decode(total, schema)
        self.sum_s += time.process_time() - begin
        return found


def main() -> int:
    """Print a line an analysis; return the exit code."""
    from threadpoolctl import threadpool_limits

    tables = made_up()
    print(
        _ROW.format(
            "analysis",
            "rounds",
            "MB",
            "local",
            "sum",
            "server",
            "table: rounds MB s",
            "ratio",
            "RSS MB",
        )
    )
    worst = 0.0
    with threadpool_limits(1):
        print(f"this machine, now: {_machine():.1f} times the table's for one product of matrices")
        for bench in _benches():
            if not WORDS or any(word in bench.name for word in WORDS):
                worst = max(worst, _measure(bench, tables))
                gc.collect()
    memory = _peak_mb() / MEMORY_MB
    print(f"peak memory of the process {_peak_mb():.0f} MB, table {MEMORY_MB:.0f}: {memory:.1f}")
    return int(max(worst, memory) > MOST)


def _measure(bench: Bench, tables: list[Table]) -> float:
    """Run one analysis, print its line, and return the ratio of seconds."""
    clock, cost = Clock(), Cost()
    KNOWN.forget()  # or a row would find what the one before has left
    tables = [_of_step(table, bench.step) for table in tables]
    begin = time.process_time()
    run(bench.step, tables, cost=cost, by=clock.exchange)
    server_s = time.process_time() - begin - clock.local_s - clock.sum_s
    took = clock.local_s + clock.sum_s + (server_s if bench.server else 0.0)
    tiny = took < FEWEST_S and bench.seconds < FEWEST_S
    ratio = 0.0 if tiny else took / max(bench.seconds, FEWEST_S)
    table = f"{bench.rounds} {bench.sent_mb:g} {bench.seconds:.2f}{'+' if bench.server else ''}"
    seconds = (f"{s:.2f}" for s in (clock.local_s, clock.sum_s, server_s))
    sent = f"{cost.bytes_up / 1e6:.2f}"
    shown = "-" if tiny else f"{ratio:.1f}"
    memory = f"{_peak_mb():.0f}"
    print(_ROW.format(bench.name, cost.rounds, sent, *seconds, table, shown, memory), flush=True)
    return ratio


def _of_step(table: Table, step: Analysis) -> Table:
    """Return what a site hands to a step: the columns it reads, no others."""
    return replace(table, columns={name: table.columns[name] for name in step.columns()})


def made_up() -> list[Table]:
    """Return a table a site, with both readers' features of every patient."""
    what = Radiomics(7, COLUMNS, SIZES, read_twice=1.0)
    contract = {name: Column(type="category", levels=of) for name, of in _LEVELS.items()}
    tables = []
    for site in SIZES:
        rows = table_of(what, site)
        columns = {
            name: np.array([_LEVELS[name].index(v) if name in _LEVELS else float(v) for v in of])
            for name, of in rows.items()
            if name not in _LEFT_OUT
        }
        known = {name: contract.get(name, Column(type="number")) for name in columns}
        columns = {name: values.astype(np.float64) for name, values in columns.items()}
        tables.append(Table(columns, known, np.array(rows["patient_id"])))
    return tables


def _benches() -> Iterator[Bench]:
    first, second = feature_names(COLUMNS)
    some, few = first[:200], first[:50]
    seen = ("age", "sex")
    yes = "yes"
    yield Bench("moments", Moments(of=first), 3, 0.16, 0.07)
    yield Bench("combat, 2 covariates", Combat(of=first, covariates=seen), 2, 0.13, 0.0)
    yield Bench("icc, 2 readers", Icc(raters=(first, second)), 2, 0.19, 0.0)
    step = UnivariableLogistic(outcome="outcome", of=first)
    yield Bench("univariable_logistic", step, 7, 1.33, 0.13)
    compared = CompareGroups(of=first, by="outcome", test="mann_whitney")
    yield Bench("mann_whitney, binned", compared, 3, 10.1, 0.20)
    yield Bench("pearson", Correlate(of=first, method="pearson"), 1, 31.3, 1.01)
    yield Bench("spearman, binned", Correlate(of=first), 4, 27.7, 0.38)
    yield Bench("spearman, exact ranks", Correlate(of=first, exact_ranks=True), 17, 184, 2.1)
    linear = Lasso(outcome="days", of=some, family="linear", folds=5)
    yield Bench("lasso linear, 200 columns, 5 folds", linear, 1, 1.6, 0.01)
    path = Lasso(outcome="outcome", of=some, lambdas=50, folds=5)
    yield Bench("lasso logistic, 200 columns, 50 x 6", path, 298, 20.0, 10.66, server=True)
    path = Lasso(outcome="outcome", of=first, lambdas=40, folds=5)
    yield Bench("lasso logistic, all columns, 40 x 6", path, 218, 34.1, 0.99)
    classic = {"outcome": "outcome", "parallel": 1, "depth": 3, "positive": yes}
    yield Bench(
        "boosting, 10 trees, all columns", Boosting(of=first, steps=10, **classic), 41, 388, 5.52
    )
    yield Bench(
        "boosting, 100 trees, 50 columns", Boosting(of=few, steps=100, **classic), 401, 74, 0.82
    )
    forest = Forest(outcome="outcome", of=few, trees=300, depth=5)
    yield Bench("forest, 300 trees, 50 columns", forest, 6, 41, 0.66)
    extra = Forest(outcome="outcome", of=first, trees=300, depth=5, method="extra_trees")
    yield Bench("extra-trees, 300, all columns", extra, 6, 17, 0.99)
    yield Bench("svm linear, 50 columns", Svm(outcome="outcome", of=few, folds=0), 6, 0.13, 0.0)


def _machine() -> float:
    """Return how much longer this machine takes for the sites' Gram matrices, all else bare."""
    parts = [np.random.default_rng(0).normal(size=(n, COLUMNS)) for n in SIZES.values()]
    best = np.inf
    for _ in range(3):
        begin = time.process_time()
        for z in parts:
            z.T @ z
        best = min(best, time.process_time() - begin)
    return best / GRAM_S


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
