"""The step `train`: a network learned over sites by rounds of local training.

A round is an ask like any other: it carries the current weights, and each site's sums
are `{n, loss, update.<parameter> ...}`, where an update is n times (own weights after
local training - weights received). The coordinator's half is `server.training`, the
site's `client.training`.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

import numpy as np
from pydantic import Field, field_validator, model_validator

from common.analyses.analysis import Ask
from common.cohort import Column
from common.holdings import Holdings
from common.settings import Frozen
from common.step import Said, Step
from common.sums import Field as SumField
from common.sums import Schema, count, real, weight
from common.tasks.classification import Classification
from common.tasks.local import Local
from common.tasks.privacy import Privacy
from common.tasks.segmentation import Segmentation
from common.tasks.super_resolution import SuperResolution
from common.tasks.task import calibrates

# A task is told apart by its `kind`; see `common.tasks.task`.
Task: TypeAlias = Annotated[
    Segmentation | Classification | SuperResolution, Field(discriminator="kind")
]
Baseline: TypeAlias = Literal["local", "ensemble", "pooled"]

WEIGHTS = "weights."
AVERAGE = "average."
BEGIN = "begin."
UPDATE = "update."


class FedAvg(Frozen):
    """Weighted mean of the sites' weights (McMahan et al., AISTATS 2017).

    With `mu` above zero in `local`, the sites' objective has FedProx's proximal term
    (Li et al., MLSys 2020).
    """

    kind: Literal["fedavg"] = "fedavg"
    momentum: float = Field(0.0, ge=0, lt=1, description="server momentum (FedAvgM)")


class FedAdam(Frozen):
    """Adaptive server optimisers on the mean update (Reddi et al., ICLR 2021)."""

    kind: Literal["fedadam", "fedyogi"] = "fedadam"
    learning_rate: float = Field(0.01, gt=0)
    beta_1: float = Field(0.9, ge=0, lt=1)
    beta_2: float = Field(0.99, ge=0, lt=1)
    tau: float = Field(1e-3, gt=0, description="adaptivity: added to the root of the variance")


Aggregation: TypeAlias = Annotated[FedAvg | FedAdam, Field(discriminator="kind")]


class Schedule(Frozen):
    """The local learning rate over the rounds, as a share of `local.learning_rate`."""

    kind: Literal["constant", "cosine"] = "cosine"
    warm_up: int = Field(2, ge=0, description="rounds of linear rise")
    final: float = Field(0.02, ge=0, le=1, description="share that is left in the last round")

    def factor(self, round_: int, rounds: int) -> float:
        """Return the share in a round, 0 to rounds - 1."""
        if round_ < self.warm_up:
            return (round_ + 1) / (self.warm_up + 1)
        if self.kind == "constant":
            return 1.0
        progress = (round_ - self.warm_up) / max(1, rounds - 1 - self.warm_up)
        return self.final + (1 - self.final) * 0.5 * (1 + float(np.cos(np.pi * min(progress, 1))))


class FineTune(Frozen):
    """A last step at each site: its own network goes on from the common one.

    Nothing but counts, the loss and the validation scores leave, added over sites.
    """

    epochs: int = Field(2, ge=1, description="passes over the site's training cases")
    steps: int | None = Field(None, ge=1, description="batches, instead of epochs")
    learning_rate: float = Field(3e-4, gt=0)
    only: tuple[str, ...] = Field(
        (), description="parts that go on learning: norm, head, or a pattern; nothing: all"
    )


class Train(Step):
    """Train a network by rounds over the developing sites.

    With folds, K networks are trained in the same rounds, the k-th without the patients
    of fold k (training cases whose keyed hash says so). The patients left out never choose
    the weights: those of the split "validation" do, and without any the last are taken.

    What stays local (its normalisation layers for instance, as in FedBN: Li et al., ICLR
    2021) is never sent: each site keeps its own. Such a network is whole at developing
    sites only.

    Rounds: `rounds` + 1 (the last weights are validated, nothing is trained); 1 more for
    each of the task's preparation, its calibration, and fine-tuning.
    """

    kind: Literal["train"] = "train"
    task: Task
    rounds: int = Field(gt=0, le=10_000)
    local: Local = Local()
    schedule: Schedule = Schedule()
    aggregation: Aggregation = FedAvg()
    averaging: float = Field(
        0.0, ge=0, lt=1, description="decay of a moving average of the weights over rounds; 0: none"
    )
    validate_every: int = Field(5, ge=1, description="rounds between validations")
    select: Literal["best", "last"] = Field(
        "best", description="weights of the round with the best validation score, or the last"
    )
    folds: int = Field(
        0,
        ge=0,
        le=50,
        description="networks trained side by side, each without a part of the patients; 0: one "
        "network on all",
    )
    baselines: tuple[Baseline, ...] = Field(
        (), description="train for comparison: each site alone, their ensemble, all cases pooled"
    )

    stay_local: tuple[str, ...] = Field(
        (), description="parts that never leave a site: norm, head, or patterns of parameters"
    )
    fine_tune: FineTune | None = Field(
        None, description="at the end each site trains on alone; predict adds a variant tuned"
    )

    privacy: Privacy | None = Field(
        None, description="differential privacy for every patient that trains"
    )

    largest_update_norm: float | None = Field(
        None,
        gt=0,
        description="a site shrinks its change of a round to this Euclidean norm, over all "
        "weights, before it is sent; the coordinator checks the mean; nothing: no limit",
    )

    @field_validator("folds")
    @classmethod
    def _not_one(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("expected 0, or 2 and more, got 1")
        return folds

    @model_validator(mode="after")
    def _nothing_local_is_shared(self) -> Self:
        if self.stay_local and "ensemble" in self.baselines:
            raise ValueError(
                "baselines: ensemble sends whole networks of sites, of which stay_local keeps "
                f"{', '.join(self.stay_local)}; choose one"
            )
        return self

    @property
    def variants(self) -> tuple[str, ...]:
        """What predict applies beside the network itself."""
        return (*self.baselines, *(["tuned"] if self.fine_tune else []))

    @property
    def fold_numbers(self) -> tuple[int, ...]:
        """The folds, from 1; (0,) where one network learns from all."""
        return tuple(range(1, self.folds + 1)) or (0,)

    def images(self) -> tuple[str, ...]:
        """Return the images and masks the task reads."""
        return self.task.reads()

    def columns(self) -> tuple[str, ...]:
        """Return the columns the task reads."""
        return self.task.columns()

    def problems(self, before: Holdings, steps: Mapping[str, Step]) -> Iterator[Said]:
        """Yield what of the task does not fit the cohort."""
        del steps
        for said in self.task.problems(before):
            at, why = ((), said) if isinstance(said, str) else said
            yield ("task", *at), why
        yield from self._too_late()
        if self.privacy is not None:
            yield from self._not_private()

    def _too_late(self) -> Iterator[Said]:
        """Yield a discriminator that would begin after the last round."""
        judge = getattr(self.task, "discriminator", None)
        if judge is not None and judge.begin >= self.rounds:
            why = f"round {judge.begin} never comes: there are {self.rounds}, from 0"
            yield ("task", "discriminator", "begin"), why

    def slow_problems(self, before: Holdings) -> Iterator[Said]:
        """Yield parts that the network does not have, or that leave nothing to share."""
        tuned = self.fine_tune.only if self.fine_tune else ()
        if not self.stay_local and not tuned:
            return
        from common.networks.parts import all_local, no_such_part

        network = self.task.network_for(before)
        for at, parts in ((("stay_local",), self.stay_local), (("fine_tune", "only"), tuned)):
            for i, part in enumerate(parts):
                if why := no_such_part(network, part):
                    yield (*at, i), why
        if all_local(network, self.stay_local):
            yield (
                ("stay_local",),
                "keeps every weight, and nothing is learnt together; `baselines: [local]` "
                "trains a network at each site alone",
            )

    def _not_private(self) -> Iterator[str]:
        """Yield what would let out more of a patient than the noise hides."""
        task: Any = self.task
        if getattr(getattr(task, "network", None), "norm", "") == "batch":
            yield "privacy: a batch norm mixes patients; choose norm: instance or group"
        if getattr(task, "consistency", None) is not None:
            yield "privacy: a mean teacher is not covered by the noise; leave out consistency"
        if getattr(task, "needs_sums", False):
            yield (
                "privacy: balanced weights and moments of columns are sums without noise; "
                "choose loss.weights none or numbers, and standardise: range"
            )
        if calibrates(task):
            yield "privacy: calibrate asks about patients that train; set calibrate: false"
        if not getattr(task, "allows_privacy", True):
            yield f"privacy: the task {task.kind} has several losses, which the noise cannot cover"
        if self.fine_tune is not None:
            yield "privacy: fine_tune returns scores of networks without noise; leave it out"

    @property
    def n_takes(self) -> int:
        """Rounds of local training that one patient takes part in at most."""
        alone = bool({"local", "ensemble"} & set(self.baselines))
        return self.rounds * max(1, self.folds - 1) * (1 + alone)

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return what one site sends: see `client.training`."""
        if ask.phase == "prepare":
            task: Any = self.task  # of a kind that prepares
            prepared: Schema = task.prepare_schema(Holdings(columns=contract))
            return prepared
        if ask.phase == "calibrate":
            n = int(str(ask.values["n_losses"]))
            return {"n": count(), "losses": real(n)}
        schema = train_schema(ask)
        if self.privacy is not None:
            schema.pop("loss", None)  # it would tell of patients, and no noise is on it
        return schema


def part_of(base: str, fold: int) -> str:
    """Return the part of a training, such as "fold.2" of "development" or "pooled.fold.2"."""
    if not fold:
        return base
    return f"fold.{fold}" if base == "development" else f"{base}.fold.{fold}"


def train_schema(ask: Ask) -> dict[str, SumField]:
    """Return the sums of a training ask; shapes are those of the weights it carries."""
    shapes = {
        name.removeprefix(WEIGHTS): array.shape
        for name, array in ask.arrays.items()
        if name.startswith(WEIGHTS)
    }
    schema: dict[str, SumField] = {}
    trains, tunes = ask.values.get("train"), ask.phase == "tune"
    if trains or tunes:
        schema |= {"n": count(), "loss": real(bound=2.0**40)}
    if trains and not ask.values.get("own"):
        schema |= {UPDATE + name: weight(*shape) for name, shape in shapes.items()}
    if ask.values.get("share"):
        schema |= {"n": count()}
        schema |= {UPDATE + name: weight(*shape) for name, shape in shapes.items()}
    if ask.values.get("validate"):
        n_scores = int(str(ask.values["n_scores"]))
        schema |= {"n_validated": count(), "score": real(n_scores, behind="n_validated")}
    return schema
