import pytest
import torch
from torch import nn

from common.networks.residual_unet import Dropout
from common.seeds import torch_rng
from common.tasks.segmentation import ResidualUNetSettings


def network(dimensions: int = 3, n_classes: int = 3, **settings) -> nn.Module:
    settings = {"channels": (4, 8, 8)} | settings
    made = ResidualUNetSettings.model_validate(settings).build(2, n_classes, dimensions)
    rng = torch_rng("network")
    for parameter in made.parameters():
        nn.init.normal_(parameter, 0, 0.3, generator=rng)
    return made


def image(dimensions: int = 3, n: int = 2) -> torch.Tensor:
    return torch.randn((n, 2, *(8,) * dimensions), generator=torch_rng("image"))


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("n_classes", [2, 7])
@pytest.mark.parametrize("strides", [None, (2, 2, 1)])
def test_every_voxel_gets_a_number_a_class(dimensions, n_classes, strides) -> None:
    made = network(dimensions, n_classes, strides=strides).eval()
    (logits,) = made(image(dimensions))
    assert logits.shape == (2, n_classes, *(8,) * dimensions)


def test_axes_may_have_strides_of_their_own() -> None:
    made = network(strides=(1, (1, 2, 2), 2)).eval()
    assert made(image()[:, :, :2])[0].shape == (2, 3, 2, 8, 8)


def test_deep_supervision_adds_coarser_outputs_in_training_only() -> None:
    made = network(deep_supervision=3)
    assert [tuple(y.shape[2:]) for y in made(image())] == [(8,) * 3, (4,) * 3, (2,) * 3]
    assert len(made.eval()(image())) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"channels": (4, 8)},
        {"residual_units": (1, 1)},
        {"residual_units": (2, 2)},
        {"norm": "group"},
        {"norm": "batch"},
        {"strides": (2, 2, 1)},
        {"dropout": 0.5},
    ],
)
def test_each_setting_changes_what_comes_out(settings) -> None:
    assert not torch.equal(network()(image())[0], network(**settings)(image())[0])


def test_instance_norm_is_the_group_norm_with_a_group_a_channel() -> None:
    group = next(m for m in network().modules() if isinstance(m, nn.GroupNorm))
    instance = nn.InstanceNorm3d(group.num_channels, affine=True)
    instance.load_state_dict(group.state_dict())
    x = torch.randn(2, group.num_channels, 4, 4, 4, generator=torch_rng("x"))
    torch.testing.assert_close(group(x), instance(x))


def test_images_of_a_batch_do_not_touch_each_other() -> None:
    made, x = network(), image()
    torch.testing.assert_close(made(x)[0][:1], made(x[:1])[0])


def test_dropout_draws_from_its_own_generator() -> None:
    drop, x = Dropout(0.5), torch.ones(4, 100, 2, 2)
    before = torch.get_rng_state()
    drop.generator = torch_rng("drop")
    first = drop(x)
    drop.generator = torch_rng("drop")
    assert torch.equal(first, drop(x))
    assert torch.equal(before, torch.get_rng_state())
    assert set(first.unique().tolist()) == {0.0, 2.0}
    assert (first.amax((2, 3)) == first.amin((2, 3))).all()
    assert torch.equal(drop.eval()(x), x)


def test_nothing_is_changed_in_place_so_per_sample_gradients_work() -> None:
    made, x = network(deep_supervision=2), image(n=2)
    names, values = zip(*made.named_parameters(), strict=True)

    def loss(parameters, one):
        outputs = torch.func.functional_call(made, dict(zip(names, parameters, strict=True)), one)
        return sum(y.square().mean() for y in outputs)

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(values, x[:, None])
    total = torch.autograd.grad(sum(loss(values, one[None]) for one in x), values)
    for one, both in zip(each, total, strict=True):
        torch.testing.assert_close(one.sum(0), both, rtol=1e-3, atol=1e-4)


@pytest.mark.slow  # bringing Opacus takes seconds
@pytest.mark.filterwarnings("ignore")  # Opacus's own
@pytest.mark.parametrize("norm", ["instance", "group"])
def test_opacus_finds_the_gradient_of_each_image(norm) -> None:
    opacus = pytest.importorskip("opacus")
    made, x = network(norm=norm, deep_supervision=2), image(n=3)
    assert opacus.validators.ModuleValidator.validate(made) == []

    def loss(net, part):
        return sum(y.square().mean() for y in net(part))

    values = list(made.parameters())
    alone = [torch.autograd.grad(loss(made, x[i : i + 1]), values) for i in range(3)]
    loss(opacus.GradSampleModule(made), x).backward()
    for k, parameter in enumerate(values):
        for i in range(3):
            found = parameter.grad_sample[i]
            torch.testing.assert_close(found, alone[i][k], rtol=1e-3, atol=1e-4)
