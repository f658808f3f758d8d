"""Pseudo-labels: what is not sure is known to nobody, and readers' masks stay theirs."""

from dataclasses import replace

import numpy as np
import pytest

from client.dataset import prepare
from client.imageio import Volume, read_image, write_image
from client.learners.segmentation import Learner
from client.predict import find_chances, predict, validate
from client.pseudo_labelling import agreement, gate
from client.trainer import Start, train
from common.cohort import Mask
from common.networks.weights import initial_weights
from common.tasks.local import Local
from common.tasks.loss import IGNORED
from common.tasks.pseudo_label import PseudoLabel, unused_value
from tests.client.small_cases import LABELS, bench, case

MADE = Mask(on="t1", labels=LABELS, ignored=255, truth="ball")


def pseudo(folder, **changes):
    """Return a bench that learns from `auto.ball` and is scored against `ball`."""
    b = bench(folder, mask="auto.ball", **changes)
    return replace(b, known=replace(b.known, masks={**b.known.masks, "auto.ball": MADE}))


def with_pseudo(folder, c, ignored=slice(4, 8)):
    stored = read_image(c.masks["ball"])
    voxels = stored.voxels.copy()
    voxels[ignored] = 255
    path = folder / f"auto_{c.case_id}.nii.gz"
    write_image(path, Volume(voxels, stored.grid))
    return replace(c, masks={**c.masks, "auto.ball": path})


def test_only_sure_voxels_keep_their_chance() -> None:
    chances = np.array([[0.9, 0.4, 0.2], [0.1, 0.6, 0.8]], np.float32).reshape(2, 1, 1, 3)
    gated, confidence, ignored = gate(chances, 0.7)
    assert gated.argmax(0).ravel().tolist() == [0, 2, 1]
    assert confidence == pytest.approx(0.7)  # mean of 0.6 and 0.8, the marked voxels
    assert ignored == pytest.approx(1 / 3)
    assert gate(chances[:, ..., :1], 0.7)[1] == 0.0  # nothing marked: not sure of anything


def test_views_agree_as_far_as_they_find_the_same_label() -> None:
    one, two, three = (np.eye(3, dtype=np.float32)[:, c] for c in ([0, 1, 2], [0, 1, 1], [0, 0, 0]))
    assert agreement([one, one]) == 1.0
    assert agreement([one, two]) == pytest.approx(0.5)
    assert agreement([one, one, two]) == pytest.approx(0.75)
    assert agreement([three, three]) == 0.0  # nothing found: not sure of anything
    with pytest.raises(ValueError, match="name axes in flips"):
        PseudoLabel(network="a", case_judged_by="agreement", flips=())


def test_an_unused_value_marks_what_nobody_knows() -> None:
    assert unused_value(Mask(on="t1", labels={"a": 1})) == 255
    assert unused_value(Mask(on="t1", labels={"a": 255})) == 65535
    assert unused_value(MADE) == 255


def test_ignored_voxels_reach_the_network_as_such(tmp_path) -> None:
    b, c = pseudo(tmp_path), with_pseudo(tmp_path, case(tmp_path))
    mask = np.asarray(prepare(b, c).mask)
    assert set(np.unique(mask[4:])) == {IGNORED}
    assert set(np.unique(mask[:4])) <= {0, 1, 2}


def test_validation_and_scores_are_against_the_readers_mask(tmp_path) -> None:
    c = with_pseudo(tmp_path, case(tmp_path), slice(0, 8))  # nothing of it is known
    b, plain = pseudo(tmp_path), bench(tmp_path)
    weights = initial_weights(b.network(), 1)
    for label, dice in validate(b, weights, [c]).items():
        assert dice == validate(plain, weights, [c])[label]
    assert predict(b, [weights], c).scores == predict(plain, [weights], c).scores
    nobody = replace(c, masks={**c.masks, "ball": None})
    assert Learner(b).usable(nobody)
    assert not Learner(b).scorable(nobody)


def test_chances_of_a_mirrored_image_are_mapped_back(tmp_path) -> None:
    b, c = bench(tmp_path), case(tmp_path)
    weights = initial_weights(b.network(), 1)
    plain, _ = find_chances(b, [weights], c)
    flipped, _ = find_chances(b, [weights], c, ("x",))
    image = read_image(c.images["t1"])
    write_image(c.images["t1"], Volume(image.voxels[:, :, ::-1].copy(), image.grid))
    mirrored, _ = find_chances(b, [weights], c)
    np.testing.assert_allclose(flipped, (plain + mirrored[..., ::-1]) / 2, atol=1e-5)


def test_a_mean_teacher_learns_at_a_site_without_labels(tmp_path) -> None:
    b = bench(tmp_path, consistency={"weight": 1.0, "noise": 0.5})
    cases = [replace(case(tmp_path, seed), masks={"ball": None}) for seed in range(2)]
    assert all(Learner(b).usable(c) for c in cases)
    assert not any(Learner(bench(tmp_path)).usable(c) for c in cases)
    start = Start(initial_weights(b.network(), 1), seed=0, learning_rate=0.01)
    trained = train(b, Local(batch=2, epochs=4), start, cases)
    assert trained.n_cases == 2
    assert 0 < trained.loss < 0.2  # of consistency alone: a squared difference of chances
    assert any(not np.array_equal(trained.weights[n], w) for n, w in start.weights.items())


def test_what_a_teacher_adds_to_the_loss_is_as_large_as_asked(tmp_path) -> None:
    cases = [case(tmp_path, seed) for seed in range(2)]
    losses = []
    for weight in (1e-6, 100.0):
        b = bench(tmp_path, consistency={"weight": weight, "noise": 0.5})
        start = Start(initial_weights(b.network(), 1), seed=0, learning_rate=1e-6)
        losses.append(train(b, Local(batch=2), start, cases).loss)
    plain = train(bench(tmp_path), Local(batch=2), start, cases).loss
    assert losses[0] == pytest.approx(plain, rel=1e-3)
    assert losses[1] > losses[0] + 0.01
