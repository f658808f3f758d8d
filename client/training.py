"""The site's half of training: weights in, n times their change out.

A baseline of this site alone keeps its weights in the workspace and lets out only n and
loss, unless asked to share them at the end and allowed to by the policy. So do parts that
the study wants to stay local, and a network that is fine-tuned here.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from client.bench import Bench
from client.cases import Case
from client.cohorts import fold_in
from client.dataset import digest_of
from client.learners.learner import learner_of
from client.own_networks import OwnNetworks
from client.products import with_products
from client.shelf import Shelf
from client.steps import Job
from client.tables import with_columns
from client.trainer import Start, Trained, train
from common.errors import Reason, Refused
from common.privacy.noise import noise_key
from common.seeds import seed
from common.sums import Array, Sums
from common.tasks.local import Local
from common.tasks.task import prepares
from common.tasks.train import AVERAGE, BEGIN, UPDATE, WEIGHTS, Train
from common.tasks.update_norm import share_within

if TYPE_CHECKING:
    from client.spending import Spending

Weights = dict[str, Array]


def summarise(job: Job) -> Sums:
    """Return the sums of one training ask: see `common.tasks.train.train_schema`."""
    ask = job.posed.ask
    values, weights = ask.values, _named(ask.arrays, WEIGHTS)
    if ask.phase == "prepare":
        prepared: Sums = _learner(job).prepare(_usable(job))
        return prepared
    if ask.phase == "calibrate":
        return _calibrate(job, weights)
    if ask.phase == "tune":
        return _tune(job, weights)
    if values.get("share"):
        return _share(job)
    if values.get("own"):
        return _train_own(job, weights)
    local = _local_part(job)
    sums: dict[str, Array] = {}
    if values.get("train"):
        sums |= _train_common(job, weights, local)
    if values.get("validate"):
        sums |= _validate(job, (_named(ask.arrays, AVERAGE) or weights) | local)
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


def left_out(job: Job, case: Case, n_folds: int) -> int:
    """Return the fold, from 1, whose network never sees a case's patient."""
    return 1 + fold_in(job.study, case, n_folds)


def whole_cases(job: Job) -> Sequence[Case]:
    """Return the job's cases with all that earlier steps have made of them."""
    cases = with_products(job.site, job.study, job.run, job.cases)
    return with_columns(job.site, job.study, job.run, cases)


# -- training ----------------------------------------------------------------------------


def _train_common(job: Job, weights: Weights, local: Weights) -> dict[str, Array]:
    """Train the common network by one round; what stays local is kept and not returned."""
    trained = _train(job, weights | local)
    if local:
        part = {name: trained.weights[name] for name in local}
        best = int(str(job.posed.ask.values.get("best", -1)))
        _own(job).keep_local_part(_round(job), part, best=best)
    sums = _counts(job, trained)
    changes = {n: trained.weights[n].astype(np.float64) - before for n, before in weights.items()}
    largest = job.step.largest_update_norm
    factor = trained.n_cases * (1.0 if largest is None else share_within(changes, largest))
    for name, change in changes.items():
        change *= factor  # in place: a network may be large
        sums[UPDATE + name] = change
    return sums


def _train(
    job: Job,
    weights: Mapping[str, Array],
    *,
    local: Local | None = None,
    rate: float | None = None,
    only: tuple[str, ...] = (),
) -> Trained:
    values = job.posed.ask.values
    round_ = int(str(values["round"]))
    shelf = Shelf(job.site.room("runs", job.run, "kept"), job.posed.problem, round_)
    start = Start(
        weights,
        seed(int(str(values["seed"])), job.site.name, round_),
        float(str(values["learning_rate"])) if rate is None else rate,
        only,
        round=round_,
        kept=shelf.before(),
    )
    bench, cases = bench_of(job, job.step), _usable(job)
    if not cases and job.alone:
        raise Refused(Reason.NO_CASES, f"no training case for a network that {bench.purpose}")
    if not cases:  # a site without labels adds nothing, and is no loss to the others
        return Trained(dict(weights), n_cases=0, n_patients=0, loss=0.0)
    if job.step.privacy is not None:
        return _train_privately(job, bench, start, cases)
    trained = train(bench, local or job.step.local, start, cases)
    shelf.keep(trained.kept)
    return trained


def _train_privately(job: Job, bench: Bench, start: Start, cases: Sequence[Case]) -> Trained:
    from client.private_trainer import Protection, train_privately

    found = account(job)
    if found is None:
        raise Refused(Reason.NO_CASES, "no training case")
    mark, spending = found
    key = noise_key(job.site.identity(), mark.encode())
    protection = Protection(job.step.privacy.clip_norm, spending, key)
    return train_privately(bench, job.step.local, start, cases, protection)


def account(job: Job) -> "tuple[str, Spending] | None":
    """Return the mark of a private training ask, and what its round takes; None of no case.

    The mark stands for the ask, the cases and their files, and the weights of this site
    that the round starts from and the ask does not carry: the same mark, the same noise.
    Noise used twice for different gradients would cancel in their difference.
    """
    from client.spending import plan

    cases = _usable(job)
    if not cases:
        return None
    ask = [job.message.hello.study, job.posed.step, job.posed.ask.digest()]
    words = [*ask, digest_of(cases), _digest_of_weights(_kept_here(job))]
    mark = hashlib.sha256(json.dumps(words).encode()).hexdigest()
    n_patients = len({case.patient_id for case in cases})
    return mark, plan(job.step.privacy, job.step.local, n_patients, job.step.n_takes)


def _kept_here(job: Job) -> Weights:
    """Return the weights a round starts from that only this site has."""
    asks = job.posed.ask
    goes_on = asks.values.get("own") and not _named(asks.arrays, WEIGHTS)
    before = _own(job).alone(after=_round(job) - 1) if goes_on else None
    return dict(before or {}) | _local_part(job)


def _digest_of_weights(weights: Mapping[str, Array]) -> str:
    sha = hashlib.sha256()
    for name, array in sorted(weights.items()):
        sha.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def _train_own(job: Job, first: Weights) -> Sums:
    """Train this site's own network by one round, on its own disk."""
    round_, own = _round(job), _own(job)
    before = first or own.alone(after=round_ - 1)
    if before is None:
        raise Refused(Reason.NOT_MADE, f"no network of this site after round {round_ - 1}")
    if first and prepares(job.step.task) and job.step.privacy is not None:
        before |= job.step.task.declared(job.study.holdings)
    elif first and prepares(job.step.task):
        before |= job.step.task.prepared(job.study.holdings, _learner(job).prepare(_usable(job)))
    trained = _train(job, before)
    own.keep_alone(round_, trained.weights)
    return _counts(job, trained)


def _share(job: Job) -> Sums:
    weights = _own(job).alone()
    if weights is None:
        raise Refused(Reason.NOT_MADE, "this site has trained no network of its own")
    n = len(_usable(job))
    return {
        "n": np.array(n),
        **{UPDATE + name: n * w.astype(np.float64) for name, w in weights.items()},
    }


def _tune(job: Job, weights: Weights) -> Sums:
    """Let this site's own network go on from the common one; keep it here."""
    how = job.step.fine_tune
    local = job.step.local.model_copy(update={"epochs": how.epochs, "steps": how.steps})
    whole = weights | _local_part(job)
    trained = _train(job, whole, local=local, rate=how.learning_rate, only=how.only)
    _own(job).keep_tuned(trained.weights)
    return _counts(job, trained) | _validate(job, trained.weights)


# -- validation --------------------------------------------------------------------------


def _validate(job: Job, weights: Mapping[str, Array]) -> dict[str, Array]:
    learner = _learner(job)
    cases = [case for case in _cases(job, "validation") if learner.scorable(case)]
    if not cases:
        n_scores = int(str(job.posed.ask.values["n_scores"]))
        return {"n_validated": np.array(0), "score": np.zeros(n_scores)}
    scores = learner.validate(weights, cases)
    score = np.array([values.sum() for values in scores.values()])
    return {"n_validated": np.array(len(cases)), "score": score}


def _calibrate(job: Job, weights: Weights) -> Sums:
    """Return -log p of the true class at fixed temperatures, over cases not learned from."""
    learner, fold = _learner(job), _fold(job)
    if fold:
        held = [c for c in whole_cases(job) if c.split == "train" and _left_out(job, c) == fold]
    else:
        held = [*_cases(job, "validation")]
    cases = [case for case in held if learner.scorable(case)]
    if not cases:
        n = int(str(job.posed.ask.values["n_losses"]))
        return {"n": np.array(0), "losses": np.zeros(n)}
    losses = learner.calibrate(weights | _local_part(job), cases)
    return {"n": np.array(len(cases)), "losses": losses}


# -- cases and weights -------------------------------------------------------------------


def _usable(job: Job) -> Sequence[Case]:
    learner = _learner(job)
    return [case for case in _cases(job, "train") if learner.usable(case)]


def _cases(job: Job, split: str) -> Sequence[Case]:
    """Return the cases of a split; of the training cases, those outside the ask's fold."""
    fold = _fold(job) if split == "train" else 0
    return [
        c for c in whole_cases(job) if c.split == split and not (fold and _left_out(job, c) == fold)
    ]


def _left_out(job: Job, case: Case) -> int:
    return left_out(job, case, job.step.folds)


def _local_part(job: Job) -> Weights:
    """Return what never leaves, as it was before the ask's round: this site's, or the first."""
    first = _named(job.posed.ask.arrays, BEGIN)
    return (_own(job).local_part(before=_round(job)) or first) if first else {}


def _own(job: Job) -> OwnNetworks:
    return OwnNetworks(job.site, job.run, job.posed.step, _fold(job))


def _learner(job: Job) -> Any:
    return learner_of(bench_of(job, job.step))


def _round(job: Job) -> int:
    return int(str(job.posed.ask.values["round"]))


def _fold(job: Job) -> int:
    return int(str(job.posed.ask.values.get("fold", 0)))


def _counts(job: Job, trained: Trained) -> dict[str, Array]:
    n = np.array(trained.n_cases)
    if job.step.privacy is not None:
        return {"n": n}
    return {"n": n, "loss": np.array(trained.n_cases * trained.loss)}


def _named(arrays: Mapping[str, Array], prefix: str) -> Weights:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
