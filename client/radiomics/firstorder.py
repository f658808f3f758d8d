"""First-order statistics, in the order of `common.radiomics.names`, and order statistics."""

import numpy as np

from client.radiomics.compiled import Array, Floats, inner, kernel, regrouping

EPS = 2.220446049250313e-16
_N_FINE = 2048


@kernel
def first_order(values: Floats, histogram: Array, shift: float, voxel_mm3: float) -> Floats:
    """Return the eighteen features and, last, the standard deviation.

    Args:
        values: (N,), grey values inside the region.
        histogram: voxels of each grey level.
        shift: PyRadiomics' voxelArrayShift.
        voxel_mm3: volume of a voxel.
    """
    out = np.empty(19)
    n = values.shape[0]
    low, high, mean = _extent(values)
    order = _percentiles(values, low, high)
    p10, p25, p50, p75, p90 = order[0], order[1], order[2], order[3], order[4]
    energy, mad, m2, m3, m4 = _moments(values, mean, shift)
    out[0], out[1], out[2] = p10, p90, energy
    out[3], out[16] = _entropy(histogram, n)
    out[4] = p75 - p25
    safe = m2 if m2 != 0 else 1.0
    out[5] = m4 / safe**2
    out[6], out[7], out[8], out[9], out[10], out[11] = high, mad, mean, p50, low, high - low
    out[12] = _robust_deviation(values, p10, p90)
    out[13] = np.sqrt(energy / n)
    out[14] = m3 / safe**1.5
    out[15] = energy * voxel_mm3
    out[17] = m2
    out[18] = np.sqrt(m2)
    return out


@regrouping
def _extent(values: Floats) -> tuple[float, float, float]:
    low, high, total = values[0], values[0], 0.0
    for i in range(values.shape[0]):
        v = values[i]
        low = v if v < low else low
        high = v if v > high else high
        total += v
    return low, high, total / values.shape[0]


@regrouping
def _moments(values: Floats, mean: float, shift: float) -> tuple[float, float, float, float, float]:
    energy, mad, m2, m3, m4 = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(values.shape[0]):
        v = values[i]
        d = v - mean
        d2 = d * d
        energy += (v + shift) * (v + shift)
        mad += abs(d)
        m2 += d2
        m3 += d2 * d
        m4 += d2 * d2
    n = values.shape[0]
    return energy, mad / n, m2 / n, m3 / n, m4 / n


@inner
def _entropy(histogram: Array, n: int) -> tuple[float, float]:
    entropy, uniformity = 0.0, 0.0
    for level in range(histogram.shape[0]):
        if histogram[level]:
            p = histogram[level] / n
            entropy -= p * np.log2(p + EPS)
            uniformity += p * p
    return entropy, uniformity


@regrouping
def _robust_deviation(values: Floats, low: float, high: float) -> float:
    """Return the mean absolute deviation of the values within [low, high]."""
    n, total = 0.0, 0.0
    for i in range(values.shape[0]):
        v = values[i]
        keep = 1.0 if (v >= low) & (v <= high) else 0.0
        n += keep
        total += keep * v
    mean = total / n
    apart = 0.0
    for i in range(values.shape[0]):
        v = values[i]
        keep = 1.0 if (v >= low) & (v <= high) else 0.0
        apart += keep * abs(v - mean)
    return apart / n


@inner
def _percentiles(values: Floats, low: float, high: float) -> Floats:
    """Return the 10th, 25th, 50th, 75th and 90th percentile, linear between values."""
    n = values.shape[0]
    shares = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    ranks = np.empty(10, np.int64)
    for k in range(5):
        ranks[2 * k] = min(int(np.floor((n - 1) * shares[k])), n - 1)
        ranks[2 * k + 1] = min(ranks[2 * k] + 1, n - 1)
    found = _order_statistics(values, ranks, low, high)
    out = np.empty(5)
    for k in range(5):
        a, b = found[2 * k], found[2 * k + 1]
        t = (n - 1) * shares[k] - ranks[2 * k]
        out[k] = b - (b - a) * (1 - t) if t >= 0.5 else a + (b - a) * t
    if n % 2 == 0:
        out[2] = (found[4] + found[5]) / 2
    return out


@inner
def _order_statistics(values: Floats, ranks: Array, low: float, high: float) -> Floats:
    """Return the values of given ranks, ascending, sorting only the bins they fall into."""
    out = np.empty(ranks.shape[0])
    scale = _N_FINE / (high - low) if high > low else 0.0
    if not (scale > 0.0 and scale < np.inf):
        for k in range(ranks.shape[0]):
            out[k] = low
        return out
    n = values.shape[0]
    fine = np.empty(n, np.uint16)
    counts = np.zeros(_N_FINE, np.int64)
    for i in range(n):
        fine[i] = np.uint16(min((values[i] - low) * scale, _N_FINE - 1.0))
    for i in range(n):
        counts[fine[i]] += 1
    # Where a bin that is wanted begins among the gathered values, plus one; 0 for others.
    begins, of_rank = np.zeros(_N_FINE, np.int64), np.empty((ranks.shape[0], 2), np.int64)
    n_gathered = _choose(counts, ranks, begins, of_rank)
    gathered = _gather(values, fine, begins, n_gathered)
    last = -1
    for k in range(ranks.shape[0]):
        begin = begins[of_rank[k, 0]] - 1 - counts[of_rank[k, 0]]
        if begin != last:
            _sort(gathered[begin : begin + counts[of_rank[k, 0]]])
            last = begin
        out[k] = gathered[begin + ranks[k] - of_rank[k, 1]]
    return out


@inner
def _choose(counts: Array, ranks: Array, begins: Array, of_rank: Array) -> int:
    """Find each rank's bin and how many values lie below it; return the bins' values in all."""
    k, below, total = 0, 0, 0
    for b in range(counts.shape[0]):
        while k < ranks.shape[0] and ranks[k] < below + counts[b]:
            of_rank[k, 0], of_rank[k, 1] = b, below
            if begins[b] == 0:
                begins[b] = total + 1
                total += counts[b]
            k += 1
        below += counts[b]
    return total


@inner
def _gather(values: Floats, fine: Array, begins: Array, n: int) -> Floats:
    """Return the values of the wanted bins; each bin's mark then stands behind its last."""
    out = np.empty(n)
    for i in range(values.shape[0]):
        b = fine[i]
        if begins[b]:
            out[begins[b] - 1] = values[i]
            begins[b] += 1
    return out


@inner
def _sort(part: Floats) -> None:
    """Sort in place by heaps (Williams, 1964): never slow, and quick to compile."""
    n = part.shape[0]
    for end in range(n + n // 2 - 1, 0, -1):
        if end >= n:
            root, last = end - n, n
        else:
            root, last = 0, end
            part[0], part[end] = part[end], part[0]
        while 2 * root + 1 < last:
            child = 2 * root + 1
            if child + 1 < last and part[child + 1] > part[child]:
                child += 1
            if part[root] >= part[child]:
                break
            part[root], part[child] = part[child], part[root]
            root = child
