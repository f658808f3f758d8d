"""Keep the coordinator up: SuperLink, its SuperExec, the proxy; each started again if it ends.

A run outlives a SuperLink that comes back within a minute, since the ServerApp is a
process of its own. So what has ended is started again by itself, not all together.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from common.errors import ConfigError
from common.machine.processes import Processes, stopped_by_signals
from server.deploy.conduct import NOT_LOST, runs_under_way
from server.deploy.control import Control
from server.deploy.home import Home, find_home
from server.deploy.proxy import nginx

_START_S = 60.0
_LOOK_S = 0.2
_TAKE_S = 2.0  # between two looks for sites that have enrolled
_AGAIN_S = 2.0
_HEARD_S = 4.0  # sites ask every two seconds whether the run they work for is still on

Tell = Callable[[str], None]


@dataclass
class Upkeep:
    """Keeps one coordinator up.

    Attributes:
        home: the coordinator.
        tell: told in words whatever changes.
    """

    home: Home
    tell: Tell
    _let_in: dict[str, str] = field(default_factory=dict)
    _looked: float = 0.0
    _ended: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Stay up until told to stop.

        Raises:
            KeyboardInterrupt: told to stop; every process is stopped.
            FileNotFoundError: there is no nginx on this machine.
            RuntimeError: another process keeps it up already.
        """
        nginx()
        with self.home.standing.only_one(), stopped_by_signals():
            try:
                with Processes(self.home.logs) as processes:
                    self._start(processes)
                    try:
                        while True:
                            self._mend(processes)
                            self._let_sites_in()
                            time.sleep(_LOOK_S)
                    except KeyboardInterrupt:
                        self._end_runs()
                        raise
            finally:
                self._say("down", "; ".join(["stopped", *self._ended]))

    def _end_runs(self) -> None:
        """Stop the runs under way while Flower can still tell the sites so, and say it."""
        try:
            under_way = runs_under_way(self.home)
        except RuntimeError as error:
            self.tell(f"runs could not be asked for: {error}")
            return
        for run in under_way:
            run.end_with_coordinator()
            words = f"{run.run.id} was under way and is ended; {NOT_LOST}"
            again = f"consortium deploy up {self.home.folder}"
            self._ended.append(f"{words}: {again}, then: consortium resume {run.run.folder}")
            self.tell(self._ended[-1])
        if under_way:
            time.sleep(_HEARD_S)

    def _start(self, processes: Processes) -> None:
        home = self.home
        self._say("starting", f"starting SuperLink on {home.link.address}")
        processes.start(home.link.plan())
        processes.wait_for(home.link.is_up, "SuperLink answers", _START_S)
        self._let_sites_in()
        processes.start(home.link.worker_plan())
        processes.start(home.proxy.plan())
        processes.wait_for(home.proxy.is_up, "the proxy answers", _START_S)
        self._say("up", f"up: sites may call {home.address}")

    def _mend(self, processes: Processes) -> None:
        gone = processes.ended()
        if gone is None:
            return
        self._say("mending", f"{gone.name} ended with {gone.code}; starting it again")
        time.sleep(_AGAIN_S)
        processes.start_again(gone.name)
        self._say("up", f"{gone.name} is started again")

    def _let_sites_in(self) -> None:
        """Have SuperLink know the connection key of every site that has enrolled."""
        if time.monotonic() < self._looked + _TAKE_S:
            return
        self._looked = time.monotonic()
        enrolled = self.home.enrolments()
        for name in sorted(enrolled):
            key = enrolled[name].connection
            if self._let_in.get(name) == key:
                continue
            try:
                Control(self.home.link).register(name, key)
            except RuntimeError as error:
                self.tell(f"{name} could not be registered: {error}")
                return
            self._let_in[name] = key
            self.tell(f"{name} may connect")

    def _say(self, state: str, words: str) -> None:
        self.tell(words)
        self.home.standing.say(state, words)


def keep_up(folder: Path) -> int:
    """Keep the coordinator of a folder up until told to stop; return an exit code."""
    try:
        Upkeep(find_home(folder), say).run()
    except KeyboardInterrupt:
        return 0
    except ConfigError as error:
        sys.stderr.write("".join(f"{finding}\n" for finding in error.findings))
        return 1
    except (RuntimeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 4
    return 0


def say(words: str) -> None:
    """Print what changed, and when."""
    sys.stdout.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(keep_up(Path(sys.argv[1])))
