"""Noise is drawn anew where a private round starts from other weights of the site's own."""

from types import SimpleNamespace

import numpy as np
import pytest

from client import training
from client.spending import Spending
from common.tasks.local import Local
from common.tasks.privacy import Privacy
from tests.client.small_cases import case


@pytest.fixture
def job(tmp_path, monkeypatch):
    cases = [case(tmp_path, s) for s in range(4)]
    monkeypatch.setattr(training, "_usable", lambda _: cases)
    monkeypatch.setattr(training, "_local_part", lambda _: {})
    monkeypatch.setattr("client.spending.plan", lambda *_: Spending(1.0, 0.5, 2))
    values = {"own": True, "train": True, "round": 1}
    ask = SimpleNamespace(values=values, arrays={}, digest=lambda: "the same ask")
    step = SimpleNamespace(privacy=Privacy(epsilon=3), local=Local(), n_takes=2)
    hello = SimpleNamespace(study="s")
    return SimpleNamespace(
        message=SimpleNamespace(hello=hello), posed=SimpleNamespace(step="t", ask=ask), step=step
    )


def mark_from(job, monkeypatch, weights) -> str:
    own = SimpleNamespace(alone=lambda **_: weights)
    monkeypatch.setattr(training, "_own", lambda _: own)
    found = training.account(job)
    assert found is not None
    return found[0]


def test_the_mark_follows_the_weights_a_round_goes_on_from(job, monkeypatch) -> None:
    one = mark_from(job, monkeypatch, {"w": np.zeros(3, np.float32)})
    again = mark_from(job, monkeypatch, {"w": np.zeros(3, np.float32)})
    other = mark_from(job, monkeypatch, {"w": np.ones(3, np.float32)})
    assert one == again
    assert one != other
