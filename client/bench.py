"""What all computing with a network shares at one site."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.cohort import Mask
from common.holdings import Holdings

if TYPE_CHECKING:
    from torch import nn

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Bench:
    """A task, and what this site does it with.

    Attributes:
        task: what is learnt.
        known: what cases have before the step: the contract, and products of steps.
        cache: folder for preprocessed arrays; may be emptied at any time.
        device: "cpu", "cuda:0", ..., or "auto": the first GPU if there is one.
        threads: of one operation on a CPU. Fix it: the last bits depend on it.
        precision: of convolutions; "auto": bfloat16 where the device computes in it,
            about twice as fast; sums, norms and losses stay in float32.
        memory_mb: how much of the cohort may be held in memory (of the GPU where there
            is one); the rest is read again when it is needed.
        combine: what several networks say together: their mean, or their majority.
    """

    task: Any
    known: Holdings
    cache: Path
    device: str = "auto"
    threads: int = 1
    precision: Precision = "auto"
    memory_mb: int = 2048
    combine: Literal["mean", "vote"] = "mean"

    def network(self) -> "nn.Module":
        """Return the task's network; its weights are still to be set."""
        network: nn.Module = self.task.network_for(self.known)
        return network

    @property
    def purpose(self) -> str:
        """What the network does, in words."""
        return str(self.task.purpose(self.known))

    @property
    def mask(self) -> Mask:
        """The declaration of a segmentation's mask: labels, and on which image."""
        return self.known.masks[self.task.mask]

    @property
    def scored(self) -> "Bench":
        """The bench with the mask that a reader drew, where the task learns from another."""
        truth = self.mask.truth
        if truth is None:
            return self
        return replace(self, task=self.task.model_copy(update={"mask": truth}))

    @property
    def labels(self) -> dict[str, int]:
        """Class of each label, from 1, in the order of the contract."""
        return {label: i for i, label in enumerate(self.mask.labels, start=1)}
