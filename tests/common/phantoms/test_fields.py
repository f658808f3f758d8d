"""Random fields have the size they claim and do not depend on the voxels."""

import numpy as np

from common.phantoms.fields import Grid, block_mean, inside, smooth_field, stream

COARSE = Grid.over((32.0, 40.0, 32.0), (2.0, 1.0, 1.0))
FINE, FACTORS = COARSE.finer(1.0)


def test_a_field_has_mean_zero_and_deviation_one():
    fields = [smooth_field(stream("field", i), FINE, 7.0) for i in range(60)]
    assert abs(np.mean(fields)) < 0.03
    assert abs(np.std(fields) - 1.0) < 0.03


def test_a_field_does_not_depend_on_the_voxels():
    coarse = smooth_field(stream("one"), COARSE, 7.0)
    fine = smooth_field(stream("one"), FINE, 7.0)
    assert np.abs(block_mean(fine, FACTORS) - coarse).max() < 0.05


def test_streams_of_other_names_are_others():
    first = stream(1, "north", 2).random(4)
    assert np.array_equal(first, stream(1, "north", 2).random(4))
    assert not np.array_equal(first, stream(1, "north", 3).random(4))
    assert not np.array_equal(stream("a", "b").random(4), stream("ab").random(4))


def test_a_grid_covers_the_field_of_view():
    assert COARSE.shape == (16, 40, 32)
    assert FINE.shape == (32, 40, 32)
    assert FACTORS == (2, 1, 1)
    assert COARSE.axis(0).sum() == 0


def test_a_border_lies_where_the_distance_is_zero():
    shares = inside(np.array([-9.0, 0.0, 9.0]), 0.5)
    assert np.allclose(shares, [1.0, 0.5, 0.0])
