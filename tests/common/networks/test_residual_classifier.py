import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from common.networks.class_loss import class_cross_entropy
from common.networks.parts import names_of
from common.seeds import torch_rng
from common.tasks.classifier_network import ResidualClassifierSettings


def network(dimensions: int = 3, **settings) -> nn.Module:
    settings = {"channels": (4, 8), "dropout": 0.0} | settings
    made = ResidualClassifierSettings.model_validate(settings).build(2, 3, 3, dimensions)
    rng = torch_rng("network")
    for parameter in made.parameters():
        nn.init.normal_(parameter, 0, 0.3, generator=rng)
    return made


def seen(dimensions: int = 3, n: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn((n, 2, *(8,) * dimensions), generator=torch_rng("image"))
    columns = torch.randn((n, 3), generator=torch_rng("columns"))
    columns[0, 1] = torch.nan
    return images, columns


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("settings", [{}, {"sequences": "branches"}, {"pool": "both"}])
def test_every_case_gets_a_number_a_class(dimensions, settings) -> None:
    made = network(dimensions, **settings).eval()
    images, columns = seen(dimensions)
    logits = made(images, columns)
    assert logits.shape == (2, 3)
    assert logits.isfinite().all()
    torch.testing.assert_close(logits[1:], made(images[1:], columns[1:]))


def test_the_temperature_divides_outside_of_training_only() -> None:
    made = network()
    cool = made(*seen())
    made.temperature.fill_(2.0)
    assert torch.equal(made(*seen()), cool)
    torch.testing.assert_close(made.eval()(*seen()), cool / 2)


def test_images_in_branches_do_not_mix_before_the_head() -> None:
    made = network(sequences="branches").eval()
    images, columns = seen()
    maps = made.maps(images)
    other = images.clone()
    other[:, 1] = 0
    assert torch.equal(maps[0], made.maps(other)[0])
    assert not torch.equal(maps[1], made.maps(other)[1])
    assert not torch.equal(made(images, columns), made(other, columns))


@pytest.mark.parametrize("settings", [{}, {"sequences": "branches", "pool": "both"}])
def test_nothing_is_changed_in_place_so_per_sample_gradients_work(settings) -> None:
    made = network(**settings)
    images, columns = seen()
    names, values = zip(*made.named_parameters(), strict=True)

    def loss(parameters, image, column):
        weights = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(made, weights, (image, column)).square().mean()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(
        values, images[:, None], columns[:, None]
    )
    one_by_one = [
        torch.autograd.grad(loss(values, images[i : i + 1], columns[i : i + 1]), values)
        for i in (0, 1)
    ]
    for k, found in enumerate(each):
        for i in (0, 1):
            torch.testing.assert_close(found[i], one_by_one[i][k], rtol=1e-3, atol=1e-4)


def test_the_loss_of_equal_weights_is_torchs_and_weights_do_not_cancel() -> None:
    logits = torch.randn(5, 3, generator=torch_rng("logits"))
    classes = torch.tensor([0, 1, 2, 1, 1])
    equal = class_cross_entropy(logits, classes, weights=torch.ones(3), smoothing=0.1)
    torch.testing.assert_close(equal, F.cross_entropy(logits, classes, label_smoothing=0.1))
    weights = torch.tensor([1.0, 3.0, 1.0])
    heavy = class_cross_entropy(logits[1:2], classes[1:2], weights=weights, smoothing=0)
    torch.testing.assert_close(heavy, 3 * F.cross_entropy(logits[1:2], classes[1:2]))


def test_parts_have_names_and_unknown_ones_are_refused_in_words() -> None:
    made = network(norm="batch")
    assert names_of(made, ("head",)) == {"head.weight", "head.bias"}
    norms = names_of(made, ("norm",))
    assert any(name.endswith("running_mean") for name in norms)
    assert all(".body.1." in n or ".body.4." in n or "body" in n for n in norms)
    assert names_of(made, ("clinical.mix.*",)) == {"clinical.mix.weight", "clinical.mix.bias"}
    with pytest.raises(ValueError, match='the network has no "decoder": expected norm, head or'):
        names_of(made, ("decoder",))


def test_scores_are_in_full_precision_where_convolutions_are_not() -> None:
    made = network().eval()
    with torch.autocast("cpu", torch.bfloat16):
        logits = made(*seen())
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, made(*seen()), rtol=0.1, atol=0.1)
