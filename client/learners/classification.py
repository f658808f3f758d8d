"""Classification at a site: what a case is, told from images and columns, and learnt."""

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.augment import Luck, draw
from client.bench import Bench
from client.cases import Case
from client.classify import (
    chances,
    labels_of,
    log_chances,
    logits_of,
    negative_log_likelihood,
    saliency,
)
from client.descent import Descent
from client.device import arithmetic, laid_out
from client.learners.learner import Batch, Predicted, Setting
from client.saliency_picture import picture_of
from client.sights import Sight, load_sights
from common.networks.class_loss import class_cross_entropy
from common.networks.weights import Weights
from common.sums import Sums
from common.tasks.classification import Classification, probability_name
from common.tasks.temperature import TEMPERATURES

_MOST_LOGIT = 30.0


class Learner:
    """See `client.learners.learner`; an example is a window, columns and a class."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.task: Classification = bench.task
        self.classes = self.task.classes(bench.known)

    def usable(self, case: Case) -> bool:
        """Tell whether a case has the outcome, the images and the region."""
        return self.scorable(case) and self._complete(case)

    def scorable(self, case: Case) -> bool:
        """Tell whether a case has the outcome."""
        return labels_of(self.bench, [case])[0] >= 0 and self._complete(case)

    def _complete(self, case: Case) -> bool:
        region = self.task.mask
        here = all(name in case.images for name in self.task.images)
        return here and (region is None or case.masks.get(region.name) is not None)

    def load(self, cases: Sequence[Case], device: torch.device) -> Sequence[Sight]:
        """Return windows, columns and classes."""
        return load_sights(self.bench, cases, device)

    def draw(self, example: Sight, luck: Luck, device: torch.device) -> Batch:
        """Return a window (C, ...), randomly changed, the columns (q,) and the class."""
        image, region = draw(example.seen, self.task, luck, device)
        if self.task.mask is not None and self.task.mask.use != "crop":
            image = torch.cat([image, (region > 0)[None].to(image.dtype)])
        return image, example.columns, torch.tensor(example.label, device=device)

    def stepper(self, setting: Setting) -> "Step":
        """Return a step on the weighted cross-entropy."""
        return Step(self.bench, setting)

    def prepare(self, cases: Sequence[Case]) -> Sums:
        """Return counts of the classes and moments of the columns: see `prepare_schema`."""
        labels = np.array(labels_of(self.bench, cases), np.int64)
        counts = np.bincount(labels, minlength=len(self.classes))
        sums: dict[str, NDArray[np.generic]] = {"n": np.array(len(cases)), "classes": counts}
        encoding = self.task.encoding(self.bench.known)
        if encoding.size:
            sums |= encoding.sums(np.stack([encoding.row(case.values) for case in cases]))
        return sums

    def calibrate(self, weights: Weights, cases: Sequence[Case]) -> NDArray[np.float64]:
        """Return the sum of -log p(true class) at each of `TEMPERATURES`."""
        return negative_log_likelihood(self.bench, weights, cases, TEMPERATURES)

    def validate(
        self, weights: Weights, cases: Sequence[Case]
    ) -> Mapping[str, NDArray[np.float64]]:
        """Return the logarithm of the probability that each case's true class was given."""
        found = zip(
            logits_of(self.bench, weights, cases), labels_of(self.bench, cases), strict=True
        )
        return {"log_likelihood": np.array([log_chances(one)[label] for one, label in found])}

    def predict(self, ensemble: Sequence[Weights], case: Case) -> Predicted:
        """Return probabilities, the likeliest class, and a map where one is wanted."""
        if not self._complete(case):
            raise ValueError(f"expected {' and '.join(self.task.reads())}, which the case lacks")
        p = chances(self.bench, ensemble, case)
        scores = {probability_name(c): float(x) for c, x in zip(self.classes, p, strict=True)}
        if len(p) == 2:
            scores["logit"] = _logit(p)
        scores["predicted"] = float(p.argmax())
        (label,) = labels_of(self.bench, [case])
        scores["log_likelihood"] = nan if label < 0 else _log(p[label])
        if not self.task.saliency:
            return Predicted(scores)
        seen = saliency(self.bench, ensemble, case)
        picture = picture_of(self.bench, case, seen)
        return Predicted(scores, images={"saliency": seen}, pictures={"saliency": picture})


class Step:
    """One step on the cross-entropy of the classes."""

    def __init__(self, bench: Bench, setting: Setting) -> None:
        self.bench, self.setting = bench, setting
        self.loss = bench.task.loss
        self.descend = Descent(setting, setting.network.parameters())

    def __call__(self, batch: Batch) -> Tensor:
        """Change the network by one batch and return the loss before."""
        return self.descend(self.objective(batch))

    def objective(self, batch: Batch) -> Tensor:
        """Return the loss of a batch."""
        images, columns, labels = batch
        device, network = self.setting.device, self.setting.network
        with arithmetic(device, self.bench.precision):
            logits = network(laid_out(device, images), columns)
        weights = network.class_weights
        if not isinstance(weights, Tensor):
            raise TypeError("expected the weights of the classes among the network's buffers")
        smoothing = self.loss.smoothing
        return class_cross_entropy(logits.float(), labels, weights=weights, smoothing=smoothing)


def _logit(p: NDArray[np.float64]) -> float:
    return float(np.clip(_log(p[1]) - _log(p[0]), -_MOST_LOGIT, _MOST_LOGIT))


def _log(p: float) -> float:
    return float(np.log(max(p, np.exp(-_MOST_LOGIT))))
