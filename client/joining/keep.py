"""Keep a site joined through restarts of either side, and say what is being waited for.

A SuperNode that was killed counts as alive for a minute more, and while it does its own
successor is refused. So the successor is tried again, not given up.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from client.joining.connection import NODE, Connection
from client.joining.fleet import Fleet
from client.joining.lagging import lags_behind
from client.joining.place import Place
from client.joining.probe import Probe, probe
from client.working import kill_work, stop_work, work_under_way
from common.machine.processes import Gone, Processes, stopped_by_signals

_LOOK_S = 0.2
_ASK_S = 2.0  # between two questions whether the run at work is still on
_HEED_S = 15.0  # within which work must heed the stop sign
_PROBE_S = 10.0
_AGAIN_S = 10.0
_LONG_S = 60.0
_MOST_CLOCK_S = 240.0  # of difference; Flower refuses from 300 s on
# Flower gives a connection up when this happens once, as when a firewall or the coordinator's
# proxy is started again, and its process lives on without it.
_GAVE_UP = "SSL/TLS handshake error detected"
_AWAY = re.compile("Connection attempt failed|Connection successful|Received successfully")
_ID = re.compile(r"SuperNode ID: (\d+)")

Tell = Callable[[str], None]


@dataclass
class Keeper:
    """Keeps one site joined.

    Attributes:
        place: the site.
        tell: told in words whatever changes.
        more: added to the environment of the site's processes.
    """

    place: Place
    tell: Tell
    more: Mapping[str, str] = field(default_factory=dict)
    _words: str = ""
    _node: int | None = None
    _asked: float = 0.0
    _signs: dict[int, float] = field(default_factory=dict)

    def run(self) -> None:
        """Stay joined until told to stop.

        Raises:
            KeyboardInterrupt: told to stop; every process is stopped.
            RuntimeError: another process keeps this site joined.
        """
        with self.place.standing.only_one(), stopped_by_signals():
            try:
                while True:
                    words, wait_s = self._live_once()
                    self._say("waiting", f"{words}; trying again in {wait_s:g} s")
                    time.sleep(wait_s)
            finally:
                self._say("left", "left; nothing of this site runs any more")

    def _live_once(self) -> tuple[str, float]:
        """Connect, and stay so until a process ends; return why, and how long to wait."""
        connection = Connection(self.place, self.more)
        self._forget()
        self._say("connecting", f"connecting to {self.place.kit.coordinator}")
        with Processes(self.place.logs) as processes:
            processes.start(*connection.plans())
            probed = time.monotonic()
            while (gone := processes.ended() or _gave_up(processes)) is None:
                if self._node is None:
                    self._find_out(processes, connection)
                    if self._node is None and time.monotonic() > probed + _PROBE_S:
                        self._say("waiting", self._what_for(), connection)
                        probed = time.monotonic()
                else:
                    self._mind_the_connection(processes, connection)
                    self._mind_the_work()
                time.sleep(_LOOK_S)
        if self._node is None and (off := _clock_is_off(probe(self.place))):
            return off, _AGAIN_S  # Flower ends such a connection "gracefully" and says nothing
        return _why(gone, was_joined=self._node is not None)

    def _forget(self) -> None:
        self._node = None
        self._signs.clear()

    def _find_out(self, processes: Processes, connection: Connection) -> None:
        found = _ID.search(processes.said(NODE))
        if found is not None:
            self._node = int(found[1])
            self._say("joined", f"joined {self.place.kit.deployment}", connection)

    def _mind_the_connection(self, processes: Processes, connection: Connection) -> None:
        """Say when the coordinator answers no more, and when it does again."""
        state, words = "joined", f"joined {self.place.kit.deployment}"
        if _is_away(processes.last_words(NODE)):
            state, words = "waiting", "the coordinator does not answer; trying again and again"
        if words != self._words:
            self._say(state, words, connection)

    def _what_for(self) -> str:
        found = probe(self.place)
        waiting = "waiting for the coordinator to accept this site"
        return _clock_is_off(found) or (waiting if found.well else found.words)

    def _mind_the_work(self) -> None:
        """Ask whether the run at work is still on; where it is not, stop the work."""
        if time.monotonic() < self._asked + _ASK_S:
            return
        self._asked = time.monotonic()
        note = work_under_way(self.place.site.workspace)
        if note is None or self._node is None:
            self._signs.clear()
            return
        pid, run = int(note["pid"]), str(note["flower_run"])
        if pid in self._signs:
            if time.monotonic() > self._signs[pid] + _HEED_S and kill_work(note):
                self.tell(f"work on {note.get('run', run)} did not stop by itself; killed")
        elif self._is_over(run):
            stop_work(self.place.site.workspace, run)
            self._signs[pid] = time.monotonic()
            self.tell(f"the coordinator ended run {note.get('run', run)}; stopping the work on it")

    def _is_over(self, run: str) -> bool:
        try:
            return Fleet(self.place, self._node or 0).is_over(int(run))
        except httpx.HTTPError:
            return False  # nobody answers: the work may be wanted yet

    def _say(self, state: str, words: str, connection: Connection | None = None) -> None:
        if words != self._words:
            self._words = words
            self.tell(words)
        about: dict[str, Any] = {"health": connection.health} if connection else {}
        self.place.standing.say(state, words, **about)


def _clock_is_off(found: Probe) -> str:
    """Say that the clocks are too far apart for a connection; nothing where they are not."""
    if found.clock_s is None or abs(found.clock_s) <= _MOST_CLOCK_S:
        return ""
    ahead = "ahead of" if found.clock_s > 0 else "behind"
    return (
        f"this machine's clock is {abs(found.clock_s):.0f} s {ahead} the coordinator's, "
        "which lets in nobody who is more than five minutes off; set the clock"
    )


def _is_away(said: str) -> bool:
    """Tell from the end of what Flower's connection says whether nobody answers it."""
    return _AWAY.findall(said)[-1:] == ["Connection attempt failed"]


def _gave_up(processes: Processes) -> Gone | None:
    """Return the connection's process as gone where it lives, but is of no more use.

    It connects no more, or its replies are a message behind. A new process has a log of its
    own to be judged by and an empty queue; what a site has answered it keeps, and gives again.
    """
    said = processes.last_words(NODE)
    if _GAVE_UP not in said and not lags_behind(said):
        return None
    time.sleep(_LOOK_S)  # what it says next tells why
    return Gone(NODE, 0, processes.last_words(NODE))


def _why(gone: Gone, *, was_joined: bool) -> tuple[str, float]:
    """Return in words why a connection ended, and after how many seconds to try again."""
    said = gone.last_words
    if lags_behind(said):
        return "a run ended while a message of it was coming in; connecting anew", 1.0
    if "[code: 2004]" in said:
        return (
            "the coordinator does not let this site in: either it has not taken up this site's "
            "enrolment, or it still counts a connection that was killed as alive (a minute)",
            _AGAIN_S,
        )
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return "the coordinator's certificate is not signed by the authority of the kit", _LONG_S
    if _GAVE_UP in said:
        return "the connection was cut while it was made (TLS), and given up", 1.0
    if gone.name != NODE:
        return f"the process that starts the work ended ({gone.code})", 1.0
    if gone.code < 0 or was_joined:
        return f"the connection's process ended ({gone.code})", 1.0
    return f"the connection's process ended ({gone.code}): {said.strip()[-300:]}", _AGAIN_S
