"""One round's local work: weights in, trained weights out.

Nothing is kept between two calls: the same arguments come to the same bits on a CPU,
in whatever process and beside whatever other work, as long as `threads` is the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from client.augment import Luck, draw
from client.bench import Bench
from client.cases import Case
from client.dataset import load_examples
from client.device import arithmetic, laid_out, network_on, steady
from common.networks.residual_unet import Dropout
from common.networks.weights import Array, Weights, network_of, weights_of
from common.seeds import numpy_rng, torch_rng
from common.tasks.local import Local

OnStep = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Start:
    """What differs from one round to the next.

    Attributes:
        weights: that the site received.
        seed: draws order, parts and changes; another for each site and round.
        learning_rate: of this round.
    """

    weights: Weights
    seed: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Trained:
    """What a site's local training came to.

    Attributes:
        weights: as received, changed by training.
        n_cases: cases it learned from: those with a mask.
        n_patients: their distinct patients.
        loss: mean over the steps.
    """

    weights: dict[str, Array]
    n_cases: int
    n_patients: int
    loss: float


def train(
    bench: Bench,
    local: Local,
    start: Start,
    cases: Sequence[Case],
    on_step: OnStep | None = None,
) -> Trained:
    """Return what one round of local training makes of the weights received.

    Args:
        bench: the task and the machine.
        local: how to train; the learning rate is that of `start`.
        start: what differs from round to round.
        cases: of the training split; those without a mask are passed over.
        on_step: told the number of steps done and of all steps.

    Raises:
        ValueError: no case has a mask, or an image cannot be used.
        FloatingPointError: the loss is no longer finite.
    """
    usable = [case for case in cases if case.masks.get(bench.task.mask) is not None]
    if not usable:
        raise ValueError(f'expected cases with a mask "{bench.task.mask}", got none')
    with steady(bench) as device:
        network = network_of(bench.task, len(bench.labels), start.weights)
        network_on(device, network).train()
        examples = load_examples(bench, usable, device)
        luck = _luck(network, start.seed, device)
        batches = list(_batches(local, len(usable), luck.rng))
        losses = []
        step = _Step(bench, local, start, network, device)
        for i, batch in enumerate(batches, start=1):
            drawn = [draw(examples[k], bench.task, luck, device) for k in batch]
            losses.append(step(*_stacked(drawn)))
            if on_step is not None:
                on_step(i, len(batches))
        loss = float(torch.stack(losses).mean())
    if not isfinite(loss):
        raise FloatingPointError(f"the loss is {loss} after {len(batches)} steps")
    n_patients = len({case.patient_id for case in usable})
    return Trained(weights_of(network), len(usable), n_patients, loss)


class _Step:
    """One step of the optimizer, which starts afresh with every round."""

    def __init__(
        self,
        bench: Bench,
        local: Local,
        start: Start,
        network: nn.Module,
        device: torch.device,
    ) -> None:
        self.bench, self.local, self.device = bench, local, device
        self.network, self.loss = network, bench.task.build_loss()
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.received = [p.detach().clone() for p in self.parameters]
        self.optimizer = _optimizer(local, self.parameters, start.learning_rate)

    def __call__(self, images: Tensor, masks: Tensor) -> Tensor:
        """Change the network by one batch and return the loss before."""
        self.optimizer.zero_grad(set_to_none=True)
        with arithmetic(self.device, self.bench.precision):
            outputs = self.network(laid_out(self.device, images))
        loss: Tensor = self.loss(outputs, masks)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.local.mu > 0:
            self._pull()
        if self.local.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.local.clip_norm)
        self.optimizer.step()
        return loss.detach()

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


def _luck(network: nn.Module, seed: int, device: torch.device) -> Luck:
    """Return where random numbers come from; dropout draws from there too."""
    voxels = torch_rng("voxels", seed, device=str(device))
    for module in network.modules():
        if isinstance(module, Dropout):
            module.generator = voxels
    return Luck(numpy_rng("shapes", seed), voxels)


def _batches(local: Local, n_cases: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield the cases of each step; every epoch sees every case alike."""
    n_epoch = n_cases * local.samples_per_case
    n_steps = local.steps or local.epochs * ceil(n_epoch / local.batch)
    left: list[int] = []
    for _ in range(n_steps):
        if not left:
            left = np.repeat(np.arange(n_cases), local.samples_per_case).tolist()
            rng.shuffle(left)
        batch, left = left[: local.batch], left[local.batch :]
        yield batch


def _stacked(drawn: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, masks = zip(*drawn, strict=True)
    return torch.stack(images), torch.stack(masks)
