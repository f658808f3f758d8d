"""Differential privacy of a training: the unit is the patient, the account adds up."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from opacus import GradSampleModule
from opacus.accountants import RDPAccountant

from client import audit
from client.budget import check_budget, loss_of
from client.device import laid_out
from client.private_trainer import Protection, train_privately
from client.site import Site, SiteSettings
from client.spending import Spending, plan
from client.trainer import Start, Trained
from common.errors import Reason, Refused
from common.networks.weights import initial_weights, load_weights
from common.sites import PolicySettings
from common.tasks.local import Local
from common.tasks.privacy import Privacy
from common.tasks.train import Train
from tests.client.small_cases import TASK, bench, case

KEY = bytes(range(32))
SGD = Local(optimizer="sgd", momentum=0, weight_decay=0, batch=4, learning_rate=1.0)
EVERYBODY = Spending(noise=1e-12, rate=1.0, steps=1)


@pytest.fixture
def cases(tmp_path):
    return [case(tmp_path, seed) for seed in range(4)]


def privately(folder, cases, *, spending=EVERYBODY, clip=1.0, key=KEY) -> tuple[dict, Trained]:
    b = bench(folder, augmentation=None)
    first = initial_weights(b.network(), 1)
    protection = Protection(clip, spending, key)
    trained = train_privately(b, SGD, Start(first, 0, 1.0), cases, protection)
    return first, trained


def moved(first, trained) -> np.ndarray:
    return np.concatenate([(trained.weights[n] - first[n]).ravel() for n in first])


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_without_noise_it_is_the_mean_of_gradients_clipped_as_opacus_clips(tmp_path, cases) -> None:
    first, trained = privately(tmp_path, cases, clip=0.05)
    b = bench(tmp_path, augmentation=None)
    network = load_weights(b.network(), first).train()
    hooked = GradSampleModule(network, loss_reduction="mean")
    from client.learners.learner import learner_of
    from client.trainer import make_luck, stacked

    learner = learner_of(b)
    luck = make_luck(network, 0, torch.device("cpu"))
    examples = learner.load(cases, torch.device("cpu"))
    batch = stacked([learner.draw(e, luck, torch.device("cpu")) for e in examples])
    outputs = hooked(laid_out(torch.device("cpu"), batch[0]))
    b.task.build_loss()(outputs, batch[1]).backward()
    samples = [p.grad_sample for p in hooked.parameters() if p.requires_grad]
    norms = torch.stack([s.flatten(1).norm(dim=1) for s in samples]).norm(dim=0)
    share = (0.05 / (norms + 1e-6)).clamp(max=1)
    wanted = [-torch.einsum("n,n...->...", share, s) / len(cases) for s in samples]
    expected = torch.cat([w.flatten() for w in wanted]).numpy()
    assert np.allclose(moved(first, trained), expected, atol=1e-6)


def test_a_patient_moves_the_weights_by_no_more_than_the_clipping(tmp_path, cases) -> None:
    first, with_all = privately(tmp_path, cases, clip=0.01)
    twice = [replace(c, patient_id="p0") for c in cases]
    _, of_one = privately(tmp_path, twice, clip=0.01)
    assert np.linalg.norm(moved(first, of_one)) <= 0.01 * 1.001
    assert np.linalg.norm(moved(first, with_all)) <= 0.01 * 1.001
    assert of_one.n_patients == 1


def test_the_noise_has_the_planned_size(tmp_path, cases) -> None:
    spending = Spending(noise=3.0, rate=1.0, steps=1)
    first, trained = privately(tmp_path, cases, spending=spending, clip=0.01)
    quiet = moved(*privately(tmp_path, cases, clip=0.01))
    noise = (moved(first, trained) - quiet) * len(cases)
    assert noise.std() == pytest.approx(3.0 * 0.01, rel=0.05)


def test_the_same_ask_comes_to_the_same_bits_and_another_key_does_not(tmp_path, cases) -> None:
    spending = Spending(noise=1.0, rate=0.5, steps=2)
    one, again, other = (
        moved(*privately(tmp_path, cases, spending=spending, key=k)) for k in (KEY, KEY, bytes(32))
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_all_rounds_together_cost_the_target_and_no_more(epsilon) -> None:
    spending = plan(Privacy(epsilon=epsilon), Local(batch=5), n_patients=50, n_rounds=20)
    account = RDPAccountant()
    account.history = [(spending.noise, spending.rate, spending.steps * 20)]
    assert 0.9 * epsilon < account.get_epsilon(1e-5) <= epsilon
    assert loss_of([spending] * 20, 1e-5) == pytest.approx(account.get_epsilon(1e-5))


def test_delta_must_be_smaller_than_one_patient() -> None:
    with pytest.raises(ValueError, match="less than 1 / 2000 patients"):
        plan(Privacy(epsilon=1, delta=1e-3), Local(), n_patients=2000, n_rounds=1)


def site_with(folder, *spendings: tuple[str, Spending], most: float) -> Site:
    site = Site(
        SiteSettings(name="a", cohort=".", policy=PolicySettings(most_epsilon=most)), folder
    )
    for mark, s in spendings:
        taken = {"mark": mark, "noise": s.noise, "rate": s.rate, "steps": s.steps}
        audit.record(site.workspace / "audit.jsonl", event="release", privacy=taken)
    return site


def test_a_site_refuses_when_its_budget_is_spent(tmp_path) -> None:
    one = Spending(noise=1.0, rate=0.2, steps=20)
    alone = loss_of([one], 1e-5)
    site = site_with(tmp_path, ("first run", one), most=alone * 1.1)
    assert check_budget(site, "first run", one) == pytest.approx(alone)
    with pytest.raises(Refused) as refused:
        check_budget(site, "second run", one)
    assert refused.value.reason is Reason.BUDGET_SPENT


def test_a_private_training_tells_no_loss_and_allows_no_batch_norm() -> None:
    study = {"kind": "train", "rounds": 3, "privacy": {"epsilon": 3}}
    step = Train.model_validate({**study, "task": {"kind": "segmentation", **TASK}})
    from common.analyses.analysis import Ask
    from common.cohort import Image, Mask
    from common.holdings import Holdings

    ask = Ask("train", {"train": True}, {"weights.w": np.zeros(3, np.float32)})
    assert step.schema(ask, {}).keys() == {"n", "update.w"}
    task = {**TASK, "network": {"channels": [4, 8], "norm": "batch"}}
    mixed = Train.model_validate({**study, "task": {"kind": "segmentation", **task}})
    known = Holdings(
        images={"t1": Image(modality="MR")}, masks={"ball": Mask(on="t1", labels={"core": 1})}
    )
    assert [*mixed.problems(known, {})] == [
        "privacy: a batch norm mixes patients; choose norm: instance or group"
    ]
