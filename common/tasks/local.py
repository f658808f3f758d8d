"""The part of training that happens at a site between two rounds: settings only."""

from typing import Literal

from pydantic import Field

from common.settings import Frozen


class Local(Frozen):
    """One round's work of a site. The optimizer starts afresh in every round.

    With `mu` above zero the objective has FedProx's term, mu / 2 times the squared
    distance from the weights received (Li et al., MLSys 2020).
    """

    epochs: int = Field(1, ge=1, description="passes over the training cases a round")
    steps: int | None = Field(None, ge=1, description="batches a round, instead of epochs")
    batch: int = Field(2, ge=1, description="images, patches or slices in a step")
    samples_per_case: int = Field(
        1, ge=1, description="patches or slices that an epoch draws from a case"
    )
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="sgd: with Nesterov's momentum")
    learning_rate: float = Field(3e-3, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd; the first beta of adamw")
    weight_decay: float = Field(1e-5, ge=0)
    clip_norm: float | None = Field(
        1.0, gt=0, description="largest norm of a step's gradient; nothing: no limit"
    )
    mu: float = Field(0.0, ge=0, description="FedProx; 0: plain local training")
