from typing import Any

import numpy as np
import pytest
import torch

from client.augment import Luck, draw
from client.dataset import Example
from common.seeds import numpy_rng, torch_rng
from common.tasks.segmentation import Segmentation

CPU = torch.device("cpu")
OFF = {"rotation_deg": 0, "scale": 0, "shift": 0, "contrast": 0, "brightness": 0, "noise": 0}


def task(augmentation: Any = None, **changes: Any) -> Segmentation:
    settings = {
        "images": ["t1"],
        "mask": "m",
        "recipe": {"size": [8, 12, 16]},
        "network": {"channels": [4, 8]},
        "augmentation": augmentation,
    }
    return Segmentation.model_validate(settings | changes)


def example(shape=(8, 12, 16), spacing_mm=(1.0, 1.0, 1.0)) -> Example:
    mask = numpy_rng("mask").integers(0, 3, shape).astype(np.uint8)
    # The image is its own mask, so that it can be seen whether both go the same way.
    image = torch.from_numpy(np.stack([mask, mask * 10]).astype(np.float32))
    spots = np.argwhere(mask == 2).astype(np.int32)
    return Example(image, torch.from_numpy(mask), spots, spacing_mm)


def drawn(task: Segmentation, of: Example | None = None, seed: int = 0):
    luck = Luck(numpy_rng(seed), torch_rng(seed))
    return draw(of or example(), task, luck, CPU)


def test_without_augmentation_the_image_is_as_it_is() -> None:
    for off in (None, OFF):
        image, mask = drawn(task(off))
        torch.testing.assert_close(image, example().image, atol=1e-4, rtol=0)
        assert torch.equal(mask, example().mask.long())


@pytest.mark.parametrize(
    "change",
    [
        {"rotation_deg": 30},
        {"scale": 0.3},
        {"stretch": 0.3},
        {"shift": 0.3},
        {"elastic_mm": 2},
        {"flip": ["z", "y", "x"]},
        {"contrast": 0.3},
        {"brightness": 0.3},
        {"gamma": 0.3},
        {"bias": 0.3},
        {"noise": 0.3},
    ],
)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_each_setting_changes_the_image(change, dimensions) -> None:
    shape = {2: {"dimensions": 2, "recipe": {"size": [12, 16]}}, 3: {}}[dimensions]
    plain, changed = task(OFF, **shape), task(OFF | change, **shape)
    pairs = [(drawn(plain, seed=s)[0], drawn(changed, seed=s)[0]) for s in range(4)]
    assert any(not torch.allclose(a, b, atol=1e-3) for a, b in pairs)
    assert all(a.shape == b.shape for a, b in pairs)


def test_control_points_say_how_fine_the_bending_is() -> None:
    bent = [task(OFF | {"elastic_mm": 2, "elastic_points": n}) for n in (3, 8)]
    assert not torch.equal(drawn(bent[0])[0], drawn(bent[1])[0])


def test_the_same_seed_draws_the_same_bits_and_another_does_not() -> None:
    every = task({"elastic_mm": 1, "gamma": 0.2, "bias": 0.1, "flip": ["x"]})
    first, again, other = drawn(every), drawn(every), drawn(every, seed=1)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_mirroring_is_exact_and_takes_the_mask_along(axis) -> None:
    mirrored = task(OFF | {"flip": [axis]})
    found = {drawn(mirrored, seed=s)[1].numpy().tobytes() for s in range(12)}
    there = example().mask.long()
    back = there.flip("zyx".index(axis)).contiguous()
    assert found == {there.numpy().tobytes(), back.numpy().tobytes()}


def test_mask_and_image_move_together() -> None:
    moved = task(OFF | {"rotation_deg": 20, "scale": 0.2, "shift": 0.2, "elastic_mm": 1})
    smooth = np.indices((8, 12, 16)).sum(0) // 6
    image = torch.from_numpy(smooth[None].astype(np.float32))
    of = Example(image, torch.from_numpy(smooth.astype(np.uint8)), np.empty((0, 3), int), (1, 1, 1))
    for seed in range(5):
        pixels, mask = drawn(moved, of, seed)
        assert float((pixels[0] - mask).abs().max()) <= 1.0


def test_a_turn_in_mm_does_not_shear_thick_slices() -> None:
    """A ball stays a ball, in mm, whatever the shape of its voxels."""
    shape, spacing = (12, 48, 48), np.array([4.0, 1.0, 1.0])
    where = (np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2) * spacing
    ball = (np.linalg.norm(where, axis=-1) < 15).astype(np.uint8)
    image = torch.from_numpy(ball[None].astype(np.float32))
    of = Example(image, torch.from_numpy(ball), np.empty((0, 3), int), tuple(spacing))
    turned = task(OFF | {"rotation_deg": 90}, recipe={"size": shape})
    for seed in range(5):
        _, mask = drawn(turned, of, seed)
        both = (mask.numpy() & ball).sum() / (mask.numpy() | ball).sum()
        assert both > 0.85


def test_patches_lie_inside_the_image_and_on_labels_as_often_as_asked() -> None:
    mask = np.zeros((20, 20, 20), np.uint8)
    mask[2, 17, 10] = 1
    image = torch.arange(8000, dtype=torch.float32).reshape(1, 20, 20, 20)
    of = Example(image, torch.from_numpy(mask), np.argwhere(mask).astype(np.int32), (1, 1, 1))

    def share(foreground: float) -> float:
        patch = task(recipe={"patch": [4, 4, 4], "foreground": foreground})
        found = [drawn(patch, of, seed) for seed in range(40)]
        assert all(len(image.unique()) == 64 for image, _ in found)
        assert all(torch.allclose(image, image.round(), atol=0.02) for image, _ in found)
        return sum(bool(mask.any()) for _, mask in found) / 40

    assert share(1.0) == 1.0
    assert share(0.0) < 0.2


def test_in_2d_slices_are_drawn_from_the_whole_image() -> None:
    flat = task(dimensions=2, recipe={"size": [12, 16], "foreground": 0})
    image = torch.arange(8.0)[None, :, None, None].expand(1, 8, 12, 16).contiguous()
    of = Example(image, torch.zeros(8, 12, 16, dtype=torch.uint8), np.empty((0, 3), int), (1, 1, 1))
    slices = {drawn(flat, of, seed)[0].round().unique().item() for seed in range(80)}
    assert slices == set(range(8))


def test_reading_only_a_part_of_the_image_changes_nothing(monkeypatch) -> None:
    bent = OFF | {"elastic_mm": 2, "rotation_deg": 30, "scale": 0.3}
    patch, of = task(bent, recipe={"patch": [4, 4, 4]}), example((30, 30, 30))
    parts = [drawn(patch, of, seed)[0] for seed in range(5)]
    whole = np.zeros(3, int), np.array((30, 30, 30))
    monkeypatch.setattr("client.augment._box", lambda *_: whole)
    for seed, part in enumerate(parts):
        torch.testing.assert_close(part, drawn(patch, of, seed)[0], atol=1e-2, rtol=0)


def test_images_on_disk_and_in_memory_give_the_same(tmp_path) -> None:
    np.save(tmp_path / "i.npy", example().image.numpy())
    np.save(tmp_path / "m.npy", example().mask.numpy())
    there = [np.load(tmp_path / f"{part}.npy", mmap_mode="r") for part in "im"]
    on_disk = Example(there[0], there[1], example().spots, (1.0, 1.0, 1.0))
    every = task({"elastic_mm": 1}, recipe={"patch": [4, 4, 4]})
    for seed in range(5):
        for a, b in zip(drawn(every, on_disk, seed), drawn(every, seed=seed), strict=True):
            assert torch.equal(a, b)
