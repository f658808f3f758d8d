"""Super-resolution at a site: finer images learnt from pairs, and made."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from client.adversaries import Step
from client.augment import Luck
from client.bench import Bench
from client.cases import Case
from client.dataset import as_tensor
from client.finer import Refined, refine, scan_of, volume_of
from client.learners.learner import Batch, Predicted, Setting
from client.pairs import Pair, load_pair
from client.panel import panel
from common.networks.weights import Weights
from common.tasks.super_resolution import SuperResolution

_AXES = "zyx"


class Learner:
    """See `client.learners.learner`; an example is a pair of a coarse and a fine image."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.task: SuperResolution = bench.task

    def usable(self, case: Case) -> bool:
        """Tell whether a case has the image of high resolution."""
        return self.task.image in case.images

    scorable = usable

    def load(self, cases: Sequence[Case], device: torch.device) -> Sequence[Pair]:
        """Return pairs, on the device as far as memory allows."""
        left = self.bench.memory_mb * 2**20
        pairs = []
        for case in cases:
            pair = load_pair(self.bench, case)
            arrays = (pair.coarse, pair.interpolated, pair.original)
            left -= sum(array.nbytes for array in arrays)
            pairs.append(Pair(*(as_tensor(a, device) for a in arrays)) if left >= 0 else pair)
        return pairs

    def draw(self, example: Pair, luck: Luck, device: torch.device) -> Batch:
        """Return the same part of the coarse, interpolated and original image, (1, ...)."""
        first, size = [], []
        for n, most, factor in zip(
            example.coarse.shape, self.task.patch, self.task.finer, strict=True
        ):
            size.append(most // factor)
            first.append(int(luck.rng.integers(0, max(0, n - most // factor) + 1)))
        mirrored = luck.rng.random(3) < 0.5
        flips = [i + 1 for i, axis in enumerate(_AXES) if mirrored[i] and axis in self.task.flip]
        parts = []
        for array, by in (
            (example.coarse, (1, 1, 1)),
            (example.interpolated, self.task.finer),
            (example.original, self.task.finer),
        ):
            box = tuple(slice(a * f, (a + n) * f) for a, n, f in zip(first, size, by, strict=True))
            wanted = [n * f for n, f in zip(size, by, strict=True)]
            part = _filled(as_tensor(array[box], device), wanted)
            parts.append(part[None].flip(flips) if flips else part[None])
        return tuple(parts)

    def stepper(self, setting: Setting) -> Step:
        """Return a step of generator and discriminator."""
        return Step(self.bench, setting)

    def validate(
        self, weights: Weights, cases: Sequence[Case]
    ) -> Mapping[str, NDArray[np.float64]]:
        """Return the PSNR of every case, against what it was simulated from."""
        found = [self._refined([weights], case, simulated=True).scores for case in cases]
        names = self.task.score_names(self.bench.known)
        return {name: np.array([scores[name] for scores in found]) for name in names}

    def predict(self, ensemble: Sequence[Weights], case: Case) -> Predicted:
        """Return the finer image, the interpolations that are wanted, and a panel."""
        refined = self._refined(ensemble, case, simulated=False)
        names = ("fine", *self.task.also)
        images = {name: volume_of(refined, name) for name in names}
        pictures = {"panel": panel(refined)} if self.task.panels else {}
        return Predicted(refined.scores, images=images, pictures=pictures)

    def _refined(self, ensemble: Sequence[Weights], case: Case, *, simulated: bool) -> Refined:
        return refine(self.bench, ensemble, scan_of(self.task, case, simulated=simulated))


def _filled(part: torch.Tensor, wanted: Sequence[int]) -> torch.Tensor:
    """Return a part of a wanted shape; where the image is smaller, mirrored at its end."""
    for axis, n in enumerate(wanted):
        while part.shape[axis] < n:
            more = part.flip(axis).narrow(axis, 0, min(n - part.shape[axis], part.shape[axis]))
            part = torch.cat([part, more], dim=axis)
    return part
