"""Super-resolution at a site: pairs, steps, what stays, and where finer images lie."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from client.augment import Luck
from client.bench import Bench
from client.cases import Case
from client.finer import refine, scan_of
from client.imageio import Grid, Volume, read_image, write_image
from client.learners.super_resolution import Learner
from client.pairs import load_pair
from client.trainer import Start, Trained, train
from common.cohort import Image
from common.holdings import Holdings
from common.networks.weights import initial_weights
from common.phantoms.fields import Grid as Field
from common.phantoms.fields import smooth_field
from common.seeds import numpy_rng, torch_rng
from common.tasks.local import Local
from common.tasks.super_resolution import SuperResolution
from tests.client.small_cases import RAS, grid, oblique

BOX = {"kind": "slice_profile", "shape": "box"}
TASK = {
    "image": "t1",
    "patch": [8, 8, 8],
    "acquisition": {"through_plane": BOX, "in_plane": BOX},
    "network": {"channels": 4, "blocks": 1},
    "discriminator": {"channels": [2, 4]},
}
LOCAL = Local(epochs=2, batch=2, learning_rate=0.01)


def bench(folder: Path, **changes) -> Bench:
    task = SuperResolution.model_validate({**TASK, **changes})
    known = Holdings(images={n: Image(modality="MR") for n in ("t1", "thick")})
    return Bench(task, known, folder / "cache", device="cpu", precision="float32")


def texture(shape, seed: int = 0) -> np.ndarray:
    field = smooth_field(numpy_rng("texture", seed), Field(shape, (1.0, 1.0, 1.0)), 2.0)
    return (100 + 20 * field).astype(np.float32)


def case(folder: Path, seed: int = 0, on: Grid | None = None) -> Case:
    on = on or grid((14, 16, 12))
    path = folder / f"{seed}.nii.gz"
    write_image(path, Volume(texture(on.shape, seed), on))
    return Case(f"c{seed}", f"p{seed}", "train", "", {"t1": path}, {}, {})


def trained(folder: Path, round_: int = 0, kept=None, **changes) -> Trained:
    made = bench(folder, **changes)
    weights = initial_weights(made.network(), 1)
    start = Start(weights, 5, 0.01, round=round_, kept=kept or {})
    return train(made, LOCAL, start, [case(folder, seed) for seed in range(3)])


def test_the_parts_of_a_drawn_patch_show_the_same(tmp_path) -> None:
    learner = Learner(bench(tmp_path, flip=["z", "y", "x"]))
    (pair,) = learner.load([case(tmp_path)], torch.device("cpu"))
    for seed in range(4):
        luck = Luck(numpy_rng("luck", seed), torch_rng("luck"))
        coarse, interpolated, original = learner.draw(pair, luck, torch.device("cpu"))
        assert original.shape == interpolated.shape == (1, 8, 8, 8)
        torch.testing.assert_close(F.avg_pool3d(original, 2), coarse, atol=1e-4, rtol=0)


def test_an_image_smaller_than_the_patch_is_continued(tmp_path) -> None:
    learner = Learner(bench(tmp_path, patch=[24, 24, 24]))
    (pair,) = learner.load([case(tmp_path)], torch.device("cpu"))
    luck = Luck(numpy_rng("luck"), torch_rng("luck"))
    shapes = [part.shape for part in learner.draw(pair, luck, torch.device("cpu"))]
    assert shapes == [(1, 12, 12, 12), (1, 24, 24, 24), (1, 24, 24, 24)]


def test_training_comes_to_the_same_bits_and_to_other_weights(tmp_path) -> None:
    a, b = trained(tmp_path), trained(tmp_path)
    assert all(np.array_equal(a.weights[k], b.weights[k]) for k in a.weights)
    assert all(np.array_equal(a.kept[k], b.kept[k]) for k in a.kept)
    start = initial_weights(bench(tmp_path).network(), 1)
    assert not np.array_equal(a.weights["generator.tail.weight"], start["generator.tail.weight"])


@pytest.mark.parametrize(
    "changes",
    [
        {"losses": {"pixel": 3.0}},
        {"losses": {"perceptual": 0.5}},
        {"losses": {"features": "discriminator", "perceptual": 0.5}},
        {"losses": {"adversarial": 0.5}},
        {"discriminator": {"channels": [2, 4], "learning_rate": 0.1}},
        {"discriminator": {"channels": [2, 4], "begin": 1}},
        {"discriminator": {"channels": [4]}},
        {"flip": ["x"]},
        {"patch": [12, 8, 8]},
        {"acquisition": {**TASK["acquisition"], "noise": 0.2}},
        {"acquisition": {"through_plane": BOX}},
        {"acquisition": {"in_plane": BOX}},
    ],
)
def test_each_setting_changes_what_is_learnt(tmp_path, changes) -> None:
    plain, other = trained(tmp_path), trained(tmp_path, **changes)
    name = "generator.tail.weight"
    assert not np.array_equal(plain.weights[name], other.weights[name])


def test_a_discriminator_of_the_site_goes_on_where_it_was_and_never_leaves(tmp_path) -> None:
    first = trained(tmp_path)
    assert first.kept
    assert not any("discriminator" in name for name in first.weights)
    second = trained(tmp_path, kept=first.kept)
    assert not np.array_equal(first.kept["verdict.weight"], second.kept["verdict.weight"])


def test_a_shared_discriminator_is_exchanged_and_not_kept(tmp_path) -> None:
    shared = {"channels": [2, 4], "kept": "shared"}
    found = trained(tmp_path, discriminator=shared)
    start = initial_weights(bench(tmp_path, discriminator=shared).network(), 1)
    name = "discriminator.verdict.weight"
    assert found.kept == {}
    assert not np.array_equal(found.weights[name], start[name])


def test_tiles_come_to_the_same_as_the_whole(tmp_path) -> None:
    on = grid((30, 40, 24))
    whole, tiles = bench(tmp_path), bench(tmp_path, tile=16)
    weights = initial_weights(whole.network(), 1)
    one = case(tmp_path, on=on)
    a, b = (refine(t, [weights], scan_of(t.task, one, simulated=True)) for t in (whole, tiles))
    np.testing.assert_allclose(a.images["fine"], b.images["fine"], atol=1e-3)


def test_an_ensemble_is_the_mean_of_its_networks(tmp_path) -> None:
    made = bench(tmp_path)
    networks = [initial_weights(made.network(), seed) for seed in (1, 2)]
    scan = scan_of(made.task, case(tmp_path), simulated=True)
    a, b, both = (
        refine(made, w, scan).images["fine"] for w in (*[[n] for n in networks], networks)
    )
    np.testing.assert_allclose(both, (a + b) / 2, atol=1e-3)


@pytest.mark.parametrize("axes", [RAS, oblique()])
@pytest.mark.parametrize("orientation", ["as_stored", "RAS", "PIR"])
def test_a_finer_image_lies_where_the_original_does(tmp_path, axes, orientation) -> None:
    made = bench(tmp_path, orientation=orientation, finer=[2, 1, 1], also=["linear"], panels=False)
    one = case(tmp_path, on=grid((13, 16, 12), axes=axes))
    found = Learner(made).predict([initial_weights(made.network(), 1)], one)
    original = read_image(one.images["t1"])
    assert set(found.images) == {"fine", "linear"}
    for volume in found.images.values():
        assert volume.grid == original.grid
        assert volume.voxels.shape == original.voxels.shape
    assert found.scores["psnr_db_linear"] > 20
    assert found.scores["gain_db"] == pytest.approx(
        found.scores["psnr_db"] - found.scores["psnr_db_bspline"]
    )


def test_an_image_acquired_coarse_becomes_finer_in_its_place(tmp_path) -> None:
    """Its voxels are halved: edges stay, and what was in the middle stays in the middle."""
    fine = case(tmp_path, on=grid((12, 16, 12)))
    made = bench(tmp_path, apply_to="thick", finer=[2, 1, 1])
    original = read_image(fine.images["t1"])
    thick = original.voxels.reshape(6, 2, 16, 12).mean(axis=1)
    first = original.grid.point_mm((0.5, 0, 0))
    on = Grid((6, 16, 12), (2.0, 1.0, 1.0), first, original.grid.axes)
    path = tmp_path / "thick.nii.gz"
    write_image(path, Volume(thick.astype(np.float32), on))
    weights = [initial_weights(made.network(), 1)]
    both = Case("c", "p", "test", "", {**fine.images, "thick": path}, {}, {})
    found = Learner(made).predict(weights, both)
    assert found.images["fine"].grid.matches(original.grid)
    assert found.scores["psnr_db_bspline"] > 25
    assert found.pictures["panel"].startswith(b"\x89PNG")
    alone = Learner(made).predict(weights, Case("c", "p", "test", "", {"thick": path}, {}, {}))
    assert np.isnan(list(alone.scores.values())).all()
    np.testing.assert_array_equal(alone.images["fine"].voxels, found.images["fine"].voxels)


def test_a_pair_is_kept_until_the_acquisition_changes(tmp_path) -> None:
    one = case(tmp_path)
    first = load_pair(bench(tmp_path), one)
    load_pair(bench(tmp_path, network={"channels": 8, "blocks": 1}), one)
    assert len(list((tmp_path / "cache").iterdir())) == 3
    other = load_pair(bench(tmp_path, acquisition={"noise": 0.1}), one)
    assert len(list((tmp_path / "cache").iterdir())) == 6
    assert not np.array_equal(first.coarse, other.coarse)


def test_a_case_without_the_image_is_passed_over(tmp_path) -> None:
    learner = Learner(bench(tmp_path))
    assert learner.usable(case(tmp_path))
    assert not learner.usable(Case("c", "p", "train", "", {}, {}, {}))
