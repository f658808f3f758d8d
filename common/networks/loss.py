"""Soft Dice and cross-entropy, over one or several scales of a network's output."""

import torch
import torch.nn.functional as F  # noqa: N812  (its name everywhere)
from torch import Tensor, nn

_TINY = 1e-5


class DiceCrossEntropy(nn.Module):
    """The weighted sum of 1 - soft Dice (mean of labels) and cross-entropy.

    Coarser outputs are compared with the mask sampled down to their grid, each with
    half the weight of the one before; the weights add up to one.
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
            mask: class of every voxel, (N, ...), int64.
        """
        shares = torch.tensor([0.5**i for i in range(len(outputs))])
        total = torch.zeros((), device=mask.device)
        for output, share in zip(outputs, (shares / shares.sum()).tolist(), strict=True):
            total = total + share * self._one(output.float(), _coarser(mask, output))
        return total

    def _one(self, output: Tensor, mask: Tensor) -> Tensor:
        logs = F.log_softmax(output, dim=1)
        total = torch.zeros((), device=mask.device)
        if self.weights[1] > 0:
            total = total + self.weights[1] * self._cross_entropy(logs, mask)
        if self.weights[0] > 0:
            total = total + self.weights[0] * self._dice(logs.exp(), mask)
        return total

    def _cross_entropy(self, logs: Tensor, mask: Tensor) -> Tensor:
        hit = F.nll_loss(logs, mask)
        return (1 - self.smoothing) * hit - self.smoothing * logs.mean()

    def _dice(self, chances: Tensor, mask: Tensor) -> Tensor:
        """Return 1 - 2 sum(p t) / (sum(p) + sum(t)), mean of labels and images."""
        truth = F.one_hot(mask, chances.shape[1]).movedim(-1, 1).to(chances.dtype)
        axes = tuple(range(2, chances.ndim))
        axes = (0, *axes) if self.batch_dice else axes
        chances, truth = chances[:, 1:], truth[:, 1:]
        both = (chances * truth).sum(axes)
        sizes = chances.sum(axes) + truth.sum(axes)
        return 1 - ((2 * both + _TINY) / (sizes + _TINY)).mean()


def _coarser(mask: Tensor, output: Tensor) -> Tensor:
    """Return the mask on the grid of an output, by its nearest voxel."""
    if mask.shape[1:] == output.shape[2:]:
        return mask
    small = F.interpolate(mask[:, None].float(), size=output.shape[2:], mode="nearest-exact")
    return small[:, 0].long()
