"""Draw what a network sees in one step of training, randomly changed.

Cropping, turning, scaling, bending and mirroring are one interpolation, which reads
only the part of the image it needs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (its name everywhere)
from numpy.typing import NDArray
from torch import Tensor

from client.dataset import Example, as_tensor
from common.tasks.augmentation import Augmentation

Floats = NDArray[np.floating[Any] | np.signedinteger[Any]]

_OFF = Augmentation(
    rotation_deg=0, scale=0, shift=0, contrast=0, brightness=0, noise=0
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Luck:
    """Where random numbers come from: shapes from numpy, voxels from the device."""

    rng: np.random.Generator
    voxels: torch.Generator

    def between(self, size: float, n: int | None = None) -> Any:
        """Return numbers drawn evenly from -size to size."""
        return self.rng.uniform(-1, 1, n) * size


def draw(example: Example, task: Any, luck: Luck, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return an image (C, ...) and the class of each voxel (...), of the task's window.

    Args:
        example: with a mask.
        task: its recipe says which part to draw, its augmentation how to change it.
        luck: where the random numbers come from.
        device: where the result is wanted.
    """
    how = task.augmentation or _OFF
    image, mask, centre = _part(example, task, luck)
    n = task.dimensions
    spacing = np.array(example.spacing_mm[-n:])
    window = np.array(task.window)
    matrix = _matrix(how, luck, n) * spacing / spacing[:, None]
    centre = centre + luck.between(how.shift, n) * window
    low, high = _box(matrix, centre, window, np.array(mask.shape), how, spacing)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    grid = _coordinates(matrix, centre - low, window, high - low, device)
    if how.elastic_mm > 0:
        grid = grid + _bend(how, luck, window, spacing, high - low, device)
    pixels = _sample(as_tensor(image[(slice(None), *box)], device), grid, "bilinear")
    classes = _sample(as_tensor(mask[box], device)[None].float(), grid, "nearest")
    return _change_levels(pixels, how, luck), classes[0].long()


def _part(example: Example, task: Any, luck: Luck) -> tuple[Any, Any, Floats]:
    """Return image, mask (in 2D: of one slice) and the centre of the window in them."""
    shape, n = np.array(example.mask.shape), task.dimensions
    middle = (shape - 1) / 2
    spot = luck.rng.uniform(0, shape) - 0.5
    on_label = luck.rng.random() < task.recipe.foreground
    if on_label and len(example.spots):
        spot = example.spots[luck.rng.integers(len(example.spots))].astype(float)
    if task.recipe.patch is not None:
        window = np.array(task.window)
        first = np.clip(np.rint(spot[-n:] - window / 2), 0, shape[-n:] - window)
        middle[-n:] = first + (window - 1) / 2
    if n == 3:
        return example.image, example.mask, middle
    z = int(np.clip(np.rint(spot[0]), 0, shape[0] - 1))
    return example.image[:, z], example.mask[z], middle[1:]


def _matrix(how: Augmentation, luck: Luck, n: int) -> Floats:
    """Return what maps offsets in the window to offsets in the image, both in mm."""
    matrix = np.eye(n)
    for a, b in [(1, 2), (0, 2), (0, 1)] if n == 3 else [(0, 1)]:
        turn, angle = np.eye(n), np.deg2rad(luck.between(how.rotation_deg))
        turn[[a, b], [a, b]] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    sizes = (1 + luck.between(how.scale)) * (1 + luck.between(how.stretch, n))
    mirrored = luck.rng.random(3) < 0.5
    signs = [-1 if m and a in how.flip else 1 for a, m in zip("zyx", mirrored, strict=True)]
    scaled: Floats = matrix * sizes * np.array(signs)[-n:]
    return scaled


def _box(
    matrix: Floats,
    centre: Floats,
    window: Floats,
    shape: Floats,
    how: Augmentation,
    spacing: Floats,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first and last + 1 voxel of the part that interpolation may read."""
    reach = np.abs(matrix) @ ((window - 1) / 2) + 4 * how.elastic_mm / spacing + 2
    low = np.clip(np.floor(centre - reach), 0, shape - 1).astype(int)
    high = np.clip(np.ceil(centre + reach) + 1, low + 1, shape).astype(int)
    return low, high


def _coordinates(
    matrix: Floats, centre: Floats, window: Floats, box: Floats, device: torch.device
) -> Tensor:
    """Return where in a box each voxel of the window lies, from -1 to 1 (1, ..., n)."""
    half_box = np.maximum(box - 1, 1) / 2
    turn = matrix * ((window - 1) / 2) / half_box[:, None]
    theta = np.column_stack([turn, centre / half_box - 1])
    # Torch counts axes from x: columns and rows the other way round.
    order = [*range(len(box))[::-1], len(box)]
    torch_theta = torch.from_numpy(theta[::-1][:, order].copy()).float().to(device)
    size = (1, 1, *window.tolist())
    return F.affine_grid(torch_theta[None], list(size), align_corners=True)


def _bend(
    how: Augmentation,
    luck: Luck,
    window: Floats,
    spacing: Floats,
    box: Floats,
    device: torch.device,
) -> Tensor:
    per_mm = 2 / np.maximum(box - 1, 1) / spacing * how.elastic_mm
    field = _smooth_noise(len(box), how.elastic_points, window, luck, device)
    scale = torch.from_numpy(per_mm[::-1].copy()).float().to(device)
    return field.movedim(1, -1) * scale


def _smooth_noise(
    channels: int, points: int, window: Floats, luck: Luck, device: torch.device
) -> Tensor:
    """Return normal noise at some points an axis, interpolated (1, channels, ...)."""
    shape = (1, channels, *(points for _ in window))
    noise = torch.randn(shape, generator=luck.voxels, device=device)
    mode = "trilinear" if len(window) == 3 else "bilinear"
    return F.interpolate(noise, size=window.tolist(), mode=mode, align_corners=True)


def _sample(voxels: Tensor, grid: Tensor, mode: str) -> Tensor:
    found = F.grid_sample(voxels[None], grid, mode=mode, padding_mode="border", align_corners=True)
    return found[0]


def _change_levels(image: Tensor, how: Augmentation, luck: Luck) -> Tensor:
    """Return an image with other grey levels, each channel for itself."""
    n, axes = image.shape[0], (1,) * (image.ndim - 1)
    device = image.device
    factor = torch.from_numpy(1 + luck.between(how.contrast, n)).float()
    offset = torch.from_numpy(luck.between(how.brightness, n)).float()
    if how.gamma > 0:
        image = _gamma(image, 1 + float(luck.between(how.gamma)))
    if how.bias > 0:
        window = np.array(image.shape[1:])
        field = _smooth_noise(1, 3, window, luck, device)[0]
        image = image * (how.bias * field).exp()
    image = image * factor.to(device).view(n, *axes) + offset.to(device).view(n, *axes)
    if how.noise > 0:
        noise = torch.empty_like(image).normal_(generator=luck.voxels)
        image = image + noise * (luck.rng.random() * how.noise)
    return image


def _gamma(image: Tensor, exponent: float) -> Tensor:
    low, high = image.amin(), image.amax()
    width = (high - low).clamp_min(1e-6)
    return ((image - low) / width) ** exponent * width + low
