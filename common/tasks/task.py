"""What a network learns, whatever it is: the part of a task that is settings.

A task is one file here and one in `client/learners/`, which does at a site what the
settings say. Nothing else knows what kinds of task there are.
"""

from typing import TYPE_CHECKING, Protocol

from common.holdings import Holdings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from common.step import Said


class Task(Protocol):
    """What a network reads, is and is scored by.

    `known` is what cases have before the step: of the cohort and made by earlier steps.
    """

    @property
    def kind(self) -> str:
        """The name of the kind in study files."""

    def reads(self) -> tuple[str, ...]:
        """Return the images and masks it reads."""

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""

    def purpose(self, known: Holdings) -> str:
        """Return what the network does, as in "a network that finds core in t1"."""

    def problems(self, known: Holdings) -> "Iterator[Said]":
        """Yield what does not fit the cohort, in words; every name is known."""

    def score_names(self, known: Holdings) -> tuple[str, ...]:
        """Return what validation tells of a case: numbers, the higher the better."""

    def made(self, known: Holdings) -> Holdings:
        """Return what a prediction adds to a case: scores, and masks or images."""

    def network_for(self, known: Holdings) -> "nn.Module":
        """Return the network; its weights are still to be set."""


def prepares(task: object) -> bool:
    """Tell whether a task may want sums over its training cases before the first round.

    It has then `prepare_schema(known) -> Schema`, `prepared(known, total) -> weights`, its
    learner `prepare(cases) -> Sums`; and for a training that protects patients by noise,
    which such sums would not have, `declared(known) -> weights` and `needs_sums`, which
    tells whether it cannot do without.
    """
    return hasattr(task, "prepared")


def calibrates(task: object) -> bool:
    """Tell whether a task fits a temperature after the last round.

    Its network has then a buffer `temperature`, and its learner
    `calibrate(weights, cases)`: see `common.tasks.temperature`.
    """
    return bool(getattr(task, "calibrate", False))
