"""The counts behind the textures in plain PyTorch, for a graphics processor.

The same numbers as the compiled kernels: everything here is counted in whole numbers.
"""

from typing import Any

import numpy as np
import torch

from client.radiomics.compiled import Array
from client.radiomics.region import Region

Tensor = torch.Tensor


class TorchCounts:
    """One image's grey levels on a device, ready to be counted."""

    def __init__(self, region: Region, levels: Array, n_levels: int, device: str) -> None:
        self.region, self.n_levels = region, n_levels
        self.index = torch.from_numpy(region.index.astype(np.int64)).to(device)
        self.grid = torch.zeros(int(np.prod(region.shape)), dtype=torch.int64, device=device)
        self.grid[self.index] = torch.from_numpy(levels.astype(np.int64)).to(device)
        self.here = self.grid[self.index]

    def cooccurrence(self) -> Array:
        """Return (levels + 1, A, levels + 1) one-sided pair counts."""
        n = self.n_levels + 1
        there = self.grid[self.index + self._steps(self.region.offsets)]
        direction = torch.arange(len(there), device=there.device)[:, None]
        keys = (self.here * len(there) + direction) * n + there
        counts = torch.bincount(keys.flatten(), minlength=len(there) * n * n)
        return _whole(counts.reshape(n, len(there), n))

    def dependence_and_difference(self, alpha: int) -> tuple[Array, Array]:
        """Return GLDM counts, and voxels and summed differences of each level for the NGTDM."""
        steps = self._steps(self.region.offsets)
        there = self.grid[self.index + torch.cat((steps, -steps))]
        inside = there > 0
        alike = (inside & ((there - self.here).abs() <= alpha)).sum(0)
        width = 2 * len(steps) + 1
        n = self.n_levels + 1
        counts = torch.bincount(self.here * width + alike, minlength=n * width)
        number, total = inside.sum(0), there.sum(0)
        mean = total.double() / number.clamp(min=1)
        apart = torch.where(number > 0, (self.here - mean).abs(), 0.0)
        sums = torch.bincount(self.here, weights=apart, minlength=n)
        voxels = torch.bincount(self.here, minlength=n)
        difference = torch.stack((voxels.double(), sums), 1)
        return _whole(counts.reshape(n, width)), np.asarray(difference.cpu().numpy())

    def run_lengths(self) -> Array:
        """Return (directions, levels + 1, longest + 1) counts of runs."""
        longest = max(self.region.shape)
        return np.stack([self._runs(int(step), longest) for step in self.region.lines])

    def _runs(self, step: int, longest: int) -> Array:
        """Count the runs along one direction; lengths double their reach in every turn."""
        before = torch.zeros_like(self.grid)
        before[self.index] = (self.grid[self.index - step] == self.here).long()
        length, whole, reach = before.clone(), before.bool(), step
        while bool(whole.any()):
            shifted = torch.roll(length, reach)
            length = length + torch.where(whole, shifted, 0)
            whole = whole & torch.roll(whole, reach)
            reach *= 2
        ends = self.grid[self.index + step] != self.here
        keys = self.here[ends] * (longest + 1) + length[self.index][ends] + 1
        counts = torch.bincount(keys, minlength=(self.n_levels + 1) * (longest + 1))
        return _whole(counts.reshape(self.n_levels + 1, longest + 1))

    def zones(self) -> tuple[Array, Array]:
        """Return level and size of every zone, by passing on the lowest name in it."""
        region = self.region
        row = region.shape[2]
        plane = region.shape[1] * row
        planes = (0,) if region.flat else (-plane, 0, plane)
        around = [p + r + c for p in planes for r in (-row, 0, row) for c in (-1, 0, 1)]
        steps = torch.tensor([s for s in around if s], device=self.index.device)[:, None]
        places = torch.zeros_like(self.grid)
        places[self.index] = torch.arange(len(self.index), device=self.index.device)
        near = self.index + steps
        same = self.grid[near] == self.here
        own = torch.arange(len(self.index), device=self.index.device)
        near = torch.where(same, places[near], own)
        name = own
        while True:
            lowest = torch.minimum(name, name[near].amin(0))
            # Let the old name's holder know too, so that long zones need few turns.
            passed = name.clone().scatter_reduce(0, name, lowest, "amin")
            lowest = torch.minimum(lowest, passed[name])
            lowest = lowest[lowest]
            if torch.equal(lowest, name):
                break
            name = lowest
        sizes = torch.bincount(name, minlength=len(own))
        roots = torch.nonzero(sizes).flatten()
        return self.here[roots].cpu().numpy(), sizes[roots].cpu().numpy()

    def _steps(self, steps: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(steps)).to(self.index.device)[:, None]


def _whole(counts: Tensor) -> Array:
    numbers: Any = counts.cpu().numpy()
    return np.ascontiguousarray(numbers, np.uint32)
