"""Nested cross-validation: a chain of steps, fitted again without each fold of patients.

The refit of a step without fold k is a step of its own, `<step>@k`, over the cases outside
that fold; it reads the columns and choices of the refits before it, so nothing of a
patient held out enters what predicts it: neither the harmonisation, nor a filter, nor a
selection, nor the inner folds that choose a penalty. Refits run beside the fit of
all cases and cost no round.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import Field

from common.cohort import Column, Name
from common.settings import Frozen
from common.step import HELD_OUT, Step

S = TypeVar("S", bound=Step)
AT = "@"


class Nested(Frozen):
    """Which steps are fitted again without each fold of patients."""

    folds: int = Field(5, ge=2, le=20, description="of patients, drawn by a key at the sites")
    steps: tuple[Name, ...] = Field(
        min_length=1,
        description="everything that is fitted before what is evaluated; where step `model` "
        "makes `model.probability`, `model.held_out.probability` is it for each case by the "
        "refit that had not seen its patient",
    )

    def refits(self, name: str, step: Step) -> Iterator[tuple[str, Step]]:
        """Yield the refits of a step of the study, by name."""
        if name in self.steps:
            for fold in range(self.folds):
                yield f"{name}{AT}{fold}", without_fold(step, self, fold)

    def held_out(self, name: str, step: Step) -> dict[str, Column]:
        """Return the columns put together from a step's refits."""
        made = step.produces() if name in self.steps else {}
        return {f"{name}{HELD_OUT}{c}": of for c, of in single(made).items()}


def base_of(step: str) -> str:
    """Return the step of the study file that a step or refit is."""
    return step.partition(AT)[0]


def is_refit(step: str) -> bool:
    """Tell whether a step is a refit."""
    return AT in step


def single(made: Mapping[str, Column]) -> dict[str, Column]:
    """Return the columns of a step that are of one fit, not put together over its own folds."""
    return {c: of for c, of in made.items() if "fold" not in c and not c.endswith("_oof")}


def without_fold(step: S, nested: Nested, fold: int) -> S:
    """Return a step over the cases outside a fold, reading what refits have made."""
    cases = step.cases.model_copy(update={"outside": (fold, nested.folds)})
    over = ("development",) if "development" in step.over else step.over[:1]
    refit = renamed(step, nested.steps, f"{AT}{fold}")
    return refit.model_copy(update={"cases": cases, "over": over})


def renamed(step: S, among: tuple[str, ...], mark: str) -> S:
    """Return a step that reads what the refits of these steps have made, in place of theirs.

    Args:
        step: the step.
        among: the steps that are fitted again.
        mark: what the refits' names end with.
    """
    written = re.compile(rf"^(@?)({'|'.join(map(re.escape, among))})\.")

    def of(value: Any) -> Any:
        if isinstance(value, str):
            return written.sub(rf"\1\2{mark}.", value)
        if isinstance(value, tuple):
            return tuple(of(item) for item in value)
        return {key: of(item) for key, item in value.items()} if isinstance(value, dict) else value

    settings = {name: of(getattr(step, name)) for name in type(step).model_fields}
    return step.model_copy(update=settings)


def unfit(nested: Nested, steps: Mapping[str, Any]) -> Iterator[str]:
    """Say which of the steps named cannot be fitted again, and why."""
    for name in nested.steps:
        step = steps.get(name)
        if step is None:
            yield f'unknown step "{name}"'
        elif step.needs() or not hasattr(step, "summarise"):
            yield f'"{name}" ({step.kind}) is nothing that can be fitted again'
        elif step.over == ("each",):
            yield f'"{name}" is asked of single sites only'
        elif step.cases.outside is not None:
            yield f'"{name}" leaves out a fold already'
