"""Masks from networks: on the grid of the stored image, and scored in mm there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, nan
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.bench import Bench
from client.cases import Case
from client.dataset import Array, as_tensor, prepare
from client.device import arithmetic, laid_out, network_on, steady
from client.imageio import Grid, Volume, read_image, write_image
from client.preprocess import Classes, Floats, Frame, load_image, read_classes, restore
from common.metrics.overlap import dice, volume_error_ml
from common.metrics.surface import hausdorff_95, surface_dice, surface_distances
from common.networks.weights import Weights, load_weights
from common.tasks.loss import IGNORED

_BATCH = 4

Start = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What networks find in a case.

    Attributes:
        mask: label values of the contract on the grid of the mask's image.
        scores: as named by the task's `score_columns`; NaN without a true mask.
    """

    mask: Volume
    scores: dict[str, float]


def validate(
    bench: Bench, weights: Weights, cases: Sequence[Case]
) -> dict[str, NDArray[np.float64]]:
    """Return the Dice of every label and case, on the network's own grid: quick.

    Args:
        bench: the task and the machine.
        weights: of one network.
        cases: those without a mask get NaN.

    Returns:
        For each label of the contract an array, in the order of `cases`.
    """
    found: dict[str, list[float]] = {label: [] for label in bench.labels}
    with steady(bench) as device:
        network = _network(bench, weights, device)
        for case in cases:
            example = prepare(bench.scored, case)
            truth = np.asarray(example.mask)
            classes = _chances(bench, [network], example.image, device).argmax(0)
            classes = classes * (truth != IGNORED) if truth.size else classes
            for label, i in bench.labels.items():
                score = dice(classes == i, truth == i) if truth.size else nan
                found[label].append(score)
    return {label: np.array(scores) for label, scores in found.items()}


def predict(bench: Bench, ensemble: Sequence[Weights], case: Case) -> Prediction:
    """Return the mask that networks find, by their mean probability or by their votes.

    Args:
        bench: the task and the machine.
        ensemble: weights of one network or several.
        case: with the task's images; its mask is only read for the scores.

    Raises:
        ValueError: an image cannot be used, or the true mask lies on another grid.
    """
    chances, frame = find_chances(bench, ensemble, case)
    onto = read_image(case.images[bench.mask.on]).grid
    classes = restore(chances, frame, onto, bench.task.recipe)
    scores = _scores(bench, case, classes, onto)
    values = np.array([0, *bench.mask.labels.values()])
    kind = np.uint8 if values.max() < 256 else np.uint16
    return Prediction(Volume(values.astype(kind)[classes], onto), scores)


def find_chances(
    bench: Bench, ensemble: Sequence[Weights], case: Case, flips: Sequence[str] = ()
) -> tuple[Floats, Frame]:
    """Return every class's probability (classes, Z, Y, X) and where that array lies.

    Args:
        bench: the task and the machine.
        ensemble: weights of one network or several, put together as the bench says.
        case: with the task's images.
        flips: axes, z, y or x; of each the mirror image is averaged in too.

    Raises:
        ValueError: an image cannot be used.
    """
    views, frame = find_views(bench, ensemble, case, flips)
    return np.mean(views, axis=0, dtype=np.float32), frame


def find_views(
    bench: Bench, ensemble: Sequence[Weights], case: Case, flips: Sequence[str]
) -> tuple[list[Floats], Frame]:
    """Return what `find_chances` is the mean of: of the image, then of each mirror image."""
    image, frame = load_image(bench, case)
    axes = [(), *((-3 + "zyx".index(flip),) for flip in flips)]
    with steady(bench) as device:
        networks = [_network(bench, weights, device) for weights in ensemble]
        views = [
            np.flip(_together(bench, networks, np.flip(image, axis).copy(), device), axis)
            for axis in axes
        ]
    return views, frame


def write_prediction(path: Path, prediction: Prediction) -> None:
    """Write the predicted mask; the format follows from the name, such as .nii.gz."""
    write_image(path, prediction.mask)


def _scores(bench: Bench, case: Case, classes: Classes, grid: Grid) -> dict[str, float]:
    names = bench.task.score_columns(bench.mask.labels)
    truth = read_classes(bench.scored, case)
    if truth is None:
        return dict.fromkeys(names, nan)
    if truth.voxels.shape != classes.shape:
        raise ValueError(
            f'mask "{bench.scored.task.mask}": expected the grid of "{bench.mask.on}", '
            f"{classes.shape}, got {truth.voxels.shape}"
        )
    scores = {}
    classes = classes * (truth.voxels != IGNORED)
    for label, i in bench.labels.items():
        found, true = classes == i, truth.voxels == i
        apart = surface_distances(found, true, grid.spacing_mm)
        scores[f"dice_{label}"] = dice(found, true)
        scores[f"hd95_mm_{label}"] = hausdorff_95(apart)
        tolerance_mm = bench.task.scores.tolerance_mm
        scores[f"surface_dice_{label}"] = surface_dice(apart, tolerance_mm)
        error_ml = volume_error_ml(found, true, grid.spacing_mm)
        scores[f"volume_error_ml_{label}"] = error_ml
    return scores


def _together(
    bench: Bench, networks: Sequence[nn.Module], image: Array, device: torch.device
) -> Floats:
    """Return every class's probability (classes, Z, Y, X), or its share of the votes."""
    if bench.combine == "mean" or len(networks) == 1:
        return _chances(bench, networks, image, device)
    total = np.zeros((len(bench.labels) + 1, *image.shape[1:]), np.float32)
    for network in networks:
        winner = _chances(bench, [network], image, device).argmax(0)
        np.add.at(total, (winner, *np.indices(winner.shape)), 1 / len(networks))
    return total


def _chances(
    bench: Bench, networks: Sequence[nn.Module], image: Array, device: torch.device
) -> Floats:
    """Return every class's probability (classes, Z, Y, X), the mean of networks.

    Where an image is larger than the network's window, windows overlap; voxels count
    the more the nearer they lie to the middle of theirs.
    """
    window = _window(bench)
    starts = list(_starts(image.shape[1:], window, bench.task.recipe.overlap))
    bell = _bell(window) if len(starts) > 1 else torch.ones(window)
    total = torch.zeros((len(bench.labels) + 1, *image.shape[1:]))
    weight = torch.zeros(image.shape[1:])
    for i in range(0, len(starts), _BATCH):
        parts = [_slices(start, window) for start in starts[i : i + _BATCH]]
        batch = torch.stack([as_tensor(image[(slice(None), *part)], device) for part in parts])
        found = _mean_softmax(bench, networks, batch, device)
        for part, chance in zip(parts, found, strict=True):
            total[(slice(None), *part)] += chance * bell
            weight[part] += bell
    return (total / weight).numpy()


@torch.no_grad()
def _mean_softmax(
    bench: Bench, networks: Sequence[nn.Module], batch: Tensor, device: torch.device
) -> Tensor:
    flat = bench.task.dimensions == 2
    x = laid_out(device, batch[:, :, 0] if flat else batch)
    total = torch.zeros(())
    for network in networks:
        with arithmetic(device, bench.precision):
            logits = network(x)[0]
        total = total + logits.float().softmax(dim=1).cpu()
    mean = total / len(networks)
    return mean[:, :, None] if flat else mean


def _network(bench: Bench, weights: Weights, device: torch.device) -> nn.Module:
    return network_on(device, load_weights(bench.network(), weights))


def _window(bench: Bench) -> tuple[int, ...]:
    window = bench.task.window
    return window if bench.task.dimensions == 3 else (1, *window)


def _starts(shape: tuple[int, ...], window: tuple[int, ...], overlap: float) -> Iterator[Start]:
    """Yield the first voxel of windows that cover an image evenly."""
    axes = []
    for n, m in zip(shape, window, strict=True):
        step = max(1, int(m * (1 - overlap)))
        count = ceil((n - m) / step) + 1
        axes.append(np.rint(np.linspace(0, n - m, count)).astype(int).tolist())
    yield from product(*axes)


def _slices(start: Start, window: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(s, s + m) for s, m in zip(start, window, strict=True))


def _bell(window: tuple[int, ...]) -> Tensor:
    """Return a normal curve an axis, an eighth of the window wide, as a product."""
    bell = torch.ones(window)
    for axis, m in enumerate(window):
        offsets = (torch.arange(m) - (m - 1) / 2) / (m / 8)
        shape = [m if a == axis else 1 for a in range(len(window))]
        bell = bell * torch.exp(-(offsets**2) / 2).clamp_min(1e-4).view(shape)
    return bell
