"""The part of `consortium site check` that looks at the machine."""

import sys
from pathlib import Path

from client.joining.place import SITE_FILE, Place, find_place
from common.deployment import KIT

_MARK = {"ok": "ok   ", "look": "look ", "fails": "FAILS"}


def check_here(site: Path) -> bool:
    """Print how fit this machine is; return whether nothing fails.

    A `site.yaml` without a start-up kit beside it, as simulations have, is not looked at.
    """
    from client.joining.machine import check_machine

    folder = site if site.is_dir() else site.parent
    if not (folder / KIT).exists():
        return True
    place: Place = find_place(site)
    found = check_machine(place)
    for one in found:
        sys.stdout.write(f"{_MARK[one.verdict]} {one.what:<10} {one.words}\n")
    return not any(one.verdict == "fails" for one in found)


def site_file(site: Path) -> Path:
    """Return the `site.yaml` of a folder, or the file itself."""
    return site / SITE_FILE if site.is_dir() else site
