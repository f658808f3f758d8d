from dataclasses import replace

import numpy as np
import pytest

from client.imageio import Grid, Turn, Volume, read_image, write_image
from client.preprocess import frame_of, load_image, load_mask, read_classes, restore
from common.metrics.overlap import dice
from common.seeds import numpy_rng
from tests.client.small_cases import RAS, ball, bench, case, grid, oblique

LPS = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
SAGITTAL = ((-1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
ODD = (11, 14, 9)


def one_hot(classes: np.ndarray) -> np.ndarray:
    return (np.arange(3)[:, None, None, None] == classes).astype(np.float32)


@pytest.mark.parametrize("axes", [RAS, LPS, SAGITTAL, oblique(20), oblique(50)])
@pytest.mark.parametrize("orientation", ["RAS", "LPS", "SAL", "as_stored"])
@pytest.mark.parametrize("size", [(16, 16, 16), (8, 12, 8)])
def test_without_resampling_a_mask_comes_back_exactly(tmp_path, axes, orientation, size) -> None:
    b = bench(tmp_path, recipe={"size": size, "orientation": orientation})
    c = case(tmp_path, on=grid(ODD, (2.5, 0.8, 1.0), axes))
    frame = load_image(b, c)[1]
    stored = read_classes(b, c)
    back = restore(one_hot(load_mask(b, c, frame)), frame, stored.grid, b.task.recipe)
    assert back.shape == stored.voxels.shape
    inside = back.any(axis=(0, 1)) if size[0] < max(ODD) else slice(None)
    assert np.array_equal(back[..., inside], stored.voxels[..., inside])
    assert back.any()


@pytest.mark.parametrize("axes", [RAS, SAGITTAL, oblique(20)])
def test_after_resampling_a_mask_comes_back_almost(tmp_path, axes) -> None:
    b = bench(tmp_path, recipe={"size": (24, 24, 24), "spacing_mm": [0.5, 0.5, 0.5]})
    c = case(tmp_path, on=grid(ODD, (2.0, 0.8, 1.0), axes))
    image, frame = load_image(b, c)
    stored = read_classes(b, c)
    back = restore(one_hot(load_mask(b, c, frame)), frame, stored.grid, b.task.recipe)
    assert back.shape == stored.voxels.shape
    assert dice(back > 0, stored.voxels > 0) > 0.93
    # The image went the same way: it is bright where the mask is.
    mask = load_mask(b, c, frame)
    assert image[0][mask == 2].mean() > image[0][mask == 1].mean() > image[0][mask == 0].mean()


def test_crop_and_padding_keep_the_middle(tmp_path) -> None:
    b = bench(tmp_path, recipe={"size": (4, 20, 8)})
    image, frame = load_image(b, case(tmp_path))
    assert image.shape == (1, 4, 20, 8)
    assert frame.start == (2, -2, 0)
    assert np.array_equal(image[:, :, 0], image[:, :, 2])


def test_what_was_cropped_away_comes_back_as_background(tmp_path) -> None:
    b = bench(tmp_path, recipe={"size": (4, 8, 4)})
    frame = frame_of(b, grid())
    found = restore(one_hot(np.ones(frame.shape, int)), frame, grid(), b.task.recipe)
    assert found.sum() == 4 * 8 * 4
    assert found[2:6, 4:12, 2:6].all()


def test_a_second_image_is_brought_onto_the_grid_of_the_first(tmp_path) -> None:
    fine = Grid((40, 80, 40), (0.5, 0.5, 0.5), grid().point_mm((-4, -8, -4)), RAS)
    x_mm = np.array([fine.point_mm(i)[0] for i in np.ndindex(fine.shape)])
    turn = Turn((2, 0, 1), (True, False, True))
    voxels = turn.of(x_mm.reshape(fine.shape).astype(np.float32))
    path = tmp_path / "t2.nii.gz"
    write_image(path, Volume(voxels, turn.of_grid(fine)))
    c = case(tmp_path)
    c = replace(c, images={**c.images, "t2": path})
    window = {"kind": "hu_window", "low": -100, "high": 100}
    recipe = {"size": (8, 16, 8), "normalise_image": {"t2": window}}
    image, frame = load_image(bench(tmp_path, images=["t1", "t2"], recipe=recipe), c)
    found = image[1] * 100
    for index in [(0, 0, 0), (3, 5, 2), (7, 15, 7)]:
        assert found[index] == pytest.approx(frame.work.point_mm(index)[0], abs=0.01)


def test_labels_that_the_crop_cuts_off_are_noted(tmp_path, caplog) -> None:
    c = case(tmp_path)
    for size, noted in (((8, 16, 8), False), ((4, 4, 4), True)):
        b = bench(tmp_path, recipe={"size": size})
        load_mask(b, c, frame_of(b, grid()))
        assert bool(caplog.messages) == noted
    assert "c0: the recipe's size cuts off" in caplog.text
    assert str(tmp_path) not in caplog.text


def test_labels_are_numbered_in_the_order_of_the_contract(tmp_path) -> None:
    c = case(tmp_path)
    _, labels = ball(grid())
    classes = read_classes(bench(tmp_path), c).voxels
    assert np.array_equal(classes, np.select([labels == 7, labels == 3], [1, 2], 0))


def test_a_value_that_is_no_label_is_refused(tmp_path) -> None:
    c = case(tmp_path)
    write_image(c.masks["ball"], Volume(np.full((8, 16, 8), 5, np.uint8), grid()))
    with pytest.raises(ValueError, match=r'"ball": expected labels \[7, 3\], got \[5\]'):
        read_classes(bench(tmp_path), c)


@pytest.mark.parametrize(
    ("voxels", "message"),
    [
        (np.full((8, 16, 8), np.nan, np.float32), '"t1": 1024 voxels are NaN'),
        (np.full((8, 16, 8), np.inf, np.float32), '"t1": 1024 voxels are NaN'),
        (np.full((8, 16, 8), 3, np.float32), '"t1": every voxel has the same value'),
    ],
)
def test_an_image_without_content_is_refused(tmp_path, voxels, message) -> None:
    c = case(tmp_path)
    write_image(c.images["t1"], Volume(voxels, grid()))
    with pytest.raises(ValueError, match=message):
        load_image(bench(tmp_path), c)


def test_a_missing_image_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match='image "t1": the case has none'):
        load_image(bench(tmp_path), case(tmp_path, images={}))


def levels(folder, **normalise) -> np.ndarray:
    recipe = {"size": (8, 16, 8), "normalise": normalise, "orientation": "as_stored"}
    return load_image(bench(folder, recipe=recipe), case(folder))[0][0]


def test_each_way_to_normalise_does_what_it_says(tmp_path) -> None:
    raw = ball(grid())[0]
    whole = levels(tmp_path, kind="zscore")
    assert (whole.mean(), whole.std()) == pytest.approx((0, 1), abs=1e-4)
    np.testing.assert_allclose(whole, (raw - raw.mean()) / raw.std(), atol=1e-3)
    window = levels(tmp_path, kind="hu_window", low=90, high=110)
    np.testing.assert_allclose(window, np.clip((raw - 100) / 10, -1, 1), atol=1e-4)
    shares = levels(tmp_path, kind="percentile", low=10, high=90)
    low, high = np.percentile(raw, [10, 90])
    np.testing.assert_allclose(
        shares, np.clip(2 * (raw - low) / (high - low) - 1, -1, 1), atol=1e-4
    )


def test_background_of_zeros_may_stay_out_of_the_mean(tmp_path) -> None:
    c, (raw, labels) = case(tmp_path), ball(grid())
    write_image(c.images["t1"], Volume(raw * (labels > 0), grid()))
    recipe = {"size": (8, 16, 8), "normalise": {"kind": "zscore", "over": "nonzero"}}
    image = load_image(bench(tmp_path, recipe=recipe), c)[0][0]
    inside = image[load_mask(bench(tmp_path), c, frame_of(bench(tmp_path), grid())) > 0]
    assert (inside.mean(), inside.std()) == pytest.approx((0, 1), abs=1e-4)


def test_one_image_may_be_normalised_in_a_way_of_its_own(tmp_path) -> None:
    recipe = {"size": (8, 16, 8), "normalise_image": {"t1": {"kind": "hu_window", "low": 0}}}
    image = load_image(bench(tmp_path, recipe=recipe), case(tmp_path))[0]
    assert image.min() > -1
    assert image.max() < 1


def test_in_2d_slices_stay_where_they_are(tmp_path) -> None:
    recipe = {"size": (8, 8), "spacing_mm": [2.0, 2.0]}
    b = bench(tmp_path, dimensions=2, recipe=recipe)
    frame = frame_of(b, grid((5, 16, 16), (3.0, 1.0, 1.0)))
    assert frame.work.spacing_mm == (3.0, 2.0, 2.0)
    assert frame.shape == (5, 8, 8)


def test_a_patch_may_be_smaller_than_the_image_but_not_larger(tmp_path) -> None:
    b = bench(tmp_path, recipe={"patch": (16, 4, 4)})
    assert frame_of(b, grid()).shape == (16, 16, 8)


def test_a_coarser_grid_does_not_alias(tmp_path) -> None:
    on = grid((8, 15, 8))  # its middle is a voxel: every third one is black, then white
    stripes = np.indices(on.shape)[1] % 2 * 100.0
    c = case(tmp_path, on=on)
    write_image(c.images["t1"], Volume(stripes.astype(np.float32), on))
    recipe = {"size": (8, 4, 8), "spacing_mm": [1.0, 3.0, 1.0]}
    recipe["normalise"] = {"kind": "hu_window", "low": 0, "high": 100}
    image = load_image(bench(tmp_path, recipe=recipe), c)[0]
    assert np.abs(image[:, :, 1:3]).max() < 0.5


def test_beyond_a_second_image_lies_its_lowest_level(tmp_path) -> None:
    c, small = case(tmp_path), grid((4, 4, 4))
    path = tmp_path / "t2.nii.gz"
    voxels = numpy_rng("t2").uniform(50, 90, small.shape).astype(np.float32)
    write_image(path, Volume(voxels, small))
    c = replace(c, images={**c.images, "t2": path})
    window = {"kind": "hu_window", "low": 0, "high": 100}
    recipe = {"size": (8, 16, 8), "normalise_image": {"t2": window}, "orientation": "as_stored"}
    image = load_image(bench(tmp_path, images=["t1", "t2"], recipe=recipe), c)[0]
    lowest = voxels.min() / 50 - 1
    assert image[1, -1, -1, -1] == pytest.approx(lowest, abs=1e-4)


def test_after_resampling_too_what_was_cropped_away_is_background(tmp_path) -> None:
    b = bench(tmp_path, recipe={"size": (2, 4, 2), "spacing_mm": [2, 2, 2]})
    frame = frame_of(b, grid())
    found = restore(one_hot(np.ones(frame.shape, int)), frame, grid(), b.task.recipe)
    inside = np.zeros(found.shape, bool)
    inside[2:6, 4:12, 2:6] = True
    assert not found[~inside].any()
    assert found[inside].sum() == 4 * 8 * 4 - 8  # but for the corners


def test_the_written_orientation_does_not_matter(tmp_path) -> None:
    c = case(tmp_path)
    first = load_image(bench(tmp_path), c)[0]
    stored = read_image(c.images["t1"])
    turned = Volume(
        stored.voxels[::-1].transpose(2, 0, 1),
        grid((8, 8, 16), axes=((-1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, -1.0, 0.0))),
    )
    write_image(c.images["t1"], turned)
    np.testing.assert_allclose(load_image(bench(tmp_path), c)[0], first, atol=1e-5)
