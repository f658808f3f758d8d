"""Surface, volume and diameters of the mesh around a region, as PyRadiomics defines them.

Marching cubes (Lorensen and Cline, 1987) with cut points half-way between voxels. The
table of triangles is that of PyRadiomics 3.0.1 (radiomics/src/cshape.c), copyright the
AIM-Harvard community, BSD 3-clause licence.
"""

import math

import numpy as np

from client.radiomics.compiled import Array, Floats, inner, kernel
from common.radiomics.names import words

# A configuration of corners 0-6 (corner 7 outside): the triangles' edges in hexadecimal.
_TRIANGLES = words(
    "- 083 190 183198 12a 08312a 92a029 2832a8a98 b23 b2008b 190b23 b2119b98b 3a1ba3 "
    "a1008a8ba 9033b9ba9 98aba8 478 043473 190478 194147173 12a478 34730412a 92a902478 "
    "2a9297273479 478b23 b47b24204 190478b23 47b94bb29192 3a1ba3478 ba114b10447b "
    "4789033b9ba9 47b4b99ba 954 954083 054015 854835315 12a954 08312a954 2a5542240 "
    "2a5325354834 954b23 b2008b954 054015b23 215258b28548 3a1ba3954 549a1008a8ba "
    "54050ba5bb03 548a58ba8 789579 309539357 780017715 157173 78957912a 12a309395357 "
    "0288258572a5 2a5253357 579789b23 579972209b27 b23018178157 21b17b157 7895793a1ba3 "
    "5705097b0a10ba0 ba003ba50078570 ba557b 65a 08365a 19065a 18319865a 165126 165126083 "
    "965906026 598582526832 b2365a b2008b65a 190b2365a b2119b98b65a 63b653513 08b0b50515b6 "
    "63b036065059 65969bb98 47865a 04347365a 19047865a 19414717365a 478165126 043473165126 "
    "478965906026 739479329596269 b2347865a b47b2420465a 190b2347865a 47b94bb2919265a "
    "47863b653513 51b5b610b47b04b 47863b036065059 65969b4797b9 a4964a a4964a083 01aa60640 "
    "18316886461a 149124264 149124264083 024426 832824426 b23a4964a b2008ba4964a "
    "b2301aa60640 64161a148b2118b 964369139b63 18b081b61149641 63b036640 86468b 67a78a89a "
    "67a0a709a073 67a1a7178018 67a1a7173 126168189678 269129679309739 078706602 273267 "
    "b2367a78a89a 207b2709767a9a7 67a1a7178018b23 b2117ba61167 896678169b63136 09167b "
    "07870603bb60 67b"
)
_CUTS = np.array(
    [
        *([0, 0, 1], [0, 1, 2], [0, 2, 1], [0, 1, 0], [2, 0, 1], [2, 1, 2]),
        *([2, 2, 1], [2, 1, 0], [1, 0, 0], [1, 0, 2], [1, 2, 2], [1, 2, 0]),
    ]
) / np.float64(2.0)
_LETTERS = [word.strip("-") for word in _TRIANGLES]
_CORNERS = np.array([int(e, 16) for word in _LETTERS for e in word]).reshape(-1, 3)
_CUBES = np.repeat(np.arange(128), [len(word) // 3 for word in _LETTERS])


def surface_and_volume(padded: Array, spacing_mm: Array) -> tuple[float, float]:
    """Return surface (mm2) and volume (mm3) of the mesh around a mask padded by a voxel."""
    return _sum_cubes(np.ascontiguousarray(padded, np.uint8), _pieces(spacing_mm), spacing_mm)


def _pieces(spacing_mm: Array) -> Floats:
    """Return for each configuration its area, its signed volume times 6, and normals, (128, 5).

    Moving a triangle by t changes c . (a x b) by t . (a x b + b x c + c x a).
    """
    a, b, c = np.moveaxis(_CUTS[_CORNERS] * spacing_mm, 1, 0)
    pairs = np.cross(a, b)
    out = np.zeros((128, 5))
    np.add.at(out[:, 0], _CUBES, 0.5 * np.linalg.norm(np.cross(a - c, b - c), axis=1))
    np.add.at(out[:, 1], _CUBES, (c * pairs).sum(axis=1))
    np.add.at(out[:, 2:], _CUBES, pairs + np.cross(b, c) + np.cross(c, a))
    return out


@kernel
def _sum_cubes(mask: Array, pieces: Floats, spacing_mm: Array) -> tuple[float, float]:
    n_z, n_y, n_x = mask.shape
    surface, volume = 0.0, 0.0
    for z in range(n_z - 1):
        for y in range(n_y - 1):
            near, far = mask[z, y], mask[z, y + 1]
            near1, far1 = mask[z + 1, y], mask[z + 1, y + 1]
            # Corners 0 3 4 7 at x, and 1 2 5 6 at x + 1, as bits of the configuration.
            left = np.int64(near[0] | (far[0] << 3) | (near1[0] << 4) | (far1[0] << 7))
            for x in range(n_x - 1):
                right = np.int64(
                    (near[x + 1] << 1) | (far[x + 1] << 2)
                    | (near1[x + 1] << 5) | (far1[x + 1] << 6)
                )  # fmt: skip
                cube = left | right
                # The same corners seen from the next cube.
                left = (right & 2) >> 1 | (right & 4) << 1 | (right & 32) >> 1 | (right & 64) << 1
                if cube == 0 or cube == 255:
                    continue
                sign = 1.0
                if cube & 128:
                    cube, sign = cube ^ 255, -1.0
                piece = pieces[cube]
                surface += piece[0]
                volume += sign * (
                    piece[1]
                    + z * spacing_mm[0] * piece[2]
                    + y * spacing_mm[1] * piece[3]
                    + x * spacing_mm[2] * piece[4]
                )
    return surface, volume / 6


def diameters(padded: Array, spacing_mm: Array) -> tuple[float, float, float, float]:
    """Return the largest distance of mesh vertices: within z, y, x planes, and in space, mm.

    Vertices lie on a grid of half voxels. Of each row only the outermost can be the end of
    a diameter, of each plane only those on its convex hull.
    """
    mask = np.ascontiguousarray(padded, bool)
    best, widest = [], 0.0
    for axis in range(3):
        order = (axis, *({0, 1, 2} - {axis}))
        turned = np.ascontiguousarray(mask.transpose(order))
        step = spacing_mm[list(order)] / 2.0
        points, planes = _hulls(turned, step)
        best.append(_within_planes(points, planes))
        if axis == 0:
            widest = _across_planes(points, planes)
    return best[0], best[1], best[2], widest


@kernel
def _hulls(mask: Array, step: Floats) -> tuple[Floats, Array]:
    """Return the convex hull's corners of the vertices in every half plane.

    Returns:
        (M, 3) points in mm, and (planes + 1,) where each plane's points begin.
    """
    n_z, n_y, _ = mask.shape
    points = np.empty((2 * n_z * n_y * 4, 3))
    planes = np.zeros(2 * n_z, np.int64)
    m = 0
    for half in range(2 * n_z - 1):
        z, odd = half // 2, half % 2
        row = np.empty((4 * n_y, 2))
        n = 0
        for y2 in range(2 * n_y - 1):
            low, high = _ends(mask, z, odd, y2)
            if low >= 0:
                row[n, 0], row[n, 1] = y2 * step[1], low * step[2]
                row[n + 1, 0], row[n + 1, 1] = y2 * step[1], high * step[2]
                n += 2
        kept = _hull(row[:n])
        for k in range(kept.shape[0]):
            points[m, 0], points[m, 1], points[m, 2] = half * step[0], kept[k, 0], kept[k, 1]
            m += 1
        planes[half + 1] = m
    return points[:m], planes


@inner
def _ends(mask: Array, z: int, odd: int, y2: int) -> tuple[int, int]:  # noqa: C901
    """Return the outermost vertices of a row of half voxels, in half voxels; -1 for none."""
    y = y2 // 2
    a = mask[z, y]
    n = a.shape[0]
    if odd and y2 % 2:
        return -1, -1
    low, high = 0, n - 1
    if not odd and y2 % 2 == 0:
        while low < n and not a[low]:
            low += 1
        if low == n:
            return -1, -1
        while not a[high]:
            high -= 1
        return 2 * low - 1, 2 * high + 1
    b = mask[z + 1, y] if odd else mask[z, y + 1]
    while low < n and a[low] == b[low]:
        low += 1
    if low == n:
        return -1, -1
    while a[high] == b[high]:
        high -= 1
    return 2 * low, 2 * high


@inner
def _hull(points: Floats) -> Floats:
    """Return the convex hull of points sorted by both coordinates (Andrew, 1979)."""
    n = points.shape[0]
    if n < 3:
        return points
    out = np.empty((2 * n, 2))
    m = 0
    for turn in range(2):
        start = m
        for k in range(n):
            p = points[k] if turn == 0 else points[n - 1 - k]
            while m - start >= 2 and _cross(out[m - 2], out[m - 1], p) <= 0:
                m -= 1
            out[m, 0], out[m, 1] = p[0], p[1]
            m += 1
        m -= 1
    return out[:m]


@inner
def _cross(a: Floats, b: Floats, c: Floats) -> float:
    turn: float = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return turn


@inner
def _farthest(points: Floats, first: tuple[int, int], second: tuple[int, int]) -> float:
    best = 0.0
    for i in range(first[0], first[1]):
        for j in range(second[0], second[1]):
            d0 = points[i, 0] - points[j, 0]
            d1 = points[i, 1] - points[j, 1]
            d2 = points[i, 2] - points[j, 2]
            best = max(best, d0 * d0 + d1 * d1 + d2 * d2)
    return best


@kernel
def _within_planes(points: Floats, planes: Array) -> float:
    best = 0.0
    for k in range(planes.shape[0] - 1):
        span = (planes[k], planes[k + 1])
        best = max(best, _farthest(points, span, span))
    return math.sqrt(best)


@kernel
def _across_planes(points: Floats, planes: Array) -> float:
    """Return the largest distance, comparing only planes whose boxes are far enough apart."""
    n = planes.shape[0] - 1
    box = np.zeros((n, 4))
    for k in range(n):
        for i in range(planes[k], planes[k + 1]):
            first = i == planes[k]
            y, x = points[i, 1], points[i, 2]
            box[k, 0] = y if first else min(box[k, 0], y)
            box[k, 1] = y if first else max(box[k, 1], y)
            box[k, 2] = x if first else min(box[k, 2], x)
            box[k, 3] = x if first else max(box[k, 3], x)
    best = 0.0
    for apart in range(n - 1, -1, -1):
        for k in range(n - apart):
            j = k + apart
            if planes[k] == planes[k + 1] or planes[j] == planes[j + 1]:
                continue
            d0 = points[planes[j], 0] - points[planes[k], 0]
            d1 = max(box[k, 1] - box[j, 0], box[j, 1] - box[k, 0])
            d2 = max(box[k, 3] - box[j, 2], box[j, 3] - box[k, 2])
            if d0 * d0 + d1 * d1 + d2 * d2 > best:
                spans = (planes[k], planes[k + 1]), (planes[j], planes[j + 1])
                best = max(best, _farthest(points, spans[0], spans[1]))
    return math.sqrt(best)
