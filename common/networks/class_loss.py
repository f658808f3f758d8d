"""Cross-entropy of a case's class, with weights of the classes and smoothed labels."""

import torch.nn.functional as F  # noqa: N812  (its name everywhere)
from torch import Tensor


def class_cross_entropy(
    logits: Tensor, classes: Tensor, *, weights: Tensor, smoothing: float
) -> Tensor:
    """Return the mean over cases of w(true class) times the cross-entropy.

    Divided by the number of cases, not by the sum of their weights, so that the loss of a
    case does not depend on which others stand in its batch.

    Args:
        logits: a number a class, (N, classes).
        classes: of each case, (N,), int64.
        weights: of the classes, (classes,).
        smoothing: share of the label that all classes have alike.
    """
    each = F.cross_entropy(logits, classes, reduction="none", label_smoothing=smoothing)
    return (each * weights[classes]).mean()
