"""What a site keeps of networks on its own disk: its own ones, and parts that never leave.

All of it lies in the run's folder of the workspace. Files carry the round after which they
were written, so that a round that is asked again begins where it began the first time.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors.numpy import load, save

from client.files import write_atomically
from client.site import Site
from common.sums import Array

Weights = dict[str, Array]

_ROUND = re.compile(r"-(\d{5})\.safetensors$")


class OwnNetworks:
    """The networks of one training of one run at this site.

    Args:
        site: this site.
        run: the run.
        step: the training.
        fold: of the patients it never sees, from 1; 0: it sees all.
    """

    def __init__(self, site: Site, run: str, step: str, fold: int) -> None:
        self.folder = site.room("runs", run, "networks")
        self.stem = f"{step}.fold.{fold}" if fold else step

    # -- a network of this site alone ------------------------------------------------------

    def alone(self, after: int | None = None) -> Weights | None:
        """Return the network trained here alone, as it was after a round; nothing: the last."""
        if after is not None:
            return _read(self._file("", after))
        return self._newest("", None)

    def keep_alone(self, after: int, weights: Mapping[str, Array]) -> None:
        """Keep the network trained here alone, and that of the round before."""
        self._write(self._file("", after), weights)
        self._file("", after - 2).unlink(missing_ok=True)

    # -- parts that never leave ------------------------------------------------------------

    def local_part(self, before: int) -> Weights | None:
        """Return the newest local part written in a round before this one."""
        return self._newest(".local", before)

    def keep_local_part(self, after: int, part: Mapping[str, Array], *, best: int) -> None:
        """Keep a local part; those that neither this nor the best round needs are dropped.

        Args:
            after: the round.
            part: the weights that never leave.
            best: the round with the best validation so far; -1 where there is none.
        """
        self._write(self._file(".local", after), part)
        rounds = [r for r, _ in self._files(".local")]
        needed = {r for r in rounds if r >= after - 1}
        needed |= set(sorted(r for r in rounds if r < best)[-1:])
        for round_, path in self._files(".local"):
            if round_ not in needed:
                path.unlink(missing_ok=True)

    # -- fine-tuned ------------------------------------------------------------------------

    def tuned(self) -> Weights | None:
        """Return the network that was fine-tuned here, if there is one."""
        return _read(self.folder / f"{self.stem}.tuned.safetensors")

    def keep_tuned(self, weights: Mapping[str, Array]) -> None:
        """Keep the network that was fine-tuned here."""
        self._write(self.folder / f"{self.stem}.tuned.safetensors", weights)

    # -- files -----------------------------------------------------------------------------

    def _file(self, kind: str, round_: int) -> Path:
        return self.folder / f"{self.stem}{kind}-{round_:05d}.safetensors"

    def _files(self, kind: str) -> Iterator[tuple[int, Path]]:
        for path in self.folder.glob(f"{self.stem}{kind}-*.safetensors"):
            if found := _ROUND.search(path.name):
                yield int(found.group(1)), path

    def _newest(self, kind: str, before: int | None) -> Weights | None:
        files = [(r, path) for r, path in self._files(kind) if before is None or r < before]
        return _read(max(files)[1]) if files else None

    def _write(self, path: Path, weights: Mapping[str, Array]) -> None:
        write_atomically(path, save(dict(weights)))


def _read(path: Path) -> Weights | None:
    return dict(load(path.read_bytes())) if path.exists() else None
