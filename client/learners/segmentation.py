"""Segmentation at a site: masks drawn from images, and learnt from."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.augment import Luck, draw
from client.bench import Bench
from client.cases import Case
from client.dataset import Example, load_examples
from client.descent import Descent
from client.device import arithmetic, laid_out
from client.learners.learner import Batch, Predicted, Setting
from client.predict import predict, validate
from common.networks.weights import Weights


class Learner:
    """See `client.learners.learner`; an example is an image with its mask."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def usable(self, case: Case) -> bool:
        """Tell whether a case has the mask."""
        return case.masks.get(self.bench.task.mask) is not None

    scorable = usable

    def load(self, cases: Sequence[Case], device: torch.device) -> Sequence[Example]:
        """Return images and masks as arrays."""
        return load_examples(self.bench, cases, device)

    def draw(self, example: Example, luck: Luck, device: torch.device) -> Batch:
        """Return an image (C, ...) and the class of each voxel (...), of the window."""
        return draw(example, self.bench.task, luck, device)

    def stepper(self, setting: Setting) -> "Step":
        """Return a step on the task's loss."""
        return Step(self.bench, setting)

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
        images, masks = batch
        device = self.setting.device
        with arithmetic(device, self.bench.precision):
            outputs = self.setting.network(laid_out(device, images))
        return self.descend(self.loss(outputs, masks))
