import numpy as np
import pytest
import torch
from torch import Tensor

from common.networks.perceptual import RandomFeatures, feature_distance, judge
from common.networks.super_resolver import Adversaries
from common.networks.weights import initial_weights, load_weights
from common.seeds import torch_rng
from common.tasks.super_resolution import SuperResolution

TASK = {"image": "t1", "network": {"channels": 4, "blocks": 1}, "patch": [8, 8, 8]}


def networks(**changes) -> Adversaries:
    made = SuperResolution.model_validate({**TASK, **changes}).build()
    load_weights(made, initial_weights(made, 3))
    return made


def images(factors=(2, 2, 2)) -> tuple[Tensor, Tensor]:
    rng = torch_rng("images")
    coarse = torch.randn((1, 1, 4, 4, 4), generator=rng)
    fine = torch.randn((1, 1, *(4 * f for f in factors)), generator=rng)
    return coarse, fine


@pytest.mark.parametrize("factors", [(2, 2, 2), (2, 1, 1), (1, 2, 2)])
def test_the_finer_image_has_as_many_voxels_as_its_factors_say(factors) -> None:
    coarse, fine = images(factors)
    assert networks(finer=factors)(coarse, fine).shape == fine.shape


def test_it_begins_near_the_interpolated_image() -> None:
    coarse, fine = images()
    with torch.no_grad():
        apart = (networks()(coarse, fine) - fine).abs().mean()
    assert 0 < float(apart) < 0.2 * float(fine.abs().mean())


def test_the_discriminator_is_exchanged_only_where_it_is_shared() -> None:
    own, shared = networks(), networks(discriminator={"kept": "shared", "channels": [4, 8]})
    assert not any("discriminator" in name for name, _ in own.named_parameters())
    assert any("discriminator" in name for name, _ in shared.named_parameters())


def test_perceptual_features_are_the_same_everywhere_and_never_trained() -> None:
    one, other = RandomFeatures(), RandomFeatures()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not any(p.requires_grad for p in one.parameters())


def test_perceptual_features_answer_to_detail_and_not_to_a_flat_image() -> None:
    _, fine = images()
    features = RandomFeatures()
    flat = features.levels[0](torch.ones_like(fine))[..., 1:-1, 1:-1, 1:-1]
    assert flat.abs().max() < 1e-5
    blurred = torch.nn.functional.avg_pool3d(fine, 3, 1, 1)
    assert feature_distance(features(fine), features(fine)) == 0
    assert feature_distance(features(blurred), features(fine)) > 0.1


def test_a_verdict_is_worst_where_it_is_wrong() -> None:
    sure = torch.ones(1, 1, 2, 2, 2)
    assert judge(sure, original=True) == 0
    assert judge(sure, original=False) == 1


def test_gradients_of_single_images_can_be_taken() -> None:
    """As Opacus needs: nothing in place, nothing that mixes images."""
    network = networks().generator
    parameters = {name: p.detach() for name, p in network.named_parameters()}
    coarse, fine = (torch.cat([part, 2 * part]) for part in images())

    def loss(params, x, y):
        made = torch.func.functional_call(network, params, (x[None], y[None]))
        return (made - y).abs().mean()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(parameters, coarse, fine)
    alone = torch.func.grad(loss)(parameters, coarse[1], fine[1])
    np.testing.assert_allclose(each["tail.weight"][1], alone["tail.weight"], atol=1e-6)
