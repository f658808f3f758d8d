"""The site's half of training: weights in, n times their change out.

A baseline of this site alone keeps its weights in the workspace and lets out only n and
loss, unless asked to share them at the end and allowed to by the policy.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from client.bench import Bench
from client.cases import Case
from client.files import write_atomically
from client.learners.learner import learner_of
from client.products import with_products
from client.steps import Job
from client.trainer import Start, Trained, train
from common.errors import Reason, Refused
from common.seeds import seed
from common.sums import Array, Sums
from common.tasks.train import AVERAGE, UPDATE, WEIGHTS, Train

Weights = dict[str, Array]


def summarise(job: Job) -> Sums:
    """Return the sums of one training ask: see `common.tasks.train.train_schema`."""
    values, weights = job.posed.ask.values, _named(job.posed.ask.arrays, WEIGHTS)
    if values.get("share"):
        return _share(job)
    if values.get("own"):
        return _train_own(job, weights)
    sums: dict[str, Array] = {}
    if values.get("train"):
        trained = _train(job, weights)
        sums |= _counts(trained)
        for name, before in weights.items():
            change = trained.weights[name].astype(np.float64) - before
            sums[UPDATE + name] = trained.n_cases * change
    if values.get("validate"):
        sums |= _validate(job, _named(job.posed.ask.arrays, AVERAGE) or weights)
    return sums


def bench_of(job: Job, step: Train) -> Bench:
    """Return what all computing with this step's network shares at this site."""
    return Bench(
        step.task,
        job.study.holdings,
        job.site.room("cache", "arrays"),
        device=job.site.settings.device,
        threads=job.site.settings.threads,
    )


def own_weights(job: Job, step: str) -> Weights | None:
    """Return the last weights of this site's own network of a `train` step, if there are any."""
    files = sorted(job.site.room("runs", job.run, "networks").glob(f"{step}-*.safetensors"))
    return _read(files[-1]) if files else None


def _train(job: Job, weights: Mapping[str, Array]) -> Trained:
    values = job.posed.ask.values
    start = Start(
        weights,
        seed(int(str(values["seed"])), job.site.name, int(str(values["round"]))),
        float(str(values["learning_rate"])),
    )
    bench = bench_of(job, job.step)
    cases = _usable(job, bench)
    if not cases:
        raise Refused(Reason.NO_CASES, f"no training case for a network that {bench.purpose}")
    return train(bench, job.step.local, start, cases)


def _train_own(job: Job, first: Mapping[str, Array]) -> Sums:
    """Train this site's own network by one round, on its own disk."""
    round_ = int(str(job.posed.ask.values["round"]))
    folder = job.site.room("runs", job.run, "networks")
    before = first or _read(folder / _file(job, round_ - 1))
    trained = _train(job, before)
    write_atomically(folder / _file(job, round_), save(trained.weights))
    (folder / _file(job, round_ - 2)).unlink(missing_ok=True)
    return _counts(trained)


def _share(job: Job) -> Sums:
    weights = own_weights(job, job.posed.step)
    if weights is None:
        raise Refused(Reason.UNKNOWN_STEP, "this site has trained no network of its own")
    n = len(_usable(job, bench_of(job, job.step)))
    return {
        "n": np.array(n),
        **{UPDATE + name: n * w.astype(np.float64) for name, w in weights.items()},
    }


def _validate(job: Job, weights: Mapping[str, Array]) -> dict[str, Array]:
    learner = learner_of(bench_of(job, job.step))
    cases = [case for case in _cases(job, "validation") if learner.scorable(case)]
    if not cases:
        n_scores = int(str(job.posed.ask.values["n_scores"]))
        return {"n_validated": np.array(0), "score": np.zeros(n_scores)}
    scores = learner.validate(weights, cases)
    score = np.array([values.sum() for values in scores.values()])
    return {"n_validated": np.array(len(cases)), "score": score}


def _usable(job: Job, bench: Bench) -> Sequence[Case]:
    learner = learner_of(bench)
    return [case for case in _cases(job, "train") if learner.usable(case)]


def _cases(job: Job, split: str) -> Sequence[Case]:
    cases = with_products(job.site, job.study, job.run, job.cases)
    return [case for case in cases if case.split == split]


def _counts(trained: Trained) -> dict[str, Array]:
    return {"n": np.array(trained.n_cases), "loss": np.array(trained.n_cases * trained.loss)}


def _named(arrays: Mapping[str, Array], prefix: str) -> Weights:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _file(job: Job, round_: int) -> str:
    return f"{job.posed.step}-{round_:05d}.safetensors"


def _read(path: Path) -> Weights:
    return dict(load(path.read_bytes()))
