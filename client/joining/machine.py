"""Is this machine fit to be a site? Processor, GPU, memory, disk, clock, network, proxy."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from client.joining.place import Place
from client.joining.probe import probe

_PACKAGES = ("flwr", "torch", "monai", "numpy", "SimpleITK")
_FREE_GB, _MEMORY_GB = 10.0, 8.0
_CLOCK_S, _CLOCK_FAILS_S = 5.0, 240.0  # Flower refuses what is signed 5 minutes off
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True)
class Found:
    """One thing that was looked at.

    Attributes:
        what: its name.
        words: how it is.
        verdict: "ok", "look" (somebody should), or "fails".
    """

    what: str
    words: str
    verdict: str = "ok"


def check_machine(place: Place, *, call: bool = True) -> list[Found]:
    """Look at this machine; nothing leaves it but one call at the coordinator's door.

    Args:
        place: the site.
        call: whether to call the coordinator.
    """
    found = [*_software(), *_hardware(place), *_disk(place), *_data(place)]
    return [*found, *(_network(place) if call else ())]


def _software() -> Iterator[Found]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield Found("python", python, "ok" if (3, 11) <= sys.version_info[:2] < (3, 13) else "fails")
    yield Found("packages", ", ".join(f"{name} {version(name)}" for name in _PACKAGES))


def _hardware(place: Place) -> Iterator[Found]:
    import torch

    yield Found("processor", f"{os.cpu_count()} cores")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    enough = memory >= _MEMORY_GB
    yield Found("memory", f"{memory:.0f} GB", "ok" if enough else "look")
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        size = properties.total_memory / 2**30
        yield Found("gpu", f"{torch.cuda.device_count()} x {properties.name}, {size:.0f} GB")
        return
    wanted = place.site.settings.device
    text = f"none that PyTorch can use (device: {wanted}); training takes the processor"
    yield Found("gpu", text, "fails" if wanted.startswith("cuda") else "look")


def _disk(place: Place) -> Iterator[Found]:
    folder = place.site.room()
    free = shutil.disk_usage(folder).free / 2**30
    verdict = "ok" if free >= _FREE_GB else "look" if free >= 1 else "fails"
    yield Found("disk", f"{free:.0f} GB free for {folder}", verdict)
    try:
        trial = folder / f".check.{os.getpid()}"
        trial.write_bytes(b"x")
        trial.unlink()
    except OSError as error:
        yield Found("workspace", f"cannot be written: {error.strerror}", "fails")


def _data(place: Place) -> Iterator[Found]:
    for cohort in place.site.cohorts:
        if not (cohort / "cohort.csv").is_file():
            yield Found("data", f"no cohort.csv in {cohort}", "fails")
        elif os.access(cohort, os.W_OK):
            text = f"{cohort} can be written by this user; reading is all a site needs"
            yield Found("data", text, "look")
        else:
            yield Found("data", f"{cohort}, read-only")
    for path in (place.connection_key, Path(place.folder / place.site.settings.identity)):
        if path.exists() and path.stat().st_mode & 0o077:
            yield Found("keys", f"{path} can be read by others; chmod 600", "fails")


def _network(place: Place) -> Iterator[Found]:
    proxy = next((os.environ[name] for name in _PROXIES if os.environ.get(name)), "")
    yield Found("proxy", f"{proxy} is used" if proxy else "none is set")
    found = probe(place)
    time = f" in {found.seconds:.2f} s" if found.well else ""
    yield Found("network", found.words + time, "ok" if found.well else "fails")
    if found.clock_s is None:
        return
    ahead = found.clock_s
    words = "agrees with the coordinator's"
    if abs(ahead) > _CLOCK_S:
        words = f"is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the coordinator's"
    fails = abs(ahead) > _CLOCK_FAILS_S
    yield Found("clock", words, "fails" if fails else "look" if abs(ahead) > _CLOCK_S else "ok")
