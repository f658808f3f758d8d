"""One step of a local optimizer, which starts afresh with every round."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from client.learners.learner import Setting
from common.tasks.local import Local


class Descent:
    """Gradient steps on some of a network's parameters, by the settings of a round.

    With FedProx's pull towards the weights received, and clipped.
    """

    def __init__(self, setting: Setting, parameters: Iterable[nn.Parameter]) -> None:
        self.local = setting.local
        self.parameters = [p for p in parameters if p.requires_grad]
        self.received = [p.detach().clone() for p in self.parameters]
        self.optimizer = _optimizer(self.local, self.parameters, setting.learning_rate)

    def __call__(self, loss: Tensor) -> Tensor:
        """Change the parameters by the loss's gradient; return the loss, detached."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.local.mu > 0:
            self._pull()
        if self.local.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.local.clip_norm)
        self.optimizer.step()
        return loss.detach()

    def along(self, gradient: Sequence[Tensor]) -> None:
        """Change the parameters by a gradient made elsewhere, which is not clipped."""
        for p, g in zip(self.parameters, gradient, strict=True):
            p.grad = g
        if self.local.mu > 0:
            self._pull()
        self.optimizer.step()

    def _pull(self) -> None:
        """Add the gradient of FedProx's mu / 2 * |w - w received|**2."""
        for p, received in zip(self.parameters, self.received, strict=True):
            if p.grad is not None:
                p.grad += self.local.mu * (p.detach() - received)


def _optimizer(
    local: Local, parameters: list[nn.Parameter], learning_rate: float
) -> torch.optim.Optimizer:
    # Norms and biases are not shrunk: they only set the scale of what follows.
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    decay, m = local.weight_decay, local.momentum
    if local.optimizer == "sgd":
        return torch.optim.SGD(groups, learning_rate, m, weight_decay=decay, nesterov=m > 0)
    return torch.optim.AdamW(groups, learning_rate, (m, 0.999), weight_decay=decay)
