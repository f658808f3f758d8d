import numpy as np
import pytest

from common.metrics.overlap import dice, volume_error_ml

EMPTY = np.zeros((2, 3, 4), bool)


def box(n_z: int) -> np.ndarray:
    mask = EMPTY.copy()
    mask[:n_z] = True
    return mask


def test_dice_is_twice_the_common_part_over_both_sizes() -> None:
    assert dice(box(1), box(2)) == pytest.approx(2 * 12 / (12 + 24))
    assert dice(box(2), box(2)) == 1.0


def test_dice_of_two_empty_masks_is_1_and_of_one_is_0() -> None:
    assert dice(EMPTY, EMPTY) == 1.0
    assert dice(EMPTY, box(1)) == dice(box(1), EMPTY) == 0.0


def test_volume_error_has_the_sign_of_too_much() -> None:
    assert volume_error_ml(box(2), box(1), (1, 2, 5)) == pytest.approx(0.12)
    assert volume_error_ml(EMPTY, box(1), (1, 2, 5)) == pytest.approx(-0.12)


@pytest.mark.parametrize("score", [dice, lambda a, b: volume_error_ml(a, b, (1, 1, 1))])
def test_masks_of_two_shapes_are_refused(score) -> None:
    with pytest.raises(ValueError, match="one shape"):
        score(EMPTY, EMPTY[:1])
