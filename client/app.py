"""The site's ClientApp: two questions, `hello` and `round`; the gate answers."""

import json
import logging
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from client.gate import answer, safely
from client.log import log_as
from client.masking import join
from client.site import Site, load_site
from client.working import Halted, at_work
from common.codec import joined_packet, read_hello, read_round, replies_packet
from common.deployment import APPROVED
from common.errors import Reason
from common.messages import Packet
from common.wire import from_records, to_records

SIMULATION = "CONSORTIUM_SIMULATION"
"""Environment: a JSON list of the site.yaml of every simulated site, by partition-id."""

log = logging.getLogger(__name__)

app = ClientApp()


@app.query("hello")
def hello(message: Message, context: Context) -> Message:
    """Join a session."""

    def joined() -> Packet:
        site = _site(context)
        return joined_packet(join(site, read_hello(from_records(message.content))))

    return Message(to_records(safely(joined)), reply_to=message)


@app.query("round")
def round_(message: Message, context: Context) -> Message:
    """Answer the asks of a round."""

    def replies() -> Packet:
        site = _site(context)
        asked = read_round(from_records(message.content))
        about = {
            "run": asked.hello.run,
            "round": asked.number,
            "asks": [posed.problem for posed in asked.asks],
        }

        def answered() -> Packet:
            return replies_packet(answer(site, asked))

        if "site" not in context.node_config:  # a simulation, which stops in its own way
            return answered()
        return _halting(site, context.run_id, about, answered)

    return Message(to_records(safely(replies)), reply_to=message)


def _halting(
    site: Site, run: int, about: dict[str, object], answered: Callable[[], Packet]
) -> Packet:
    """Return an answer, or a bare reason where the work was stopped."""
    try:
        with at_work(site.workspace, run, about):
            return answered()
    except Halted:
        log.warning("stopped: the coordinator ended the run")
        return Packet({"failed": str(Reason.STOPPED)})


def _site(context: Context) -> Site:
    """Return the site this process is: of its node's settings, or of the simulation's list."""
    named = context.node_config.get("site")
    if named is None:
        names = json.loads(os.environ[SIMULATION])
        named = names[int(context.node_config["partition-id"])]
    file = Path(str(named))
    site = _load(str(file), _stamp(file), _stamp(file.parent / APPROVED))
    log_as(site)
    return site


def _stamp(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0


@lru_cache(maxsize=1024)
def _load(path: str, *_stamps: int) -> Site:
    """Read a site's file, and again once it or what was approved has changed."""
    site = load_site(Path(path))
    site.room()
    return site
