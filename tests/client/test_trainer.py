from dataclasses import replace

import numpy as np
import pytest
import torch

from client.augment import draw
from client.predict import validate
from client.trainer import Start, Trained, train
from common.networks.weights import initial_weights
from common.tasks.local import Local
from tests.client.small_cases import bench, case

LOCAL = Local(steps=3, learning_rate=0.01)


@pytest.fixture
def cases(tmp_path):
    return [case(tmp_path, seed) for seed in range(4)]


def run(folder, cases, local=LOCAL, seed=0, rate=0.01, threads=1, on_step=None, **task) -> Trained:
    b = replace(bench(folder, **task), threads=threads)
    start = Start(initial_weights(b.network(), 1), seed, rate)
    return train(b, local, start, cases, on_step)


def first(folder, **task):
    return initial_weights(bench(folder, **task).network(), 1)


def far(a, b) -> float:
    return float(np.sqrt(sum(np.square(a[name] - b[name]).sum() for name in a)))


def equal(a, b) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_training_learns_the_ball(tmp_path, cases) -> None:
    local = Local(steps=40, batch=2)
    trained = run(tmp_path, cases, local, rate=0.02, augmentation=None)
    before = validate(bench(tmp_path), first(tmp_path), cases)
    after = validate(bench(tmp_path), trained.weights, cases)
    assert all(after[label].mean() > before[label].mean() + 0.2 for label in after)


def test_no_learning_rate_means_no_update(tmp_path, cases) -> None:
    assert equal(run(tmp_path, cases, rate=0.0).weights, first(tmp_path))


def test_the_same_seed_comes_to_the_same_bits_and_another_does_not(tmp_path, cases) -> None:
    task = {"network": {"channels": [4, 8], "dropout": 0.3}, "augmentation": {"elastic_mm": 1}}
    one = run(tmp_path, cases, **task)
    torch.rand(5)
    again, other = run(tmp_path, cases, **task), run(tmp_path, cases, seed=1, **task)
    assert equal(one.weights, again.weights)
    assert one.loss == again.loss
    assert not equal(one.weights, other.weights)


def test_what_others_do_with_threads_does_not_matter(tmp_path, cases) -> None:
    n = torch.get_num_threads()
    one = run(tmp_path, cases)
    torch.set_num_threads(2)
    again = run(tmp_path, cases)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(n)
    assert equal(one.weights, again.weights)


def test_the_global_generators_are_left_alone(tmp_path, cases) -> None:
    start = Start(first(tmp_path), 0, 0.01)
    b = bench(tmp_path, network={"channels": [4, 8], "dropout": 0.3})
    network = b.task.build(2)  # torch fills a new network from its global generator
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("client.bench.Bench.network", lambda _: network)
        train(b, LOCAL, start, cases)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_fedprox_holds_on_to_the_start(tmp_path, cases) -> None:
    start = first(tmp_path)

    def moved(mu: float) -> float:
        local = LOCAL.model_copy(update={"mu": mu, "optimizer": "sgd", "clip_norm": None})
        return far(run(tmp_path, cases, local, rate=0.05).weights, start)

    assert moved(10.0) < 0.8 * moved(0.0)
    assert 0 < moved(0.01) < moved(0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 4},
        {"steps": None, "epochs": 2},
        {"steps": None, "epochs": 3},
        {"steps": None, "samples_per_case": 2},
        {"batch": 1},
        {"optimizer": "sgd"},
        {"momentum": 0.5},
        {"weight_decay": 0.5},
        {"clip_norm": None, "optimizer": "sgd"},
        {"clip_norm": 1e-3, "optimizer": "sgd"},
        {"mu": 1.0},
    ],
)
def test_each_setting_changes_the_weights(tmp_path, cases, change) -> None:
    other = run(tmp_path, cases, LOCAL.model_copy(update=change))
    assert not equal(run(tmp_path, cases).weights, other.weights)


@pytest.mark.parametrize(
    "change",
    [
        {"loss": {"dice": 2}},
        {"loss": {"cross_entropy": 2}},
        {"loss": {"batch_dice": True}},
        {"loss": {"smoothing": 0.1}},
        {"augmentation": None},
        {"network": {"channels": [4, 8], "deep_supervision": 2}},
        {"recipe": {"patch": [8, 8, 8]}},
        {"recipe": {"patch": [8, 8, 8], "foreground": 1}},
        {"recipe": {"size": [8, 16, 8], "patch": [8, 8, 8], "foreground": 0}},
    ],
)
def test_each_setting_of_the_task_changes_the_weights(tmp_path, cases, change) -> None:
    local = LOCAL.model_copy(update={"batch": 4})
    changed = run(tmp_path, cases, local, **change).weights
    plain = run(tmp_path, cases, local).weights
    assert changed.keys() != plain.keys() or not equal(changed, plain)


def test_every_epoch_sees_every_case_once(tmp_path, cases, monkeypatch) -> None:
    seen = []

    def noted(example, *rest):
        seen.append(id(example))
        return draw(example, *rest)

    monkeypatch.setattr("client.learners.segmentation.draw", noted)
    run(tmp_path, cases, Local(epochs=2, batch=3))
    assert [len(set(seen[:4])), len(set(seen[4:])), len(seen)] == [4, 4, 8]


def test_in_2d_and_with_batch_norm_it_trains_too(tmp_path, cases) -> None:
    task = {
        "dimensions": 2,
        "recipe": {"size": [16, 8]},
        "network": {"channels": [4, 8], "norm": "batch"},
    }
    trained, start = run(tmp_path, cases, **task).weights, first(tmp_path, **task)
    assert trained["heads.0.weight"].shape == (3, 4, 1, 1)
    means = [name for name in trained if name.endswith("running_mean")]
    assert means
    assert not any(np.array_equal(trained[name], start[name]) for name in means)


def test_cases_without_a_mask_are_passed_over(tmp_path, cases) -> None:
    bare = case(tmp_path, 9, masks={"ball": None})
    one, other = run(tmp_path, cases), run(tmp_path, [*cases, bare])
    assert equal(one.weights, other.weights)
    assert (other.n_cases, other.n_patients) == (4, 4)
    with pytest.raises(ValueError, match="finds rim and core in t1, got none"):
        run(tmp_path, [bare])


def test_patients_are_counted_once(tmp_path, cases) -> None:
    twins = [*cases, replace(cases[0], case_id="twin")]
    trained = run(tmp_path, twins)
    assert (trained.n_cases, trained.n_patients) == (5, 4)


def test_steps_are_told(tmp_path, cases) -> None:
    told = []
    run(tmp_path, cases, on_step=lambda *step: told.append(step))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_loss_that_is_not_finite_is_an_error(tmp_path, cases) -> None:
    b = bench(tmp_path)
    broken = {k: np.full_like(v, np.nan) for k, v in first(tmp_path).items()}
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        train(b, LOCAL, Start(broken, 0, 0.01), cases)


def test_bfloat16_trains_to_nearly_the_same(tmp_path, cases) -> None:
    start = Start(first(tmp_path), 0, 0.01)
    exact, half = (
        train(replace(bench(tmp_path), precision=p), LOCAL, start, cases)
        for p in ("float32", "bfloat16")
    )
    assert half.loss == pytest.approx(exact.loss, rel=0.02)
    assert half.loss != exact.loss
    assert {value.dtype for value in half.weights.values()} == {np.dtype(np.float32)}
