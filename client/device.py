"""The processor or GPU of a site, and how to compute on it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from client.bench import Bench, Precision


def find_device(name: str) -> torch.device:
    """Return a device by name; "auto" is the first GPU if there is one.

    Raises:
        ValueError: there is no such device here.
    """
    if name == "auto":
        name = "cuda:0" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ValueError(f'device: expected "auto", "cpu" or "cuda:N", got "{name}"')
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f'device: expected a GPU that is here, got "{name}"')
    return device


@contextmanager
def steady(bench: Bench) -> Iterator[torch.device]:
    """Yield the bench's device, with its number of threads and repeatable kernels."""
    device, n_threads = find_device(bench.device), torch.get_num_threads()
    cudnn = torch.backends.cudnn
    torch.set_num_threads(bench.threads)
    try:
        with cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield device
    finally:
        torch.set_num_threads(n_threads)


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute convolutions in bfloat16 where that is asked for or faster."""
    half = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        yield


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies in bfloat16, rather than imitating it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return "avx512_bf16" in _processor()


@cache
def _processor() -> str:
    """Return what Linux says of the processor; elsewhere nothing."""
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def laid_out(device: torch.device, x: Tensor) -> Tensor:
    """Return a batch in the order of memory its device is fast in.

    Channels last on a GPU. On a CPU that made training 1.3 to 2 times slower.
    """
    if device.type == "cpu":
        return x
    last = torch.channels_last_3d if x.ndim == 5 else torch.channels_last
    return x.to(memory_format=last)


def network_on(device: torch.device, network: nn.Module) -> nn.Module:
    """Return a network on a device, its weights in the order of `laid_out`."""
    network = network.to(device)
    for parameter in network.parameters():
        if parameter.ndim >= 4:
            parameter.data = laid_out(device, parameter.data)
    return network
