from dataclasses import replace
from math import isnan

import numpy as np
import pytest
import torch
from torch import nn

from client import predict as module
from client.imageio import Volume, read_image, write_image
from client.predict import predict, validate, write_prediction
from common.holdings import Holdings
from common.metrics.surface import hausdorff_95, surface_dice, surface_distances
from common.networks.weights import initial_weights
from tests.client.small_cases import RAS, ball, bench, case, grid, oblique


class Oracle(nn.Module):
    """Sees from the grey level what the label is; the images of a ball are not noisy."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        level = x[:, :1] * 100
        return (torch.cat([-(level - v).abs() for v in (0, 30, 60)], dim=1),)


WINDOW = {"kind": "hu_window", "low": 0, "high": 200}


def clear(folder, on):
    """Write a case whose image is 100 plus 30 or 60 on its labels."""
    c = case(folder, on=on)
    labels = ball(on)[1]
    image = 100 + 60.0 * (labels == 3) + 30.0 * (labels == 7)
    write_image(c.images["t1"], Volume(image.astype(np.float32), on))
    return c, labels


@pytest.fixture
def oracle(monkeypatch) -> None:
    monkeypatch.setattr(module, "_network", lambda *_: Oracle().eval())


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("axes", [RAS, oblique(20), oblique(50)])
@pytest.mark.parametrize(
    "recipe", [{"size": (16, 24, 16)}, {"patch": (8, 8, 8)}, {"patch": (4, 8, 8), "overlap": 0.2}]
)
def test_a_perfect_network_is_perfect_on_the_grid_of_the_file(tmp_path, axes, recipe) -> None:
    on = grid((13, 18, 11), (1.3, 0.8, 1.0), axes)
    c, labels = clear(tmp_path, on)
    b = bench(tmp_path, recipe={**recipe, "normalise": WINDOW})
    found = predict(b, [{}], c)
    assert np.array_equal(found.mask.voxels, labels)
    assert found.mask.grid.matches(read_image(c.images["t1"]).grid, 1e-6)
    assert {found.scores[f"dice_{k}"] for k in ("rim", "core")} == {1.0}
    assert {found.scores[f"hd95_mm_{k}"] for k in ("rim", "core")} == {0.0}
    assert set(found.scores) == set(b.task.score_columns(["rim", "core"]))


@pytest.mark.usefixtures("oracle")
def test_in_2d_slices_come_back_in_their_place(tmp_path) -> None:
    c, labels = clear(tmp_path, grid((13, 18, 11), (3.0, 0.8, 1.0), oblique()))
    for recipe in ({"size": (24, 16)}, {"patch": (8, 8)}):
        b = bench(tmp_path, dimensions=2, recipe={**recipe, "normalise": WINDOW})
        assert np.array_equal(predict(b, [{}], c).mask.voxels, labels)


@pytest.mark.usefixtures("oracle")
def test_after_resampling_scores_are_in_mm_of_the_file(tmp_path) -> None:
    c, labels = clear(tmp_path, grid((10, 18, 18), (2.0, 0.8, 0.8), oblique()))
    recipe = {"size": (24, 24, 24), "spacing_mm": [1, 1, 1], "normalise": WINDOW}
    found = predict(bench(tmp_path, recipe=recipe), [{}], c)
    assert found.mask.voxels.shape == labels.shape
    assert found.scores["dice_core"] > 0.75
    assert found.scores["hd95_mm_core"] <= 2.0
    volume_ml = np.count_nonzero(labels == 3) * 2.0 * 0.8 * 0.8 / 1000
    assert abs(found.scores["volume_error_ml_core"]) < 0.5 * volume_ml


@pytest.mark.usefixtures("oracle")
def test_a_mask_on_another_image_comes_back_on_that_ones_grid(tmp_path) -> None:
    c, _ = clear(tmp_path, grid((13, 18, 11)))
    fine = grid((26, 36, 22), (0.5, 0.5, 0.5))
    write_image(tmp_path / "fine.nii.gz", Volume(np.zeros(fine.shape, np.uint8), fine))
    c = replace(c, images={**c.images, "fine": tmp_path / "fine.nii.gz"}, masks={"ball": None})
    b = bench(tmp_path, recipe={"size": (16, 24, 16), "normalise": WINDOW})
    moved = b.mask.model_copy(update={"on": "fine"})
    b = replace(b, known=Holdings(masks={"ball": moved}))
    found = predict(b, [{}], c)
    assert found.mask.grid.matches(fine, 1e-4)
    assert {3, 7} <= set(np.unique(found.mask.voxels).tolist())


@pytest.mark.usefixtures("oracle")
def test_without_a_true_mask_scores_are_nan(tmp_path) -> None:
    c, _ = clear(tmp_path, grid())
    found = predict(bench(tmp_path), [{}], replace(c, masks={"ball": None}))
    assert all(isnan(score) for score in found.scores.values())


@pytest.mark.usefixtures("oracle")
def test_a_true_mask_on_another_grid_is_refused(tmp_path) -> None:
    c, _ = clear(tmp_path, grid())
    write_image(c.masks["ball"], Volume(np.zeros((4, 4, 4), np.uint8), grid((4, 4, 4))))
    with pytest.raises(ValueError, match=r'"ball": expected the grid of "t1", \(8, 16, 8\)'):
        predict(bench(tmp_path), [{}], c)


def test_the_tolerance_of_the_surface_dice_is_the_studys(tmp_path) -> None:
    c = case(tmp_path)

    def score(mm: float) -> float:
        b = bench(tmp_path, scores={"tolerance_mm": mm})
        weights = initial_weights(b.network(), 1)
        return predict(b, [weights], c).scores["surface_dice_rim"]

    assert score(0.1) < score(4.0)


def test_an_ensemble_is_the_mean_of_probabilities(tmp_path) -> None:
    b, c = bench(tmp_path), case(tmp_path)
    nets = [initial_weights(b.network(), seed) for seed in (1, 2)]
    image = module.prepare(b, c).image
    cpu = torch.device("cpu")

    def chances(*weights):
        return module._chances(b, [module._network(b, w, cpu) for w in weights], image, cpu)

    one, other = chances(nets[0]), chances(nets[1])
    np.testing.assert_allclose(chances(*nets), (one + other) / 2, atol=1e-6)
    np.testing.assert_allclose(one.sum(0), 1, atol=1e-5)
    assert not np.allclose(one, other)


def test_windows_count_by_their_middle_and_chances_add_up_to_one(tmp_path) -> None:
    class Blind(nn.Module):
        """Sure of class 1, but of class 2 in the first voxels of its window."""

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            sure = torch.full((len(x), 3, *x.shape[2:]), -9.0)
            sure[:, 1, :, 2:], sure[:, 2, :, :2] = 9.0, 9.0
            return (sure,)

    b = bench(tmp_path, recipe={"patch": (8, 8, 8), "overlap": 0.75})
    image = np.zeros((1, 8, 24, 8), np.float32)
    found = module._chances(b, [Blind().eval()], image, torch.device("cpu"))
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)
    assert (found[:, :, 2:].argmax(0) == 1).all()
    assert (found[1, :, 8:16] > 0.9).all()


def test_distances_are_in_mm_of_the_file(tmp_path) -> None:
    on = grid((13, 18, 11), (2.5, 0.5, 1.0))
    c, labels = clear(tmp_path, on)
    shifted = np.roll(labels, 1, axis=0)
    write_image(c.masks["ball"], Volume(shifted, on))
    b = bench(tmp_path, recipe={"size": (16, 24, 16), "normalise": WINDOW})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_network", lambda *_: Oracle().eval())
        scores = predict(b, [{}], c).scores
    apart = surface_distances(labels == 3, shifted == 3, on.spacing_mm)
    assert scores["hd95_mm_core"] == pytest.approx(hausdorff_95(apart)) == 2.5
    assert scores["surface_dice_core"] == pytest.approx(surface_dice(apart, 1.0))


def test_overlap_makes_more_windows() -> None:
    few, many = (list(module._starts((8, 16, 8), (8, 8, 8), o)) for o in (0.0, 0.75))
    assert len(few) == 2
    assert len(many) == 5
    for starts in (few, many):
        covered = np.zeros((8, 16, 8), bool)
        for start in starts:
            covered[module._slices(start, (8, 8, 8))] = True
        assert covered.all()


@pytest.mark.usefixtures("oracle")
def test_validation_gives_a_dice_a_label_and_case(tmp_path) -> None:
    b = bench(tmp_path, recipe={"size": (8, 16, 8), "normalise": WINDOW})
    cases = [clear(tmp_path, grid())[0], case(tmp_path, 5, masks={"ball": None})]
    found = validate(b, {}, cases)
    assert list(found) == ["rim", "core"]
    assert all(scores[0] == 1.0 and isnan(scores[1]) for scores in found.values())


@pytest.mark.usefixtures("oracle")
def test_empty_masks_count_as_the_metrics_say(tmp_path) -> None:
    c, _ = clear(tmp_path, grid())
    write_image(c.masks["ball"], Volume(np.zeros((8, 16, 8), np.uint8), grid()))
    b = bench(tmp_path, recipe={"size": (8, 16, 8), "normalise": WINDOW})
    assert validate(b, {}, [c])["core"].tolist() == [0.0]
    assert isnan(predict(b, [{}], c).scores["hd95_mm_core"])


@pytest.mark.usefixtures("oracle")
def test_a_prediction_is_written_where_the_image_lies(tmp_path) -> None:
    c, labels = clear(tmp_path, grid((13, 18, 11), (1.3, 0.8, 1.0), oblique()))
    b = bench(tmp_path, recipe={"size": (16, 24, 16), "normalise": WINDOW})
    write_prediction(tmp_path / "p.nii.gz", predict(b, [{}], c))
    back = read_image(tmp_path / "p.nii.gz")
    assert np.array_equal(back.voxels, labels)
    assert back.grid.matches(read_image(c.images["t1"]).grid, 1e-3)
