"""What a step with noise still lets out without any, in words: for hospitals and reports."""

from typing import Any

from common.tasks.task import prepares
from common.tasks.train import Train


def not_covered(step: Any) -> str:
    """Return what of a step that has `privacy` or `noise` is let out without noise."""
    if not isinstance(step, Train):
        return "that this site takes part, and what a refusal would tell"
    found = ["the number of training cases"]
    if prepares(step.task):
        found.append(
            "the sums before the first round (class counts, mean and deviation of columns)"
        )
    found.append("counts and scores of the patients of the split validation, who never train")
    return "; ".join(found)
