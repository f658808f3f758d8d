"""What the shared loops of training and prediction ask of a task at a site.

`client.trainer` draws batches and keeps the seeds; `client.training` and
`client.predicting` turn asks into sums. None of them knows what is learnt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.augment import Luck
from client.bench import Bench
from client.cases import Case
from client.imageio import Volume
from common.networks.weights import Array, Weights
from common.tasks.local import Local

Batch: TypeAlias = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a round of local training is given.

    Attributes:
        local: how to train; the learning rate is the one below.
        learning_rate: of this round.
        network: on the device, with the weights received, in training mode.
        device: where to compute.
        luck: where random numbers come from.
        round: from 0.
        kept: what a `Keeper` kept at this site after the round before; empty at first.
    """

    local: Local
    learning_rate: float
    network: nn.Module
    device: torch.device
    luck: Luck
    round: int = 0
    kept: Weights = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Predicted:
    """What networks find in a case; names are those of the task's `made`.

    Attributes:
        scores: a number a column, NaN where it cannot be told.
        masks: with the label values of the contract, on the grid of their image.
        images: each on a grid of its own.
        pictures: PNG files for the site's own people; no step reads them.
    """

    scores: Mapping[str, float]
    masks: Mapping[str, Volume] = field(default_factory=dict)
    images: Mapping[str, Volume] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)


class Stepper(Protocol):
    """One step of local training."""

    def __call__(self, batch: Batch) -> Tensor:
        """Change the network by one batch and return the loss before, detached."""


@runtime_checkable
class Keeper(Protocol):
    """A stepper with weights that stay at the site from round to round."""

    def kept(self) -> dict[str, Array]:
        """Return them as they are now."""


class Learner(Protocol):
    """A task at a site."""

    def usable(self, case: Case) -> bool:
        """Tell whether there is something to learn from a case."""

    def scorable(self, case: Case) -> bool:
        """Tell whether a prediction for a case can be scored."""

    def load(self, cases: Sequence[Case], device: torch.device) -> Sequence[Any]:
        """Return the cases as examples, on the device as far as memory allows.

        Raises:
            ValueError: an image or mask cannot be used; says which and why.
        """

    def draw(self, example: Any, luck: Luck, device: torch.device) -> Batch:
        """Return what a step sees of an example, randomly changed; without a batch axis."""

    def stepper(self, setting: Setting) -> Stepper:
        """Return what changes the network by one batch after the other."""

    def validate(
        self, weights: Weights, cases: Sequence[Case]
    ) -> Mapping[str, NDArray[np.float64]]:
        """Return for each of the task's `score_names` a number a case."""

    def predict(self, ensemble: Sequence[Weights], case: Case) -> Predicted:
        """Return what one network or several find in a case, scored where that is possible.

        Raises:
            ValueError: an image cannot be used, or a true mask lies on another grid.
        """


def learner_of(bench: Bench) -> Learner:
    """Return what a bench's task does at a site: `Learner` in `client/learners/<kind>.py`."""
    learner: Learner = import_module(f"client.learners.{bench.task.kind}").Learner(bench)
    return learner
