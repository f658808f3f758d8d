"""A site draws its own patients by group, on its own disk alone."""

from pathlib import Path

import numpy as np
from matplotlib.image import imread

from client.heat_map import Beside, picture_of
from server.simulate import simulate
from tests.runs import STUDY, make_run

GROUPS = "  groups: {kind: cluster, of: [age, marker], against: sex, micro: 0}\n"


def test_features_that_part_the_groups_are_red_on_one_side_and_blue_on_the_other(
    tmp_path: Path,
) -> None:
    group = np.repeat([1.0, 0.0], (30, 50))
    z = np.stack([4 * group - 2, 2 - 4 * group, 0 * group], axis=1)
    sex = Beside(np.arange(80) % 3 - 1, "sex", ("f", "m"))
    (tmp_path / "map.png").write_bytes(picture_of(z, group, ["a", "b", "c"], sex))
    seen = imread(tmp_path / "map.png")[:, :1000, :3]  # the bar of colours is on the right
    red = np.argwhere((seen[..., 0] > 0.3) & (seen[..., 1:] < 0.3).all(axis=-1))
    blue = np.argwhere((seen[..., 2] > 0.3) & (seen[..., :2] < 0.4).all(axis=-1))
    middle = np.concatenate([red, blue])[:, 0].mean()
    above, below = (
        [np.median(of[of[:, 0] < middle, 1]) for of in (red, blue)],
        [np.median(of[of[:, 0] > middle, 1]) for of in (red, blue)],
    )
    assert above[0] < above[1]  # b is high in the first group
    assert below[0] > below[1]  # a in the second


def test_sites_draw_their_own_and_only_counts_leave(tmp_path: Path) -> None:
    run = make_run(tmp_path, study=STUDY.split("  women:")[0] + GROUPS)
    simulate(run, engine="threads", workers=1)
    drawn = list(run.folder.parent.glob(f".sites/*/runs/{run.id}/pictures/groups/cluster.png"))
    assert len(drawn) == 5
    assert not list(run.folder.rglob("*.png"))
