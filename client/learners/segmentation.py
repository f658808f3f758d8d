"""Segmentation at a site: masks drawn from images, and learnt from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.augment import Luck, draw
from client.bench import Bench
from client.cases import Case
from client.dataset import Example, load_examples
from client.descent import Descent
from client.device import arithmetic, laid_out, network_on
from client.learners.learner import Batch, Predicted, Setting
from client.predict import predict, validate
from common.networks.weights import Weights, load_weights, weights_of
from common.tasks.loss import IGNORED
from common.tasks.segmentation import Consistency


class Learner:
    """See `client.learners.learner`; an example is an image with its mask."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def usable(self, case: Case) -> bool:
        """Tell whether a case has the mask; with a mean teacher an image will do."""
        if self.bench.task.consistency is not None:
            return all(name in case.images for name in self.bench.task.images)
        return case.masks.get(self.bench.task.mask) is not None

    def scorable(self, case: Case) -> bool:
        """Tell whether a reader drew the mask."""
        return case.masks.get(self.bench.scored.task.mask) is not None

    def load(self, cases: Sequence[Case], device: torch.device) -> Sequence[Example]:
        """Return images and masks as arrays; of a mask that is not there nobody knows."""
        return [_with_mask(e) for e in load_examples(self.bench, cases, device)]

    def draw(self, example: Example, luck: Luck, device: torch.device) -> Batch:
        """Return an image (C, ...) and the class of each voxel (...), of the window."""
        return draw(example, self.bench.task, luck, device)

    def stepper(self, setting: Setting) -> "Step":
        """Return a step on the task's loss."""
        if self.bench.task.consistency is None:
            return Step(self.bench, setting)
        return TaughtStep(self.bench, setting, self.bench.task.consistency)

    def validate(
        self, weights: Weights, cases: Sequence[Case]
    ) -> Mapping[str, NDArray[np.float64]]:
        """Return the Dice of every label and case."""
        return validate(self.bench, weights, cases)

    def predict(self, ensemble: Sequence[Weights], case: Case) -> Predicted:
        """Return the mask that networks find, by the mean of their probabilities."""
        found = predict(self.bench, ensemble, case)
        return Predicted(found.scores, masks={self.bench.task.mask_name: found.mask})


class Step:
    """One step on soft Dice and cross-entropy."""

    def __init__(self, bench: Bench, setting: Setting) -> None:
        self.bench, self.setting = bench, setting
        self.loss = bench.task.build_loss()
        self.descend = Descent(setting, setting.network.parameters())

    def __call__(self, batch: Batch) -> Tensor:
        """Change the network by one batch and return the loss before."""
        return self.descend(self.objective(batch))

    def objective(self, batch: Batch) -> Tensor:
        """Return the loss of a batch: the mean over its images."""
        images, masks = batch
        loss: Tensor = self.loss(self.outputs(self.setting.network, images), masks)
        return loss

    def outputs(self, network: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
        """Return what a network makes of images, the finest output first."""
        device = self.setting.device
        with arithmetic(device, self.bench.precision):
            found: tuple[Tensor, ...] = network(laid_out(device, images))
        return found


class TaughtStep(Step):
    """A step that also pulls the network towards its mean teacher."""

    def __init__(self, bench: Bench, setting: Setting, how: Consistency) -> None:
        super().__init__(bench, setting)
        self.how = how
        teacher = load_weights(bench.network(), weights_of(setting.network))
        self.teacher = network_on(setting.device, teacher).eval()

    def __call__(self, batch: Batch) -> Tensor:
        """Change network and teacher by one batch and return the loss before."""
        images, masks = batch
        outputs = self.outputs(self.setting.network, images)
        with torch.no_grad():
            noise = torch.empty_like(images).normal_(generator=self.setting.luck.voxels)
            taught = self.outputs(self.teacher, images + self.how.noise * noise)[0]
        apart = outputs[0].float().softmax(1) - taught.float().softmax(1)
        consistency = self.how.weight * apart.square().mean()
        loss = self.descend(self.loss(outputs, masks) + consistency)
        self._follow()
        return loss

    @torch.no_grad()
    def _follow(self) -> None:
        students = self.setting.network.parameters()
        for old, new in zip(self.teacher.parameters(), students, strict=True):
            old.lerp_(new, 1 - self.how.decay)


def _with_mask(example: Example) -> Example:
    if example.mask.ndim and len(example.mask):
        return example
    shape = tuple(example.image.shape[1:])
    return replace(example, mask=np.full(shape, IGNORED, np.uint8))
