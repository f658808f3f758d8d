"""The one source of seeds: nothing else in the project starts a random generator.

A seed is a function of words, such as `seed(run, site, "train", round_)`, so that a
repeated or resumed piece of work draws the same numbers, whatever was drawn before it
and in whatever process it runs. The global generators of torch and numpy are not used.
"""

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


LARGEST_SEED = 2**63 - 1
"""Of a study's or roster's own seed: every generator and file format takes it."""


def seed(*parts: str | int) -> int:
    """Return a whole number from 0 to 2**63 - 1 that depends on every part."""
    # JSON keeps ("ab", "c") apart from ("a", "bc"), and 1 from "1".
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_rng(*parts: str | int) -> np.random.Generator:
    """Return a numpy generator of its own for these words."""
    return np.random.default_rng(seed(*parts))


def torch_rng(*parts: str | int, device: str = "cpu") -> "torch.Generator":
    """Return a torch generator of its own for these words, on a device."""
    import torch

    return torch.Generator(device=device).manual_seed(seed(*parts))
