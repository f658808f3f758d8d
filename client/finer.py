"""Finer images from networks, scored where there is an original."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import nan

import numpy as np
import torch
from torch import Tensor, nn

from client.bench import Bench
from client.cases import Case
from client.device import arithmetic, laid_out, network_on, steady
from client.imageio import Volume
from client.pairs import Floats, Scan, acquired, simulate
from client.preprocess import open_image
from common.metrics.likeness import psnr_db, ssim
from common.networks.weights import Weights, load_weights
from common.resolution import Order, finer
from common.tasks.super_resolution import INTERPOLATIONS, SuperResolution

_MARGIN = 3  # coarse voxels that head, rise and tail look beyond a voxel's own


@dataclass(frozen=True, slots=True)
class Refined:
    """What is made of a coarse image.

    Attributes:
        images: by name: "fine" by the network, and each interpolation, (Z, Y, X) on `scan`'s
            fine grid, in the grey levels of the file.
        scores: as the task names them; NaN without an original.
    """

    scan: Scan
    images: Mapping[str, Floats]
    scores: Mapping[str, float]


def scan_of(task: SuperResolution, case: Case, *, simulated: bool) -> Scan:
    """Return the coarse image of a case.

    Raises:
        ValueError: an image is missing or cannot be used.
    """
    if simulated or task.apply_to is None:
        return simulate(task, open_image(case.images, task.image))
    fine = open_image(case.images, task.image) if task.image in case.images else None
    return acquired(task, open_image(case.images, task.apply_to), fine)


def refine(bench: Bench, ensemble: Sequence[Weights], scan: Scan) -> Refined:
    """Return finer images of a scan: the mean of networks, and interpolations."""
    task: SuperResolution = bench.task
    with steady(bench) as device:
        networks = [network_on(device, load_weights(bench.network(), w)) for w in ensemble]
        images = {"fine": _apply(bench, networks, scan, device)}
    orders: tuple[Order, ...] = INTERPOLATIONS
    for order in orders:
        images[order] = finer(scan.coarse, task.finer, scan.shape, order)
    stored = {name: np.ascontiguousarray(scan.turn.back(image)) for name, image in images.items()}
    return Refined(scan, stored, _scores(task, scan, stored))


def volume_of(refined: Refined, name: str) -> Volume:
    """Return one of the finer images where it lies in the patient."""
    return Volume(refined.images[name], refined.scan.fine)


@torch.no_grad()
def _apply(bench: Bench, networks: Sequence[nn.Module], scan: Scan, device: torch.device) -> Floats:
    """Return the networks' mean, tile by tile.

    Tiles see so much beyond their edges that they come to what the whole would.
    """
    task: SuperResolution = bench.task
    whole = tuple(n * f for n, f in zip(scan.coarse.shape, task.finer, strict=True))
    mean, deviation = scan.level
    coarse = _tensor((scan.coarse - mean) / deviation)
    smooth = _tensor((finer(scan.coarse, task.finer, whole, "bspline") - mean) / deviation)
    out = torch.zeros(whole)
    for seen, kept, inner in _tiles(scan.coarse.shape, task):
        parts = (coarse[_box(seen)], smooth[_box(seen, task.finer)])
        x, y = (laid_out(device, part[None, None].to(device)) for part in parts)
        total = torch.zeros((), device=device)
        for network in networks:
            with arithmetic(device, bench.precision):
                found: Tensor = network(x, y)
            total = total + found.float()
        fine = (total / len(networks))[0, 0].cpu()
        out[_box(kept, task.finer)] = fine[_box(inner, task.finer)]
    image = out.numpy()[tuple(slice(n) for n in scan.shape)]
    return np.asarray(image * deviation + mean, np.float32)


Span = tuple[int, int]


def _tiles(
    shape: tuple[int, ...], task: SuperResolution
) -> Iterator[tuple[list[Span], list[Span], list[Span]]]:
    """Yield in coarse voxels what a tile sees, what is kept of it, and where that is in it."""
    margin = 2 * task.network.blocks + _MARGIN
    steps = [task.tile // f for f in task.finer]
    firsts = [range(0, n, step) for n, step in zip(shape, steps, strict=True)]
    for first in product(*firsts):
        seen, kept, inner = [], [], []
        for a, n, step in zip(first, shape, steps, strict=True):
            end = min(a + step, n)
            low, high = max(a - margin, 0), min(end + margin, n)
            seen.append((low, high))
            kept.append((a, end))
            inner.append((a - low, end - low))
        yield seen, kept, inner


def _box(spans: Sequence[Span], by: Sequence[int] = (1, 1, 1)) -> tuple[slice, ...]:
    return tuple(slice(a * f, b * f) for (a, b), f in zip(spans, by, strict=True))


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _scores(task: SuperResolution, scan: Scan, images: Mapping[str, Floats]) -> dict[str, float]:
    scores = dict.fromkeys(task.score_columns(), nan)
    if scan.original is None:
        return scores
    span = float(scan.original.max() - scan.original.min())
    for name, image in images.items():
        tail = "" if name == "fine" else f"_{name}"
        scores[f"psnr_db{tail}"] = psnr_db(image, scan.original, span)
        scores[f"ssim{tail}"] = ssim(image, scan.original, span)
    scores["gain_db"] = scores["psnr_db"] - scores["psnr_db_bspline"]
    return scores
