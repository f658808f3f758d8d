"""The coordinator's ServerApp: open the run folder, greet the sites, drive the study."""

import logging
import os
import secrets
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from threadpoolctl import threadpool_limits

from common.errors import Reason
from common.messages import Hello
from common.sites import POOLED
from server import progress
from server.collect import Post
from server.driver import Driver
from server.journal import Journal
from server.lock import held
from server.rounds import Exchange
from server.run import Run

RUN = "CONSORTIUM_RUN"
"""Environment: the run's folder, where the run's configuration does not name it."""

log = logging.getLogger(__name__)

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Drive the run whose folder the configuration names."""
    conduct(Run(Path(str(context.run_config.get("run") or os.environ[RUN]))), grid)


def conduct(run: Run, grid: Grid) -> None:
    """Drive a run to its end, from wherever its journal says it is.

    Raises:
        RuntimeError: fewer sites than the quorum joined in time.
        UnderWay: another process drives it.
    """
    with held(run.folder):
        _conduct(run, grid)


def _conduct(run: Run, grid: Grid) -> None:
    journal = Journal(run.folder)
    exchange = _join(run, grid, journal)
    driver = Driver(
        run.study,
        run.roster,
        journal,
        exchange.ask,
        progress.tell,
        pooled=POOLED in run.keys,
    )
    with threadpool_limits(1):  # many small products: threads would only wait for each other
        driver.run()
    run.write_answers(driver.answers, driver.failed)
    journal.write("end", failed=driver.failed)
    progress.tell({"event": "end", "failed": driver.failed})


def _join(run: Run, grid: Grid, journal: Journal) -> Exchange:
    """Open a session with the sites of the roster."""
    hello = Hello(run.id, secrets.token_hex(16), run.study_hash)
    post = Post(grid)
    at_once = {"at_once": grid.at_once} if hasattr(grid, "at_once") else {}
    journal.write("session", session=hello.session, sites=sorted(run.keys), **at_once)

    why: dict[str, Reason] = {}

    def told(what: str, site: str) -> None:
        kind = what if what in {"joined", "waiting"} else "refused"
        if kind == "refused" and site:
            why[site] = Reason(what)
        more = {"why": what} if kind == "refused" else {}
        wait = {"wait_s": run.roster.wait_s} if kind == "waiting" else {}
        journal.write(kind, site=site, **more, **wait)
        progress.tell({"event": kind, "site": site, **more, **wait})

    for site in run.unapproved:  # it would refuse, and where it is offline nobody waits for it
        told(Reason.STUDY_NOT_APPROVED, site)
    keys = {site: key for site, key in run.keys.items() if site not in why}
    members = post.join(hello, keys, run.roster.wait_s, told, run.unapproved)
    for site in sorted(set(run.keys) - set(members)):
        reason = str(why.get(site, Reason.UNREACHABLE))
        journal.write("absent", site=site, why=reason)
        progress.tell({"event": "absent", "site": site, "why": reason})
    joined = [site for site in run.roster.developing if site in members]
    if len(joined) < run.roster.quorum:
        raise RuntimeError(
            f"expected {run.roster.quorum} developing sites within {run.roster.wait_s:g} s, "
            f"got {len(joined)}: {', '.join(joined) or 'none'}"
            + "".join(f"; {site} refused: {reason}" for site, reason in sorted(why.items()))
        )
    return Exchange(post, hello, members, run.keys, run.roster.deadline_s, why)
