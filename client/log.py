"""A site's own log file. Where one process plays several sites, each line goes to its own."""

import logging
from contextvars import ContextVar
from functools import lru_cache

from client.site import Site

_current: ContextVar[str] = ContextVar("site", default="")


def log_as(site: Site) -> None:
    """Send what this thread logs from now on to the site's `site.log`."""
    _current.set(str(site.workspace))
    _open(site.workspace.as_posix())


@lru_cache(maxsize=1024)
def _open(workspace: str) -> None:
    handler = logging.FileHandler(f"{workspace}/site.log", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handler.addFilter(lambda _: _current.get() == workspace)
    logger = logging.getLogger("client")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
