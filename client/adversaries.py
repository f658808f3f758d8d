"""One step of super-resolution: the discriminator learns, then the generator."""

from dataclasses import replace

import torch
from torch import Tensor

from client.bench import Bench
from client.descent import Descent
from client.device import arithmetic, laid_out, network_on
from client.learners.learner import Batch, Setting
from common.networks.perceptual import RandomFeatures, feature_distance, judge
from common.networks.super_resolver import Adversaries, Discriminator
from common.networks.weights import Array, initial_weights, load_weights, weights_of
from common.seeds import seed
from common.tasks.super_resolution import SuperResolution


class Step:
    """A step on voxels, features and, once it has begun, the discriminator's verdict."""

    def __init__(self, bench: Bench, setting: Setting) -> None:
        self.task: SuperResolution = bench.task
        self.setting, self.precision = setting, bench.precision
        network = setting.network
        assert isinstance(network, Adversaries)  # noqa: S101  (the task's own network)
        self.generator = network.generator
        self.discriminator = network.discriminator or self._own()
        self.descend = Descent(setting, self.generator.parameters())
        self.features = RandomFeatures().to(setting.device) if self._random_features else None
        self.descend_judge = self._judges_descent()

    @property
    def _random_features(self) -> bool:
        losses = self.task.losses
        return losses.perceptual > 0 and losses.features == "random"

    def __call__(self, batch: Batch) -> Tensor:
        """Change both networks by one batch and return the generator's loss before."""
        device = self.setting.device
        coarse, interpolated, original = (laid_out(device, part) for part in batch)
        with arithmetic(device, self.precision):
            made = self.generator(coarse, interpolated)
        if self._judged:
            self._teach_judge(original, made.detach(), interpolated)
        loss = self.task.losses.pixel * (made.float() - original).abs().mean()
        with arithmetic(device, self.precision):
            loss = loss + self._likeness(made, original) + self._verdict(made, original, batch[1])
        return self.descend(loss)

    def kept(self) -> dict[str, Array]:
        """Return the discriminator, where it stays at the site."""
        network = self.setting.network
        shared = getattr(network, "discriminator", None) is not None
        if self.discriminator is None or shared:
            return {}
        return weights_of(self.discriminator)

    @property
    def _judged(self) -> bool:
        begun = self.setting.round >= self.task.discriminator.begin
        return self.discriminator is not None and begun

    def _own(self) -> Discriminator | None:
        """Return this site's discriminator as the round before left it."""
        if not self.task.losses.needs_discriminator:
            return None
        own = Discriminator(self.task.discriminator.channels)
        weights = self.setting.kept or initial_weights(own, seed("discriminator"))
        load_weights(own, weights)
        network_on(self.setting.device, own).train()
        return own

    def _judges_descent(self) -> Descent | None:
        if self.discriminator is None:
            return None
        rate = self.task.discriminator.learning_rate
        local = self.setting.local.model_copy(update={"mu": 0.0})
        setting = replace(self.setting, learning_rate=rate, local=local)
        return Descent(setting, self.discriminator.parameters())

    def _teach_judge(self, original: Tensor, made: Tensor, interpolated: Tensor) -> None:
        assert self.discriminator is not None  # noqa: S101  (`_judged` says so)
        assert self.descend_judge is not None  # noqa: S101
        self.discriminator.requires_grad_(requires_grad=True)
        with arithmetic(self.setting.device, self.precision):
            of_original, _ = self.discriminator(original, interpolated)
            of_made, _ = self.discriminator(made, interpolated)
        self.descend_judge(judge(of_original, original=True) + judge(of_made, original=False))
        # The generator's gradient passes through it, and leaves it as it is.
        self.discriminator.requires_grad_(requires_grad=False)

    def _likeness(self, made: Tensor, original: Tensor) -> Tensor | float:
        if self.features is None:
            return 0.0
        distance = feature_distance(self.features(made), self.features(original))
        return self.task.losses.perceptual * distance

    def _verdict(self, made: Tensor, original: Tensor, interpolated: Tensor) -> Tensor | float:
        """Return the part of the loss that the discriminator says."""
        losses = self.task.losses
        if not self._judged or self.discriminator is None:
            return 0.0
        verdict, features = self.discriminator(made, interpolated)
        loss = losses.adversarial * judge(verdict, original=True)
        if losses.perceptual > 0 and losses.features == "discriminator":
            with torch.no_grad():
                _, wanted = self.discriminator(original, interpolated)
            loss = loss + losses.perceptual * feature_distance(features, wanted)
        return loss
