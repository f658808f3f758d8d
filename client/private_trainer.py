"""One round of local training under differential privacy: weights in, noisy weights out.

A step takes every patient of the site with the same chance (Poisson sampling). What is
drawn of a patient makes one gradient, by a backward pass of its own: so the unit is the
patient whatever the network, where hooks for single samples would protect single images.
Gradients are clipped, added, and normal noise is put on the sum (Abadi et al., CCS 2016).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from client.bench import Bench
from client.cases import Case
from client.device import network_on, steady
from client.learners.learner import Learner, Setting, learner_of
from client.spending import Spending
from client.trainer import Start, Trained, hold, make_luck, stacked
from common.networks.weights import load_weights, weights_of
from common.privacy.noise import Noise
from common.tasks.local import Local


@dataclass(frozen=True, slots=True)
class Protection:
    """What protects the patients of one round.

    Attributes:
        clip_norm: largest norm of a patient's gradient.
        spending: noise, chance of taking part, and steps.
        key: known to this site alone: draws who takes part, and the noise.
    """

    clip_norm: float
    spending: Spending
    key: bytes


def train_privately(
    bench: Bench,
    local: Local,
    start: Start,
    cases: Sequence[Case],
    protection: Protection,
) -> Trained:
    """Return what one private round makes of the weights received; its loss is not told.

    Args:
        bench: the task and the machine.
        local: how to train.
        start: what differs from round to round; its seed draws parts and changes.
        cases: that can be learnt from.
        protection: clipping, noise and the key it is drawn with.

    Raises:
        ValueError: the network or the task does not allow it, or an image cannot be used.
    """
    learner = learner_of(bench)
    with steady(bench) as device:
        network = load_weights(bench.network(), start.weights)
        refuse_mixing(network)
        network_on(device, network).train()
        hold(network, start.only)
        examples = learner.load(cases, device)
        luck = make_luck(network, start.seed, device)
        setting = Setting(local, start.learning_rate, network, device, luck)
        step = _PrivateStep(learner, setting, protection)
        patients = _by_patient(cases, examples)
        for _ in range(protection.spending.steps):
            step(patients)
    return Trained(weights_of(network), len(cases), len(patients), float("nan"))


def refuse_mixing(network: nn.Module) -> None:
    """Refuse a network in which the images of a batch see each other.

    Raises:
        ValueError: it has a batch norm, whose statistics no noise protects.
    """
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    mixing = [name for name, module in network.named_modules() if isinstance(module, kinds)]
    if mixing:
        raise ValueError(f"privacy: {mixing[0]} is a batch norm; choose instance or group")


def _by_patient(cases: Sequence[Case], examples: Sequence[Any]) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for case, example in zip(cases, examples, strict=True):
        found.setdefault(case.patient_id, []).append(example)
    return found


class _PrivateStep:
    """One step on the noisy sum of clipped gradients."""

    def __init__(self, learner: Learner, setting: Setting, protection: Protection) -> None:
        self.learner, self.setting = learner, setting
        self.spending, self.clip_norm = protection.spending, protection.clip_norm
        self.noise = Noise(protection.key)
        step: Any = learner.stepper(setting)
        if not hasattr(step, "objective"):
            raise ValueError("privacy: this task has more than one loss and does not allow it")
        self.objective, self.descend = step.objective, step.descend

    def __call__(self, patients: Mapping[str, list[Any]]) -> None:
        """Change the network by one step."""
        total = [torch.zeros_like(p) for p in self.descend.parameters]
        taken = self.noise.uniform(len(patients)) < self.spending.rate
        for examples, take in zip(patients.values(), taken.tolist(), strict=True):
            if take:
                self._add(total, examples)
        expected = max(1.0, self.spending.rate * len(patients))
        scale = self.spending.noise * self.clip_norm
        self.descend.along([(t + scale * self._like(t)) / expected for t in total])

    def _add(self, total: list[Tensor], examples: Sequence[Any]) -> None:
        """Add one patient's clipped gradient."""
        setting = self.setting
        drawn = [
            self.learner.draw(examples[i % len(examples)], setting.luck, setting.device)
            for i in range(max(setting.local.samples_per_case, len(examples)))
        ]
        loss = self.objective(stacked(drawn))
        found = torch.autograd.grad(loss, self.descend.parameters, allow_unused=True)
        gradient = [
            torch.zeros_like(t) if g is None else g for t, g in zip(total, found, strict=True)
        ]
        norm = torch.sqrt(torch.stack([g.square().sum() for g in gradient]).sum())
        share = (self.clip_norm / (norm + 1e-6)).clamp(max=1.0)
        for t, g in zip(total, gradient, strict=True):
            t += share * g

    def _like(self, tensor: Tensor) -> Tensor:
        drawn = self.noise.normal(tensor.numel()).reshape(tuple(tensor.shape))
        return torch.from_numpy(drawn).to(tensor.device, tensor.dtype)
