from dataclasses import replace
from math import nan

import numpy as np
import pytest
import torch

from client.classify import chances, log_chances, logits_of, saliency
from client.learners.classification import Learner
from client.preprocess import load_image
from client.sights import load_window, sight_of
from client.trainer import Start, train
from common.networks.weights import initial_weights
from common.tasks.local import Local
from common.tasks.temperature import TEMPERATURES
from tests.client.class_cases import KNOWN, bench, case

CHANNEL = {"name": "ball", "use": "channel"}


@pytest.fixture
def cases(tmp_path):
    return [case(tmp_path, seed) for seed in range(6)]


def start(b) -> dict[str, np.ndarray]:
    return initial_weights(b.network(), 1)


def trained(b, cases, steps=25):
    local = Local(steps=steps, batch=3)
    return train(b, local, Start(start(b), 0, 0.01), cases).weights


def test_training_tells_bright_balls_from_dark_ones(tmp_path, cases) -> None:
    b = bench(tmp_path)
    weights, learner = trained(b, cases), Learner(b)
    after = learner.validate(weights, cases)["log_likelihood"]
    assert after.mean() > learner.validate(start(b), cases)["log_likelihood"].mean() + 0.2
    unseen = [case(tmp_path, seed) for seed in (20, 21)]
    found = [learner.predict([weights], c).scores for c in unseen]
    assert [f["predicted"] for f in found] == [0.0, 1.0]
    assert found[1]["probability_yes"] + found[1]["probability_no"] == pytest.approx(1)
    assert found[1]["logit"] == pytest.approx(
        np.log(found[1]["probability_yes"] / found[1]["probability_no"])
    )
    assert found[1]["log_likelihood"] == pytest.approx(np.log(found[1]["probability_yes"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"mask": {"name": "ball", "use": "channel"}},
        {"mask": {"name": "ball"}},
        {"dimensions": 2, "recipe": {"size": [16, 8]}},
        {"images": ["t1", "t2"]},
        {"images": ["t1", "t2"], "network": {"channels": [4, 8], "sequences": "branches"}},
        {"clinical": ["age", "marker", "sex"]},
        {"outcome": "grade"},
        {"network": {"channels": [4, 8], "pool": "both"}},
        {"network": {"channels": [4, 8], "blocks": [2, 1]}},
        {"loss": {"smoothing": 0.3}},
        {"loss": {"weights": [1.0, 3.0]}},
    ],
)
def test_each_setting_changes_what_is_learnt(tmp_path, changes) -> None:
    moved = [case(tmp_path, seed, at=3, marker=nan, sex=float(seed % 2)) for seed in range(3)]
    plain, other = bench(tmp_path), bench(tmp_path, **changes)
    first = start(other)
    prepared = other.task.prepared(KNOWN, Learner(other).prepare(moved))
    assert first.keys() > prepared.keys()
    weights = train(other, Local(steps=2, batch=2), Start(first | prepared, 0, 0.01), moved).weights
    found = chances(other, [weights], moved[0])
    assert found.sum() == pytest.approx(1)
    assert not np.array_equal(found, chances(plain, [trained(plain, moved, steps=2)], moved[0]))


def test_a_window_lies_around_the_region(tmp_path) -> None:
    moved = case(tmp_path, at=4)
    b = bench(tmp_path, mask={"name": "ball"}, recipe={"size": [8, 8, 8]})
    image, region, frame = load_window(b, moved)
    middle = np.argwhere(region).mean(0)
    assert np.abs(middle - 3.5).max() < 1
    whole = load_image(bench(tmp_path), moved)[0]
    _, first, _ = frame.start
    assert image.shape == (1, 8, 8, 8)
    inner = whole[:, :, first : first + 8]
    assert np.corrcoef(image.ravel(), inner.ravel())[0, 1] == pytest.approx(1)


def test_cases_without_outcome_or_region_are_not_learnt_from(tmp_path) -> None:
    learner = Learner(bench(tmp_path, mask={"name": "ball"}))
    whole = case(tmp_path)
    assert learner.usable(whole)
    assert not learner.usable(replace(whole, values={"bad": nan}))
    assert not learner.usable(replace(whole, masks={"ball": None}))
    untold = learner.predict([start(learner.bench)], replace(whole, values={"bad": nan}))
    assert np.isnan(untold.scores["log_likelihood"])
    assert not np.isnan(untold.scores["probability_yes"])
    with pytest.raises(ValueError, match="t1 and ball, which the case lacks"):
        learner.predict([start(learner.bench)], replace(whole, masks={"ball": None}))


def test_sums_before_the_first_round_add_up_to_those_of_all_cases(tmp_path) -> None:
    b = bench(tmp_path, clinical=["age", "marker", "sex"], loss={"weights": "balanced"})
    values = [(nan, 0.0), (3.0, 1.0), (5.0, nan), (8.0, 2.0), (1.0, 1.0)]
    cases = [case(tmp_path, i, marker=m, sex=s) for i, (m, s) in enumerate(values)]
    learner = Learner(b)
    parts = [learner.prepare(cases[:2]), learner.prepare(cases[2:])]
    total = {name: parts[0][name] + parts[1][name] for name in parts[0]}
    buffers = b.task.prepared(KNOWN, total)
    markers, sexes = np.array([3.0, 5.0, 8.0, 1.0]), np.array([0.0, 1.0, 2.0, 1.0])
    columns = [np.arange(50.0, 55.0), markers, sexes == 1, sexes == 2]
    np.testing.assert_allclose(buffers["clinical.centre"], [c.mean() for c in columns], rtol=1e-6)
    np.testing.assert_allclose(buffers["clinical.scale"], [c.std() for c in columns], rtol=1e-6)
    np.testing.assert_allclose(buffers["class_weights"], [5 / 6, 5 / 4])
    with pytest.raises(ValueError, match='no training case in which "bad" is yes'):
        b.task.prepared(KNOWN, learner.prepare(cases[::2]))


def test_a_missing_column_counts_as_the_mean_and_is_flagged(tmp_path) -> None:
    network = bench(tmp_path, clinical=["age", "marker"]).network().eval()
    told = torch.tensor([[60.0, 2.0]])
    network.clinical.centre.copy_(told[0])
    network.clinical.mix.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    missing = torch.tensor([[60.0, nan]])
    assert network.clinical(missing).isfinite().all()
    assert not torch.equal(network.clinical(told), network.clinical(missing))
    network.clinical.mix.weight.data[:, 3] = 0
    assert torch.equal(network.clinical(told), network.clinical(missing))


def test_calibration_sums_are_what_the_temperature_would_give(tmp_path, cases) -> None:
    b = bench(tmp_path, dimensions=2, recipe={"size": [16, 8]})
    weights = start(b)
    sums = Learner(b).calibrate(weights, cases)
    for i in (10, 40):
        warm = {**weights, "temperature": np.array([TEMPERATURES[i]], np.float32)}
        again = -Learner(b).validate(warm, cases)["log_likelihood"].sum()
        assert sums[i] == pytest.approx(again, rel=1e-5)


def test_slices_count_by_their_probability() -> None:
    logits = np.log(np.array([[0.8, 0.2], [0.4, 0.6]]))
    np.testing.assert_allclose(np.exp(log_chances(logits)), [0.6, 0.4])
    np.testing.assert_allclose(np.exp(log_chances(logits[:1] + 7)), [0.8, 0.2])


def test_networks_vote_or_agree_on_a_mean(tmp_path) -> None:
    b, one = bench(tmp_path), case(tmp_path)
    ensemble = [initial_weights(b.network(), seed) for seed in range(3)]
    each = [np.exp(log_chances(logits_of(b, w, [one])[0])) for w in ensemble]
    np.testing.assert_allclose(chances(b, ensemble, one), np.mean(each, axis=0))
    votes = np.mean([p == p.max() for p in each], axis=0)
    np.testing.assert_allclose(chances(replace(b, combine="vote"), ensemble, one), votes)


def test_saliency_lies_on_what_tells_the_classes_apart(tmp_path, cases) -> None:
    b = bench(tmp_path, saliency=True, network={"channels": [8], "dropout": 0})
    found = Learner(b).predict([trained(b, cases, steps=30)], cases[1])
    seen = found.images["saliency"]
    region = np.asarray(sight_of(bench(tmp_path, mask=CHANNEL), cases[1]).seen.mask) > 0
    assert seen.voxels.max() == pytest.approx(1)
    assert seen.voxels[region].mean() > 2 * seen.voxels[~region].mean()
    assert found.pictures["saliency"].startswith(b"\x89PNG")


def test_saliency_in_2d_is_of_the_slices_that_were_looked_at(tmp_path) -> None:
    b = bench(tmp_path, dimensions=2, recipe={"size": [16, 8]}, mask=CHANNEL)
    one = case(tmp_path)
    region = np.asarray(sight_of(b, one).seen.mask) > 0
    seen = saliency(b, [start(b)], one)
    assert seen.voxels.shape == region.shape
    assert not seen.voxels[~region.any((1, 2))].any()
