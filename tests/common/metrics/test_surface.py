"""Against a reference that measures every pair of surface voxels."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.metrics.surface import hausdorff_95, surface_dice, surface_distances

SPACING = (2.5, 0.5, 1.0)
EMPTY = np.zeros((4, 5, 6), bool)
masks = arrays(bool, (4, 5, 6), elements=st.booleans())


def surface(mask: np.ndarray) -> np.ndarray:
    around = np.pad(mask, 1)
    points = []
    for index in np.argwhere(around):
        for step in np.vstack([np.eye(3, dtype=int), -np.eye(3, dtype=int)]):
            if not around[tuple(index + step)]:
                points.append(index - 1)
                break
    return np.array(points) * SPACING


def reference(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    apart = np.linalg.norm(surface(a)[:, None] - surface(b)[None], axis=-1)
    return apart.min(1), apart.min(0)


@settings(max_examples=25, deadline=None)
@given(masks, masks, st.floats(0.2, 4))
def test_scores_are_those_of_all_pairs_of_surface_voxels(a, b, tolerance_mm) -> None:
    a[0, 0, 0] = b[-1, -1, -1] = True
    found = surface_distances(a, b, SPACING)
    there, back = reference(a, b)
    both = np.concatenate([there, back])
    worst = max(np.percentile(there, 95), np.percentile(back, 95))
    assert hausdorff_95(found) == pytest.approx(worst)
    assert surface_dice(found, tolerance_mm) == pytest.approx((both <= tolerance_mm).mean())


def test_spacing_is_in_the_order_of_the_axes() -> None:
    a, b = EMPTY.copy(), EMPTY.copy()
    a[0, 2, 2] = b[3, 2, 2] = True
    assert hausdorff_95(surface_distances(a, b, SPACING)) == pytest.approx(7.5)


def test_a_mask_that_touches_the_edge_of_the_image_has_its_surface_there() -> None:
    whole, but_one = ~EMPTY, ~EMPTY
    but_one[0] = False
    assert hausdorff_95(surface_distances(whole, but_one, SPACING)) == pytest.approx(2.5)


def test_equal_masks_are_perfect() -> None:
    found = surface_distances(~EMPTY, ~EMPTY, SPACING)
    assert (hausdorff_95(found), surface_dice(found, 0.1)) == (0.0, 1.0)


def test_empty_masks_have_their_own_scores() -> None:
    none, full = surface_distances(EMPTY, EMPTY, SPACING), ~EMPTY
    assert (hausdorff_95(none), surface_dice(none, 1.0)) == (0.0, 1.0)
    for one in (surface_distances(EMPTY, full, SPACING), surface_distances(full, EMPTY, SPACING)):
        assert isnan(hausdorff_95(one))
        assert surface_dice(one, 1.0) == 0.0


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        surface_distances(EMPTY, EMPTY[:1], SPACING)
