#!/usr/bin/env python3
"""What a graphics processor gains in radiomics: parity and ratio on made-up regions.

    scripts/bench_radiomics_gpu.py [--device cuda] [--sides 40,100,180]

Needs PyTorch, NumPy, SciPy, PyWavelets and Numba, and no data. Compares the compiled
kernels on one core with the torch path on the device: the three LoG images, and the counts
of all texture classes over twelve images of one region.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from client.radiomics import gaussian, torch_filters
from client.radiomics.region import Region, bounding_box, region_of
from client.radiomics.textures import CLASSES, CompiledCounts, discretise, texture_features
from client.radiomics.torch_counts import TorchCounts
from client.radiomics.wavelet import wavelet_bands

SPACING = np.array([1.0, 0.9, 0.8])
SETTINGS: Any = SimpleNamespace(
    bin_width=25, bin_count=None, weighting_norm=None, voxel_array_shift=0, gldm_a=0
)


def main() -> None:
    """Print one line a region."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sides", default="40,100,180")
    chosen = parser.parse_args()
    device = chosen.device
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "this processor"
    print(f"torch {torch.__version__} on {device}: {name}")
    _line(24, device, show=False)  # compiles, and wakes the device
    heads = ("LoG core s", "device s", "ratio", "counts core s", "device s", "ratio", "LoG diff")
    widths = (12, 10, 7, 15, 10, 7, 10)
    columns = "".join(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True))
    print(f"{'side':>5}{'voxels':>9}{columns}{'feature diff':>14}")
    for side in chosen.sides.split(","):
        _line(int(side), device, show=True)


def _line(side: int, device: str, *, show: bool) -> None:
    image, region = _phantom(side)
    log = [
        _timed(lambda: _logs(image, region, None), device),
        _timed(lambda: _logs(image, region, device), device),
    ]
    images = [*log[0][1], *_bands(image, region)]
    core = _timed(lambda: [_features(v, region, None) for v in images], device)
    there = _timed(lambda: [_features(v, region, device) for v in images], device)
    scale = max(float(np.abs(v).max()) for v in log[0][1])
    apart = max(float(np.abs(a - b).max()) for a, b in zip(log[0][1], log[1][1], strict=True))
    worst = max(_apart(a, b) for a, b in zip(core[1], there[1], strict=True))
    if show:
        print(
            f"{side:5d}{region.n_voxels:9d}{log[0][0]:12.3f}{log[1][0]:10.3f}"
            f"{log[0][0] / log[1][0]:7.1f}{core[0]:15.3f}{there[0]:10.3f}"
            f"{core[0] / there[0]:7.1f}{apart / scale:10.1e}{worst:14.1e}",
            flush=True,
        )


def _timed(work: Callable[[], Any], device: str) -> tuple[float, Any]:
    """Return the shorter of two times, and the result."""
    seconds, result = [], None
    for _ in range(2):
        start = time.perf_counter()
        result = work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def _phantom(side: int) -> tuple[Any, Region]:
    rng = np.random.default_rng(side)
    shape = (side + 20, side + 24, side + 16)
    noise = rng.normal(0, 60, shape)
    smooth = sum(np.roll(noise, s, axis) for s in (-1, 0, 1) for axis in range(3)) + noise
    middle = [n / 2 for n in shape]
    grid = np.indices(shape, dtype=np.float32)
    apart = sum(((g - m) / (side / 2)) ** 2 for g, m in zip(grid, middle, strict=True))
    inside = apart < 1
    box = bounding_box(inside)
    crop = inside[tuple(slice(low, high) for low, high in box)]
    return smooth.astype(np.int16), region_of(crop, box, SPACING, (1,), None)


def _logs(image: Any, region: Region, device: str | None) -> list[Any]:
    where = tuple(region.where)
    if device is None:
        made = [gaussian.laplacian_of_gaussian(image, SPACING, s, region.box) for s in (1, 2, 3)]
    else:
        made = [
            torch_filters.laplacian_of_gaussian(image, SPACING, s, region.box, device)
            for s in (1.0, 2.0, 3.0)
        ]
    return [one[where] for one in made]


def _bands(image: Any, region: Region) -> list[Any]:
    place = tuple(w + low for w, (low, _) in zip(region.where, region.box, strict=True))
    bands = wavelet_bands(image, region.box, region.where, "coif1", (2, 1, 0))
    return [image[place], *(values for _, values in bands)]


def _features(values: Any, region: Region, device: str | None) -> dict[str, Any]:
    found = discretise(values, SETTINGS)
    counts: Any = (
        CompiledCounts(region, found.levels, found.n_levels)
        if device is None
        else TorchCounts(region, found.levels, found.n_levels, device)
    )
    return texture_features(values, found, region, SETTINGS, CLASSES, counts)


def _apart(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    return max(
        float(np.max(np.abs(ours[k] - theirs[k]) / np.maximum(np.abs(ours[k]), 1e-9)))
        for k in CLASSES
    )


if __name__ == "__main__":
    main()
