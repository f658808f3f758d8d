"""The layers of a trained network over a region: mean and deviation of every channel."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.bench import Bench
from client.cases import Case
from client.imageio import Volume
from client.preprocess import load_image, onto_array
from client.regions import Bools
from common.networks.weights import load_weights
from common.radiomics.faults import Fault, Faulty
from common.sums import Array

_MOST = 96  # voxels along an axis of what goes through the network at once
_MARGIN = 16


class Layers:
    """A network with its weights, ready to look at cases.

    Args:
        bench: the task and the machine.
        weights: of the network.
        n: features wanted.
    """

    def __init__(self, bench: Bench, weights: Mapping[str, Array], n: int) -> None:
        self.bench, self.n = bench, n
        self.network = load_weights(bench.network(), weights)

    def features(self, case: Case, region: Volume) -> NDArray[np.float64]:
        """Return the features of a region, shape (n,), the coarsest layers first.

        Raises:
            Faulty: MASK_OFF_IMAGE where the recipe cuts the region away; FAILED where the
                network has fewer features than wanted.
            ValueError: an image of the case cannot be used.
        """
        array, frame = load_image(self.bench, case)
        inside = onto_array(region, frame, self.bench.task.recipe) > 0
        if not inside.any():
            raise Faulty(Fault.MASK_OFF_IMAGE, "the recipe's field of view misses the region")
        cut = _cut(inside, getattr(self.bench.task, "divisor", (1, 1, 1)))
        image = torch.from_numpy(np.ascontiguousarray(array[(slice(None), *cut)]))
        weight = torch.from_numpy(inside[cut].astype(np.float32))
        flat = self.bench.task.dimensions == 2
        x = image.transpose(0, 1) if flat else image[None]
        share = weight[:, None] if flat else weight[None, None]
        with torch.inference_mode(), _listening(self.network) as heard:
            self.network(x)
        heard.sort(key=lambda y: y[0, 0].numel())
        found = [value for y in heard for value in _pooled(y, share)]
        out = torch.cat(found).double().numpy()
        if out.size < self.n:
            detail = f"the network has {out.size} features, the study wants {self.n}"
            raise Faulty(Fault.FAILED, detail)
        return np.asarray(out[: self.n], np.float64)


@contextmanager
def _listening(network: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the output of every convolution."""
    heard: list[Tensor] = []
    kinds = (nn.Conv2d, nn.Conv3d)
    hooks = [
        m.register_forward_hook(lambda _, __, y: heard.append(y.float()))
        for m in network.modules()
        if isinstance(m, kinds)
    ]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def _pooled(y: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each channel, voxels weighted by their share of region."""
    size = y.shape[2:]
    pool = nn.AdaptiveAvgPool3d if len(size) == 3 else nn.AdaptiveAvgPool2d
    weight = pool(tuple(size))(share)
    axes = (0, *range(2, y.ndim))
    total = weight.sum()
    mean = (y * weight).sum(axes) / total
    centred = y - mean.reshape(1, -1, *([1] * (y.ndim - 2)))
    return mean, ((centred**2 * weight).sum(axes) / total).sqrt()


def _cut(inside: Bools, divisor: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the part of an array that goes through the network: all, or around a region."""
    divisors = (1,) * (3 - len(divisor)) + tuple(divisor)
    at = np.argwhere(inside)
    cut = []
    for axis, by in enumerate(divisors):
        n = inside.shape[axis]
        low, high = 0, n
        if n > _MOST:
            low = max(0, int(at[:, axis].min()) - _MARGIN)
            high = min(n, int(at[:, axis].max()) + 1 + _MARGIN)
            low -= min(low, -(high - low) % by)
            high += -(high - low) % by
            low, high = (low, high) if high <= n else (max(0, n - (high - low)), n)
        cut.append(slice(low, high))
    return tuple(cut)
