"""The real ClientApp with the local training left out: for scripts/bench_rounds.py."""

from dataclasses import replace

import numpy as np

import client.gate as gate
from client.app import app
from client.steps import Work, find_work
from common.sums import Sums

__all__ = ["app"]


def _without_training(*arguments: object) -> Work:
    work = find_work(*arguments)  # type: ignore[arg-type]
    return replace(work, summarise=lambda: _zeros(work))


def _zeros(work: Work) -> Sums:
    sums = {name: np.zeros(field.shape, np.float32) for name, field in work.schema.items()}
    return {**sums, **({"n": np.array(20)} if "n" in sums else {})}


gate.find_work = _without_training
