"""Is a SuperNode one message behind? It then pushes yesterday's reply for today's question.

Flower 1.41's SuperNode (supernode/start_client_internal.py) pushes one reply for each message
it has pulled. Where a run ends in the middle of a pull, it says that it ignores the message,
but has already made a task of it: its reply stays in the queue, is pushed after the next
message in place of that one's own, and so on for as long as the process lives. Nothing but
a new process has an empty queue.
"""

import re

# What Flower says: whose message came last, and of whom it then ignored a message or a reply.
_SAID = re.compile(
    r"\[RUN (?P<of>\d+)(?:, ROUND [^\]]*)?\]\s+(?:\S+ +:\s+)?(?P<what>Receiving|Sending):"
    r"|Run ID (?P<over>\d+) is not in `RUNNING` status\. Ignoring (?P<reply>reply )?message"
)
_COLOUR = re.compile(r"\x1b\[\d+m")


def lags_behind(said: str) -> bool:
    """Tell from what a SuperNode says whether its replies belong to earlier messages.

    A reply that is ignored because its own run was stopped under the work is as it should be:
    the last message that came was of the same run.

    Args:
        said: the end of what it has said since it was started.
    """
    last = ""
    for found in _SAID.finditer(_COLOUR.sub("", said)):
        if found["what"] == "Receiving":
            last = found["of"]
        elif found["over"] and (not found["reply"] or last not in {"", found["over"]}):
            return True
    return False
