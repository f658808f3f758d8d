"""A network of its own for a process: this machine, and a way out that counts what takes it."""

import shutil
import subprocess
from pathlib import Path

import pytest

# Whoever asks a name server or an address outside sends a packet to the device `out`, which
# swallows and counts it. The resolver is outside as well, so a name that is looked up counts.
_INSIDE = """\
set -e
ip link set lo up
ip link add out type veth peer name drain
for end in out drain; do echo 1 > /proc/sys/net/ipv6/conf/$end/disable_ipv6; done
ip addr add 198.51.100.1/24 dev out
ip link set out arp off up
ip link set drain up
ip route add default dev out
printf 'nameserver 192.0.2.53\\noptions timeout:1 attempts:1\\n' > "$1/resolv.conf"
mount --bind "$1/resolv.conf" /etc/resolv.conf
folder=$1
shift
set +e
"$@"
code=$?
awk '$1 == "out:" {print $11}' /proc/net/dev > "$folder/tx_packets"
exit $code
"""


def alone(folder: Path, command: list[str]) -> list[str]:
    """Return a command that runs another in a network of its own.

    Skips the test, with a reason, where the machine lets nobody make one.
    """
    whole = _command(folder, ["true"])
    tools = [tool for tool in ("unshare", "ip") if shutil.which(tool) is None]
    if tools:
        pytest.skip(f"no {', '.join(tools)} here to make a network with (iproute2, util-linux)")
    tried = subprocess.run(whole, capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no network of its own can be made here: {tried.stderr.strip()[-200:]}")
    return _command(folder, command)


def packets_out(folder: Path) -> int:
    """Return how many packets took the way out."""
    return int((folder / "tx_packets").read_text())


def _command(folder: Path, command: list[str]) -> list[str]:
    unshare = shutil.which("unshare") or "unshare"
    new = ["--user", "--map-root-user", "--net", "--mount"]
    return [unshare, *new, "sh", "-c", _INSIDE, "sh", str(folder), *command]
