"""A door in a wall: hands bytes on to one address, unopened, and to no other.

A container that has no way out but this one reaches nobody but its coordinator, whatever
runs inside. TLS goes through untouched.

    python -m common.machine.door LISTEN:PORT ADDRESS:PORT
"""

import asyncio
import signal
import sys
import threading
from contextlib import suppress

_PIECE = 1 << 16
_CONNECT_S = 20.0


async def keep_door(listen: str, target: str) -> None:
    """Listen at one address and hand each connection on to another, until told to stop.

    Args:
        listen: host:port.
        target: host:port.
    """
    host, port = _parted(listen)

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _pass(reader, writer, target)

    server = await asyncio.start_server(passed, host, port)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    if threading.current_thread() is threading.main_thread():  # no other gets signals
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
    async with server:
        await stopped.wait()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
    host, port = _parted(target)
    try:
        opening = asyncio.open_connection(host, port)
        theirs, ours = await asyncio.wait_for(opening, _CONNECT_S)
    except (OSError, TimeoutError):
        writer.close()
        return
    await asyncio.gather(_copy(reader, ours), _copy(theirs, writer))
    for end in (ours, writer):
        end.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    with suppress(OSError):
        writer.write_eof()  # the other direction may still have something to say


def _parted(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    asyncio.run(keep_door(*sys.argv[1:3]))
