"""The real ClientApp with one site that misbehaves, as a file beside its site.yaml says.

HOSTILE names what: raise, nan, wrong_shape, hang, die, tamper, replay, other_site, silent,
garbage. From the round that HOSTILE_FROM names, counted from 1.
"""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

import client.app as real
import client.gate as gate
from client.steps import Work, find_work
from common.codec import read_replies, read_round, replies_packet
from common.messages import Packet, Replies, Reply
from common.wire import from_records, to_records

app = ClientApp()
_kept: dict[str, Replies] = {}


@app.query("hello")
def hello(message: Message, context: Context) -> Message:
    return real.app(message, context)


@app.query("round")
def round_(message: Message, context: Context) -> Message:
    how = _how(context, read_round(from_records(message.content)).number)
    if how == "raise":
        raise RuntimeError("patient007 in /secret/path could not be read")
    if how == "die":
        os._exit(9)
    if how == "hang":
        time.sleep(3600)
    if how in {"nan", "wrong_shape", "error"}:
        return _with_bad_sums(how, message, context)
    reply = real.app(message, context)
    if how == "":
        return reply
    packet = _spoil(how, read_replies(from_records(reply.content)))
    return Message(to_records(packet), reply_to=message)


def _how(context: Context, number: int) -> str:
    site = json.loads(os.environ[real.SIMULATION])[int(context.node_config["partition-id"])]
    path = Path(site).parent / "hostile.json"
    if not path.exists():
        return ""
    plan = json.loads(path.read_text())
    return str(plan["how"]) if number >= plan.get("from", 1) else ""


def _with_bad_sums(how: str, message: Message, context: Context) -> Message:
    def spoiled(*arguments: object) -> Work:
        work = find_work(*arguments)  # type: ignore[arg-type]
        if arguments[0].name != "east":  # type: ignore[attr-defined]  (threads share the gate)
            return work
        return replace(work, summarise=lambda: _bad(how, dict(work.summarise())))

    gate.find_work = spoiled
    try:
        return real.app(message, context)
    finally:
        gate.find_work = find_work


def _bad(how: str, sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if how == "error":
        raise ValueError("patient007 in /secret/path could not be read")
    name = next(n for n, a in sums.items() if a.dtype.kind == "f" and a.size)
    sums[name] = np.full_like(sums[name], np.nan) if how == "nan" else np.zeros(3)
    return sums


def _spoil(how: str, replies: Replies) -> Packet:
    first = replies.replies[0]
    if how == "garbage":
        return Packet({"site": replies.site, "replies": 7, "work_s": 0})
    if how == "silent":
        return replies_packet(replace(replies, replies=()))
    if how == "other_site":
        return replies_packet(replace(replies, site="north"))
    if how == "short":
        return replies_packet(
            _with(replies, [replace(r, words=_short(r)) for r in replies.replies])
        )
    if how == "tamper":
        return replies_packet(
            _with(replies, [replace(r, words=_changed(r)) for r in replies.replies])
        )
    if how == "replay":
        kept = _kept.setdefault(first.problem, replies)
        return replies_packet(kept)
    raise ValueError(how)


def _with(replies: Replies, changed: list[Reply]) -> Replies:
    return replace(replies, replies=tuple(changed))


def _changed(reply: Reply) -> np.ndarray | None:
    return None if reply.words is None else reply.words + np.uint64(1)


def _short(reply: Reply) -> np.ndarray | None:
    return None if reply.words is None else reply.words[:-1]
