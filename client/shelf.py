"""Weights that never leave a site, kept on its disk from one round to the next."""

from pathlib import Path

from safetensors.numpy import load, save

from client.files import write_atomically
from common.networks.weights import Array, Weights


class Shelf:
    """What one training keeps; a round may be worked on again and finds the same.

    Args:
        folder: of the site's workspace.
        problem: of the training, such as "finer/development".
        round_: that is worked on.
    """

    def __init__(self, folder: Path, problem: str, round_: int) -> None:
        self.folder, self.round = folder, round_
        self.stem = problem.replace("/", ".")

    def before(self) -> Weights:
        """Return what was kept by the last round before this one; nothing at first.

        That is an older one where the site missed some.
        """
        kept = {int(path.name.split("-")[-1][:5]): path for path in self._files()}
        last = max((round_ for round_ in kept if round_ < self.round), default=None)
        return {} if last is None else dict(load(kept[last].read_bytes()))

    def keep(self, weights: dict[str, Array]) -> None:
        """Keep weights, if there are any; drop those no repeated round can ask for."""
        if not weights:
            return
        name = f"{self.stem}-{self.round:05d}.safetensors"
        earlier = [path for path in self._files() if path.name < name]
        write_atomically(self.folder / name, save(weights))
        for path in earlier[:-1]:
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self.stem}-?????.safetensors"))
