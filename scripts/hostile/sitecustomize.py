"""Makes one site's answering process misbehave, as a file beside its `site.yaml` says.

Python imports a module of this name by itself; `fault_matrix.py` puts this folder on one
site's path. The file `hostile` holds a word: slow, nan, wrong_shape, oversize, late,
duplicate, replayed; without it nothing is changed.
"""

import os
import select
import sys
import time
from dataclasses import replace
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

LATE_S, SLOW_S = 150.0, 45.0
_GATE = "client.gate"


class _Watch(MetaPathFinder):
    """Changes the gate once it is loaded."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Return the gate's own spec, whose loader also changes it."""
        if name != _GATE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            load = loader.exec_module

            def load_and_change(module: Any) -> None:
                load(module)
                _change(module)

            loader.exec_module = load_and_change
        return spec


def _change(gate: Any) -> None:
    answer, find_work = gate.answer, gate.find_work

    def changed_answer(site: Any, message: Any) -> Any:
        how = _how(site.folder)
        if how == "late":
            time.sleep(LATE_S)
        return _changed_replies(site, how, answer(site, message))

    def changed_work(site: Any, *more: Any) -> Any:
        work, how = find_work(site, *more), _how(site.folder)
        if how not in {"nan", "wrong_shape", "slow"}:
            return work
        return replace(work, summarise=lambda: _spoiled(how, dict(work.summarise())))

    gate.answer, gate.find_work = changed_answer, changed_work


def _changed_replies(site: Any, how: str, replies: Any) -> Any:
    if not how:
        for reply in replies.replies:
            _keep(site, reply)
    if how == "duplicate":
        return replace(replies, replies=(*replies.replies, *replies.replies))
    if how == "oversize":
        return replace(replies, replies=tuple(_longer(r) for r in replies.replies))
    if how == "replayed":
        return replace(replies, replies=tuple(_older(site, r) for r in replies.replies))
    return replies


def _how(folder: Path) -> str:
    path = folder / "hostile"
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _spoiled(how: str, sums: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    if how == "slow":
        time.sleep(SLOW_S)
        return sums
    name = next(n for n, a in sums.items() if np.asarray(a).dtype.kind == "f" and np.size(a))
    sums[name] = np.full_like(sums[name], np.nan) if how == "nan" else np.zeros(3)
    return sums


def _longer(reply: Any) -> Any:
    import numpy as np

    return replace(reply, words=np.concatenate([reply.words] * 500))


def _kept(site: Any, reply: Any) -> Path:
    return Path(site.folder / f"kept-{reply.problem.replace('/', '-')}-{reply.words.size}.npz")


def _keep(site: Any, reply: Any) -> None:
    """Keep the first honest reply of each size to a problem, with its signature."""
    import numpy as np

    if reply.words is not None and not _kept(site, reply).exists():
        np.savez(_kept(site, reply), words=reply.words, signature=np.array(reply.signature))


def _older(site: Any, reply: Any) -> Any:
    """Return the reply of another run to the same question."""
    import numpy as np

    with np.load(_kept(site, reply)) as kept:
        return replace(reply, words=kept["words"], signature=str(kept["signature"]))


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


sys.meta_path.insert(0, _Watch())

if "FAKETIME" in os.environ:  # libfaketime hands Python's own sleep an impossible moment
    time.sleep = _sleep
