"""Start what answers messages, without a new Python for each: Flower's SuperExec, which forks.

Flower's own starts a fresh interpreter for every message, which spends many times as long on
imports as a statistic takes. This one has imported Flower and what answering needs, but
torch; each answer is a fork of it, still a process of its own that ends with its message. The
code that answers is the bundle's, which this hospital has signed (`loaded.py`).

    python -m client.joining.worker OPTIONS-OF-FLOWER-SUPEREXEC
"""

import importlib
import multiprocessing
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from client.joining.loaded import keep_what_is_signed, loaded

_BEGIN = "Start `flwr-clientapp` process\n"  # as Flower's own says it
_RUN = "flwr.supernode.runtime.run_clientapp"
_PRELOADED = (_RUN, "flwr.clientapp", "client.app")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)


@dataclass(frozen=True)
class Answering:
    """One message to be answered, as Flower's SuperExec hands it over.

    Attributes:
        address: of the SuperNode that has the message, on this machine.
        token: that opens it, once.
        parent: process with which this one ends.
        before: our code that is loaded already.
    """

    address: str
    token: str
    parent: int | None
    before: Mapping[str, str]

    def __call__(self) -> None:
        """Answer it, in a process of its own."""
        _begin_afresh()
        run: Any = importlib.import_module(_RUN)
        run.get_load_client_app_fn = self._of_the_bundle(run.get_load_client_app_fn)
        sys.stderr.write(_BEGIN)
        run.run_clientapp(
            runtime_api_address=self.address,
            token=self.token,
            insecure=True,
            parent_pid=self.parent,
            runtime_dependency_install=False,
        )

    def _of_the_bundle(self, loader: Callable[..., Any]) -> Callable[..., Any]:
        """Return Flower's loader of apps, made to see to it that the bundle's code runs."""
        config = importlib.import_module("flwr.common.config")

        def made(**how: Any) -> Callable[[str, str, str], Any]:
            load = loader(**how)

            def load_signed(app: str, version: str, sha256: str) -> Any:
                keep_what_is_signed(config.get_project_dir(app, version, sha256), self.before)
                return load(app, version, sha256)

            return load_signed

        return made


def _begin_afresh() -> None:
    """Have nothing to do that is the parent's."""
    handlers = importlib.import_module("flwr.supercore.exit.exit_handler")
    handlers.registered_exit_handlers.clear()
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    # A process that this one spawns would else begin by loading this very file.
    sys.modules["__main__"] = ModuleType("__main__")


def _launching(before: Mapping[str, str]) -> Callable[[object, Any], Any]:
    """Return what stands in for Flower's way to start a process: a fork."""
    types = importlib.import_module("flwr.supercore.superexec.executor.types")
    kinds = importlib.import_module("flwr.supercore.constant").TaskType
    fork = multiprocessing.get_context("fork").Process

    def launch(_executor: object, spec: Any) -> Any:
        if spec.task_type != kinds.CLIENT_APP or not spec.insecure:
            return types.LaunchResult.failed(f"a site answers messages only, not {spec.task_type}")
        sys.stdout.flush()
        sys.stderr.flush()
        work = Answering(spec.runtime_api_address, spec.token, spec.parent_pid, before)
        fork(target=work, name="answering").start()
        return types.LaunchResult.accepted()

    return launch


def _bury(_executor: object) -> None:
    """Take note of processes that have ended, which else would seem to live on."""
    multiprocessing.active_children()


def main() -> None:
    """Hand out work until told to stop."""
    for name in _PRELOADED:
        importlib.import_module(name)
    executors = importlib.import_module("flwr.supercore.superexec.executor.subprocess_executor")
    executors.SubprocessExecutor.launch = _launching(loaded())
    executors.SubprocessExecutor.reconcile = _bury
    importlib.import_module("flwr.supercore.cli.flower_superexec").flower_superexec()


if __name__ == "__main__":
    main()
