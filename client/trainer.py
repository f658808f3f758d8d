"""One round's local work: weights in, trained weights out.

Nothing is kept between two calls: the same arguments come to the same bits on a CPU,
in whatever process and beside whatever other work, as long as `threads` is the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, isfinite

import numpy as np
import torch
from torch import nn

from client.augment import Luck
from client.bench import Bench
from client.cases import Case
from client.device import network_on, steady
from client.learners.learner import Batch, Keeper, Setting, learner_of
from common.networks.parts import names_of
from common.networks.residual_unet import Dropout
from common.networks.weights import Array, Weights, load_weights, weights_of
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
        only: parts that learn, as `common.networks.parts` names them; nothing: all.
        round: from 0.
        kept: weights that stayed at this site after the round before.
    """

    weights: Weights
    seed: int
    learning_rate: float
    only: tuple[str, ...] = ()
    round: int = 0
    kept: Weights = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a site's local training came to.

    Attributes:
        weights: as received, changed by training.
        n_cases: cases it learned from.
        n_patients: their distinct patients.
        loss: mean over the steps.
        kept: weights that stay at this site until the next round.
    """

    weights: dict[str, Array]
    n_cases: int
    n_patients: int
    loss: float
    kept: dict[str, Array] = field(default_factory=dict)


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
        cases: of the training split; those nothing can be learnt from are passed over.
        on_step: told the number of steps done and of all steps.

    Raises:
        ValueError: nothing to learn from, or an image cannot be used.
        FloatingPointError: the loss is no longer finite.
    """
    learner = learner_of(bench)
    usable = [case for case in cases if learner.usable(case)]
    if not usable:
        raise ValueError(f"expected cases for a network that {bench.purpose}, got none")
    with steady(bench) as device:
        network = load_weights(bench.network(), start.weights)
        network_on(device, network).train()
        hold(network, start.only)
        examples = learner.load(usable, device)
        luck = make_luck(network, start.seed, device)
        batches = list(_batches(local, len(usable), luck.rng))
        step = learner.stepper(
            Setting(local, start.learning_rate, network, device, luck, start.round, kept=start.kept)
        )
        losses = []
        for i, batch in enumerate(batches, start=1):
            drawn = [learner.draw(examples[k], luck, device) for k in batch]
            losses.append(step(stacked(drawn)))
            if on_step is not None:
                on_step(i, len(batches))
        loss = float(torch.stack(losses).mean())
    if not isfinite(loss):
        raise FloatingPointError(f"the loss is {loss} after {len(batches)} steps")
    n_patients = len({case.patient_id for case in usable})
    kept = step.kept() if isinstance(step, Keeper) else {}
    return Trained(weights_of(network), len(usable), n_patients, loss, kept)


def hold(network: nn.Module, only: tuple[str, ...]) -> None:
    """Keep every parameter as it is but those of the parts that learn."""
    learn = names_of(network, only) if only else None
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(learn is None or name in learn)


def make_luck(network: nn.Module, seed: int, device: torch.device) -> Luck:
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


def stacked(drawn: Sequence[Batch]) -> Batch:
    """Return a batch of what was drawn one by one."""
    return tuple(torch.stack(parts) for parts in zip(*drawn, strict=True))
