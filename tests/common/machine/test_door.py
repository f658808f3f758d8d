"""The door hands bytes on to one address, both ways, and nowhere else."""

import socket
import sys
import threading
from pathlib import Path

from common.machine.flower import environment
from common.machine.processes import Plan, Processes, free_ports


def test_bytes_go_through_both_ways(tmp_path: Path) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_double, args=(server,), daemon=True).start()
    here, there = free_ports(1)[0], server.getsockname()[1]
    arguments = [f"127.0.0.1:{here}", f"127.0.0.1:{there}"]
    command = [sys.executable, "-m", "common.machine.door", *arguments]
    with Processes(tmp_path) as processes:
        processes.start(Plan("door", command, tmp_path, environment(tmp_path)))
        processes.wait_for(lambda: _answer(here, b"x" * 200_000) is not None, "the door", 30)
        answer = _answer(here, b"y" * 200_000)
    server.close()
    assert answer == b"y" * 400_000


def _double(server: socket.socket) -> None:
    while True:
        try:
            line, _ = server.accept()
        except OSError:
            return
        with line:
            data = _all_of(line)
            line.sendall(data + data)


def _all_of(line: socket.socket) -> bytes:
    return b"".join(iter(lambda: line.recv(65536), b""))


def _answer(port: int, data: bytes) -> bytes | None:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as line:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            return _all_of(line)
    except OSError:
        return None
