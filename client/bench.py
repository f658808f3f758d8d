"""What all computing with a network shares at one site."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.cohort import Mask
from common.tasks.segmentation import Segmentation

_MOST_LABELS = 255  # classes are kept in a byte

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Bench:
    """A task, and what this site does it with.

    Attributes:
        task: what is learnt.
        mask: the contract's declaration of the task's mask: labels, and on which image.
        cache: folder for preprocessed arrays; may be emptied at any time.
        device: "cpu", "cuda:0", ..., or "auto": the first GPU if there is one.
        threads: of one operation on a CPU. Fix it: the last bits depend on it.
        precision: of convolutions; "auto": bfloat16 where the device computes in it,
            about twice as fast; sums, norms and losses stay in float32.
        memory_mb: how much of the cohort may be held in memory (of the GPU where there
            is one); the rest is read again when it is needed.
    """

    task: Segmentation
    mask: Mask
    cache: Path
    device: str = "auto"
    threads: int = 1
    precision: Precision = "auto"
    memory_mb: int = 2048

    def __post_init__(self) -> None:
        if len(self.mask.labels) > _MOST_LABELS:
            n = len(self.mask.labels)
            raise ValueError(f"expected at most {_MOST_LABELS} labels, got {n}")

    @property
    def labels(self) -> dict[str, int]:
        """Class of each label, from 1, in the order of the contract."""
        return {label: i for i, label in enumerate(self.mask.labels, start=1)}
