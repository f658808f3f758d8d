"""The site's ClientApp: two questions, `hello` and `round`; the gate answers."""

import json
import os
from functools import lru_cache
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from client.gate import answer, safely
from client.log import log_as
from client.masking import join
from client.site import Site, load_site
from common.codec import joined_packet, read_hello, read_round, replies_packet
from common.messages import Packet
from common.wire import from_records, to_records

SIMULATION = "CONSORTIUM_SIMULATION"
"""Environment: a JSON list of the site.yaml of every simulated site, by partition-id."""

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
        return replies_packet(answer(site, read_round(from_records(message.content))))

    return Message(to_records(safely(replies)), reply_to=message)


def _site(context: Context) -> Site:
    """Return the site this process is: of its node's settings, or of the simulation's list."""
    named = context.node_config.get("site")
    if named is None:
        names = json.loads(os.environ[SIMULATION])
        named = names[int(context.node_config["partition-id"])]
    site = _load(str(named))
    log_as(site)
    return site


@lru_cache(maxsize=1024)
def _load(path: str) -> Site:
    site = load_site(Path(path))
    site.room()
    return site
