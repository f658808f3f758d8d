"""What a site keeps of a training from round to round."""

import numpy as np

from client.shelf import Shelf


def weights(value: float) -> dict[str, np.ndarray]:
    return {"w": np.full(2, value, np.float32)}


def shelf(folder, round_: int, problem: str = "finer/development") -> Shelf:
    return Shelf(folder, problem, round_)


def test_a_round_finds_what_the_one_before_left_however_often_it_is_repeated(tmp_path) -> None:
    assert shelf(tmp_path, 0).before() == {}
    for round_ in range(3):
        shelf(tmp_path, round_).keep(weights(round_))
    shelf(tmp_path, 2).keep(weights(7))
    assert shelf(tmp_path, 2).before()["w"][0] == 1
    assert shelf(tmp_path, 3).before()["w"][0] == 7


def test_after_missed_rounds_the_last_one_counts(tmp_path) -> None:
    shelf(tmp_path, 1).keep(weights(1))
    assert shelf(tmp_path, 9).before()["w"][0] == 1


def test_no_more_is_kept_than_a_repeated_round_can_ask_for(tmp_path) -> None:
    for round_ in range(6):
        shelf(tmp_path, round_).keep(weights(round_))
    assert len(list(tmp_path.iterdir())) == 2


def test_trainings_do_not_share_a_shelf_and_nothing_makes_no_file(tmp_path) -> None:
    shelf(tmp_path, 0).keep(weights(1))
    assert shelf(tmp_path, 1, "finer/pooled").before() == {}
    shelf(tmp_path, 0, "finer/pooled").keep({})
    assert len(list(tmp_path.iterdir())) == 1
