"""Probabilities of classes from networks, and maps of what they looked at.

The maps are Grad-CAM's (Selvaraju et al., ICCV 2017) and never leave the site.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.bench import Bench
from client.cases import Case
from client.dataset import as_tensor
from client.device import arithmetic, laid_out, network_on, steady
from client.imageio import Volume
from client.sights import Sight, load_sights, load_window
from common.networks.residual_classifier import ResidualClassifier
from common.networks.weights import Weights, load_weights
from common.tasks.classification import Classification, class_of

Floats = NDArray[np.float64]

_BATCH = 8
_MOST_SLICES = 64
_TINY = 1e-13


def logits_of(bench: Bench, weights: Weights, cases: Sequence[Case]) -> list[Floats]:
    """Return for every case a number a class for each part looked at, (parts, classes).

    A volume is one part; in 2D every slice is one.

    Raises:
        ValueError: an image or mask cannot be used; says which and why.
    """
    with steady(bench) as device:
        network = network_for(bench, weights, device)
        sights = load_sights(bench, cases, device)
        return [_logits(bench, network, sight, device) for sight in sights]


def log_chances(logits: Floats) -> Floats:
    """Return the logarithm of each class's probability, (classes,): the mean of the parts.

    Args:
        logits: (parts, classes).
    """
    shifted = logits - logits.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    if len(logs) == 1:
        return np.asarray(logs[0])
    return np.asarray(np.log(np.maximum(np.exp(logs).mean(0), _TINY)))


def chances(bench: Bench, ensemble: Sequence[Weights], case: Case) -> Floats:
    """Return the probability of each class, (classes,): the mean of networks, or of their votes."""
    logits = [logits_of(bench, weights, [case])[0] for weights in ensemble]
    each = np.exp(np.stack([log_chances(one) for one in logits]))
    if bench.combine == "vote":
        each = np.eye(each.shape[1])[each.argmax(1)]
    return np.asarray(each.mean(0), np.float64)


def negative_log_likelihood(
    bench: Bench, weights: Weights, cases: Sequence[Case], temperatures: Floats
) -> Floats:
    """Return the sum over cases of -log p(true class) at each temperature, (temperatures,).

    Args:
        bench: the task and the machine.
        weights: of a network whose temperature is 1.
        cases: with a known outcome.
        temperatures: what logits are divided by.
    """
    total = np.zeros(len(temperatures))
    for logits, label in zip(
        logits_of(bench, weights, cases), labels_of(bench, cases), strict=True
    ):
        total -= [log_chances(logits / t)[label] for t in temperatures]
    return total


def labels_of(bench: Bench, cases: Sequence[Case]) -> list[int]:
    """Return the class of each case; -1 where it is not known."""
    column = bench.known.columns[bench.task.outcome]
    found = [class_of(column, c.values.get(bench.task.outcome, float("nan"))) for c in cases]
    return [-1 if label is None else label for label in found]


def saliency(bench: Bench, ensemble: Sequence[Weights], case: Case) -> Volume:
    """Return where in a case the networks found what speaks for the likeliest class.

    Grad-CAM of the last map of features of each encoder, 0 to 1, the mean of networks, on
    the grid that the network's window lies on.
    """
    frame = load_window(bench, case)[2]
    with steady(bench) as device:
        (sight,) = load_sights(bench, [case], device)
        total = torch.zeros(frame.shape)
        for weights in ensemble:
            total = total + _one_map(bench, network_for(bench, weights, device), sight, device)
    return Volume((total / len(ensemble)).numpy().astype(np.float32), frame.window)


def network_for(bench: Bench, weights: Weights, device: torch.device) -> ResidualClassifier:
    """Return the task's network on a device, ready to predict."""
    network = network_on(device, load_weights(bench.network(), weights))
    if not isinstance(network, ResidualClassifier):
        raise TypeError(f"expected a classifier, got {type(network).__name__}")
    return network


def batch_of(bench: Bench, sight: Sight, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return what a network sees of a case: a volume, or its slices, and the columns of each."""
    task: Classification = bench.task
    images = as_tensor(sight.seen.image, device)
    if task.mask is not None and task.mask.use != "crop":
        images = torch.cat([images, as_tensor(sight.seen.mask, device)[None].float()])
    flat = task.dimensions == 2
    images = images[:, _slices(sight)].movedim(1, 0) if flat else images[None]
    return images, sight.columns.to(device).expand(len(images), -1)


def _slices(sight: Sight) -> list[int]:
    """Return the slices that are looked at: those of the region, evenly thinned if many."""
    n = sight.seen.mask.shape[0]
    found = np.unique(sight.seen.spots[:, 0]) if len(sight.seen.spots) else np.arange(n)
    if len(found) > _MOST_SLICES:
        found = found[np.linspace(0, len(found) - 1, _MOST_SLICES).astype(int)]
    return [int(z) for z in found]


@torch.no_grad()
def _logits(
    bench: Bench, network: ResidualClassifier, sight: Sight, device: torch.device
) -> Floats:
    images, columns = batch_of(bench, sight, device)
    parts = []
    for i in range(0, len(images), _BATCH):
        with arithmetic(device, bench.precision):
            part = network(laid_out(device, images[i : i + _BATCH]), columns[i : i + _BATCH])
        parts.append(part.float().cpu().double())
    return np.asarray(torch.cat(parts).numpy())


def _one_map(
    bench: Bench, network: ResidualClassifier, sight: Sight, device: torch.device
) -> Tensor:
    """Return a network's map, 0 to 1, over the case's window (Z, Y, X)."""
    images, columns = batch_of(bench, sight, device)
    with torch.enable_grad():
        maps = [m.detach().requires_grad_() for m in network.maps(images)]
        logits = network.tell(maps, columns)
        best = int(logits.sum(0).argmax())
        others = logits.sum(1) - logits[:, best]
        (logits[:, best] - others / (logits.shape[1] - 1)).sum().backward()  # type: ignore[no-untyped-call]
    cam = sum(_cam(m, m.grad, images.shape[2:]) for m in maps if m.grad is not None)
    if not isinstance(cam, Tensor):
        raise TypeError("the network has no map of features")
    whole = torch.zeros(sight.seen.mask.shape)
    if bench.task.dimensions == 2:
        whole[_slices(sight)] = cam.cpu()
    else:
        whole = cam[0].cpu()
    return whole / whole.max().clamp_min(1e-12)


def _cam(features: Tensor, gradient: Tensor, shape: torch.Size) -> Tensor:
    """Return relu(sum of features weighted by their mean gradient), of the window's shape."""
    axes = tuple(range(2, features.ndim))
    seen = (features.detach() * gradient.mean(axes, keepdim=True)).sum(1, keepdim=True).relu()
    mode = "trilinear" if features.ndim == 5 else "bilinear"
    large = torch.nn.functional.interpolate(seen, size=shape, mode=mode, align_corners=False)
    return large[:, 0]
