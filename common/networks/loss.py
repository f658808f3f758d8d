"""Soft Dice and cross-entropy, over one or several scales of a network's output."""

import torch
import torch.nn.functional as F  # noqa: N812  (its name everywhere)
from torch import Tensor, nn

from common.tasks.loss import IGNORED

_TINY = 1e-5


class DiceCrossEntropy(nn.Module):
    """The weighted sum of 1 - soft Dice (mean of labels) and cross-entropy.

    Coarser outputs are compared with the mask sampled down to their grid, each with
    half the weight of the one before; the weights add up to one. Voxels of the class
    `IGNORED` count for nothing, in neither part; an image of nothing else has no loss.
    """

    def __init__(
        self, *, dice: float, cross_entropy: float, batch_dice: bool, smoothing: float
    ) -> None:
        super().__init__()
        self.weights = (dice, cross_entropy)
        self.batch_dice = batch_dice
        self.smoothing = smoothing

    def forward(self, outputs: tuple[Tensor, ...], mask: Tensor) -> Tensor:
        """Return the loss.

        Args:
            outputs: numbers a class, (N, classes, ...), the finest first.
            mask: class of every voxel, (N, ...), int64; `IGNORED` where nobody knows.
        """
        shares = torch.tensor([0.5**i for i in range(len(outputs))])
        total = torch.zeros((), device=mask.device)
        for output, share in zip(outputs, (shares / shares.sum()).tolist(), strict=True):
            total = total + share * self._one(output.float(), _coarser(mask, output))
        return total

    def _one(self, output: Tensor, mask: Tensor) -> Tensor:
        logs, known = F.log_softmax(output, dim=1), mask != IGNORED
        truth = mask.where(known, 0)
        total = torch.zeros((), device=mask.device)
        if self.weights[1] > 0:
            total = total + self.weights[1] * self._cross_entropy(logs, truth, known)
        if self.weights[0] > 0:
            total = total + self.weights[0] * self._dice(logs.exp(), truth, known)
        return total

    def _cross_entropy(self, logs: Tensor, truth: Tensor, known: Tensor) -> Tensor:
        miss = F.nll_loss(logs, truth, reduction="none")
        each = (1 - self.smoothing) * miss - self.smoothing * logs.mean(dim=1)
        return (each * known).sum() / known.sum().clamp_min(1)

    def _dice(self, chances: Tensor, truth: Tensor, known: Tensor) -> Tensor:
        """Return 1 - 2 sum(p t) / (sum(p) + sum(t)), mean of labels and images."""
        hot = F.one_hot(truth, chances.shape[1]).movedim(-1, 1).to(chances.dtype)
        chances, hot = (x[:, 1:] * known[:, None] for x in (chances, hot))
        axes = tuple(range(2, chances.ndim))
        axes = (0, *axes) if self.batch_dice else axes
        both = (chances * hot).sum(axes)
        sizes = chances.sum(axes) + hot.sum(axes)
        # Where nothing is known both are 0 and the share is 1: no loss, and no gradient.
        return 1 - ((2 * both + _TINY) / (sizes + _TINY)).mean()


def _coarser(mask: Tensor, output: Tensor) -> Tensor:
    """Return the mask on the grid of an output, by its nearest voxel."""
    if mask.shape[1:] == output.shape[2:]:
        return mask
    small = F.interpolate(mask[:, None].float(), size=output.shape[2:], mode="nearest-exact")
    return small[:, 0].long()
