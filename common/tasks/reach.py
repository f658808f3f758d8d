"""Whether what a step makes can be there for a training case: told by the study file alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from common.named import names_in
from common.salvage import Path
from common.step import Step

_ALL = "[train, validation, test]"


def never_trained(task: Any, steps: Mapping[str, Step]) -> Iterator[tuple[Path, str]]:
    """Yield images and masks of a task that no training case will have, with their field.

    Args:
        task: of a `train` step.
        steps: those before it, by name.
    """
    learnt_from = set(task.reads()) - {getattr(task, "apply_to", None)}
    for named in names_in(task):
        if named.name in learnt_from and (maker := _not_for_training(named.name, steps)):
            splits = " and ".join(steps[maker].cases.split)
            yield (
                named.at,
                f'no training case would have it: step "{maker}" looks at cases of split {splits} '
                f"only; give that step `cases: {{split: {_ALL}}}`",
            )


def _not_for_training(name: str, steps: Mapping[str, Step]) -> str:
    """Return the step, of those that a product comes from, that sees no training case; or ""."""
    maker, dot, _ = name.partition(".")
    if not dot or maker not in steps:
        return ""
    if "train" not in steps[maker].cases.split:
        return maker
    found = (_not_for_training(one, steps) for one in _made_from(name, steps[maker], steps))
    return next(filter(None, found), "")


def _made_from(name: str, maker: Any, steps: Mapping[str, Step]) -> tuple[str, ...]:
    """Return the images and masks without which a step cannot make a product."""
    network: Any = steps.get(getattr(maker, "network", ""))
    task = getattr(network, "task", None)
    if task is not None:  # true masks are only for scores
        one = getattr(task, "apply_to", "") or getattr(task, "image", "")
        return (one,) if one else tuple(task.images)
    last = name.rpartition(".")[2]
    cut_from = getattr(maker, "mask", "")
    return tuple(n for n in maker.images() if n == cut_from or n.rpartition(".")[2] == last)
