"""The real ClientApp with the local training left out: for scripts/bench_rounds.py."""

from dataclasses import replace
from functools import lru_cache

import numpy as np

import client.gate as gate
from client.app import app
from client.steps import Work, find_work
from common.sums import Array, Sums

__all__ = ["app"]


def _without_training(*arguments: object) -> Work:
    work = find_work(*arguments)  # type: ignore[arg-type]
    return replace(work, summarise=lambda: _zeros(work))


@lru_cache
def _update(shape: tuple[int, ...]) -> Array:
    """Return zeros, the same again: what it costs to make an update belongs to training."""
    return np.zeros(shape, np.float32)


def _zeros(work: Work) -> Sums:
    sums = {name: _update(field.shape) for name, field in work.schema.items()}
    return {**sums, **({"n": np.array(20)} if "n" in sums else {})}


gate.find_work = _without_training
