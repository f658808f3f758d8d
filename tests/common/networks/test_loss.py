import pytest
import torch

from common.networks.loss import DiceCrossEntropy
from common.seeds import torch_rng
from common.tasks.loss import IGNORED

RNG = torch_rng("loss")
LOGITS = torch.randn(2, 3, 4, 4, 4, generator=RNG)
MASK = torch.randint(0, 3, (2, 4, 4, 4), generator=RNG)


def loss(outputs=(LOGITS,), mask=MASK, **changes) -> float:
    settings = {"dice": 1, "cross_entropy": 1, "batch_dice": False, "smoothing": 0}
    return float(DiceCrossEntropy(**settings | changes)(outputs, mask))


def test_cross_entropy_is_torchs() -> None:
    for smoothing in (0.0, 0.1):
        torchs = torch.nn.functional.cross_entropy(LOGITS, MASK, label_smoothing=smoothing)
        assert loss(dice=0, smoothing=smoothing) == pytest.approx(float(torchs), rel=1e-5)


def test_dice_is_the_mean_over_labels_and_images() -> None:
    p = LOGITS.softmax(1)
    each = [
        2 * p[n, k][MASK[n] == k].sum() / (p[n, k].sum() + (MASK[n] == k).sum())
        for n in range(2)
        for k in (1, 2)
    ]
    assert loss(cross_entropy=0) == pytest.approx(1 - float(sum(each)) / 4, rel=1e-4)


def test_batch_dice_takes_the_batch_as_one_image() -> None:
    one = (LOGITS.movedim(1, 0).reshape(1, 3, 8, 4, 4),)
    whole = loss(one, MASK.reshape(1, 8, 4, 4), cross_entropy=0)
    assert loss(cross_entropy=0, batch_dice=True) == pytest.approx(whole, rel=1e-5)
    assert whole != pytest.approx(loss(cross_entropy=0), rel=1e-5)


def test_a_sure_and_right_answer_costs_nothing() -> None:
    sure = torch.nn.functional.one_hot(MASK, 3).movedim(-1, 1).float() * 100
    assert loss((sure,)) == pytest.approx(0, abs=1e-4)


def test_weights_are_applied() -> None:
    parts = loss(dice=0), loss(cross_entropy=0)
    assert loss(dice=2, cross_entropy=3) == pytest.approx(3 * parts[0] + 2 * parts[1], rel=1e-5)


def test_coarser_outputs_count_half_each() -> None:
    small = LOGITS[:, :, ::2, ::2, ::2].contiguous()
    coarse = loss((small,), MASK[:, 1::2, 1::2, 1::2])
    assert loss((LOGITS, small)) == pytest.approx((2 * loss() + coarse) / 3, rel=1e-5)


def test_a_label_that_is_nowhere_gives_no_nan() -> None:
    assert loss(mask=torch.zeros_like(MASK)) == loss(mask=torch.zeros_like(MASK))


def test_ignored_voxels_count_for_nothing() -> None:
    half = MASK.clone()
    half[..., 2:] = IGNORED
    cut = (LOGITS[..., :2].contiguous(),), MASK[..., :2].contiguous()
    for part in ({"dice": 0}, {"cross_entropy": 0}, {"batch_dice": True}, {"smoothing": 0.1}):
        assert loss((LOGITS,), half, **part) == pytest.approx(loss(*cut, **part), rel=1e-5)


def test_an_image_of_which_nothing_is_known_has_no_loss_and_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    settings = {"dice": 1, "cross_entropy": 1, "batch_dice": False, "smoothing": 0}
    found = DiceCrossEntropy(**settings)((logits,), torch.full_like(MASK, IGNORED))
    found.backward()
    assert float(found.detach()) == 0
    assert float(logits.grad.abs().max()) == 0
