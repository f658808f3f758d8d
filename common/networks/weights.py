"""A network's weights as named arrays: how they start, and how they are exchanged."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.seeds import torch_rng

Array: TypeAlias = NDArray[np.float32]
Weights: TypeAlias = Mapping[str, NDArray[np.generic]]


def initial_weights(network: nn.Module, seed: int) -> dict[str, Array]:
    """Return weights for a network to start from, the same for the same seed.

    Normal with He's variance for what multiplies features; 0 and 1 for the rest.
    """
    rng = torch_rng("initial weights", seed)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, a=0.01, generator=rng)
        else:
            is_scale = name.endswith("weight")
            nn.init.constant_(parameter, 1.0 if is_scale else 0.0)
    return weights_of(network)


def weights_of(network: nn.Module) -> dict[str, Array]:
    """Return what sites exchange: parameters, and the running means of batch norms.

    Both are averaged over sites alike. Whole numbers (how many batches a norm has
    seen) stay out: nothing is computed from them.
    """
    return {
        name: value.detach().to("cpu", torch.float32, copy=True).contiguous().numpy()
        for name, value in _floats(network).items()
    }


def load_weights(network: nn.Module, weights: Weights) -> nn.Module:
    """Return a network, given these weights, ready to predict.

    Raises:
        ValueError: names or shapes are not those of the network.
    """
    own = {name: tuple(value.shape) for name, value in _floats(network).items()}
    got = {name: value.shape for name, value in weights.items()}
    if own != got:
        odd = sorted(k for k in own.keys() | got.keys() if own.get(k) != got.get(k))
        raise ValueError(f"weights do not fit the network: {odd[:5]}")
    tensors = {k: torch.from_numpy(np.array(v, np.float32)) for k, v in weights.items()}
    network.load_state_dict(tensors, strict=False)
    return network.eval()


def _floats(network: nn.Module) -> dict[str, Tensor]:
    state = network.state_dict()
    return {name: value for name, value in state.items() if value.is_floating_point()}
