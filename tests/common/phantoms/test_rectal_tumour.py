import numpy as np
import pytest

from common.phantoms.anatomy import Traits
from common.phantoms.fields import Grid
from common.phantoms.rectal_tumour import RectalTumour
from common.phantoms.scanner import draw_masks, expose
from common.phantoms.spec import Scanner
from common.seeds import numpy_rng

SPACING = (3.0, 1.5, 1.5)
QUIET = Scanner(noise=0.0, bias=0.0, spacing_mm=SPACING, stored_as="float32")


def drawn(volume_ml: float = 0.15, heterogeneity: float = 0.0):
    anatomy = RectalTumour(size_mm=(36.0, 60.0, 60.0))
    grid = Grid.over(anatomy.size_mm, SPACING)
    body = anatomy.draw(grid.finer(1.0)[0], Traits(volume_ml, heterogeneity, 1.0, False), "p", 1)
    masks = draw_masks(body, grid)
    pictures = {
        name: expose(body, anatomy.weighting(name), QUIET, grid, numpy_rng("scan"))
        for name in anatomy.images()
    }
    return masks, pictures


@pytest.mark.parametrize("volume_ml", [0.06, 0.3])
def test_the_mask_has_the_planted_volume(volume_ml: float) -> None:
    masks, _ = drawn(volume_ml)
    voxel_ml = float(np.prod(SPACING)) / 1000
    assert masks["tumour"].sum() * voxel_ml == pytest.approx(40 * volume_ml, rel=0.15)


def test_what_the_outcome_is_drawn_from_is_bright_in_diffusion_and_dark_in_t2() -> None:
    low, high = drawn(heterogeneity=-1.5), drawn(heterogeneity=1.5)
    inside = low[0]["tumour"] > 0
    np.testing.assert_array_equal(inside, high[0]["tumour"] > 0)
    diffusion, t2 = (
        [float(pictures[name][inside].mean()) for _, pictures in (low, high)]
        for name in ("dwi", "t2")
    )
    assert diffusion[1] > 1.5 * diffusion[0]
    assert t2[1] < 0.8 * t2[0]


def test_readers_agree_but_not_wholly() -> None:
    masks, _ = drawn()
    one, two = masks["tumour"] > 0, masks["tumour@reader2"] > 0
    dice = 2 * (one & two).sum() / (one.sum() + two.sum())
    assert 0.7 < dice < 0.98
