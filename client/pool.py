"""Work on many cases in several processes; what one case does to its process stays its own.

Only as many cases are under way as there are processes, so that memory stays bounded by
their number, not by that of the cases. Where a process dies, every case that was under
way is tried again in a process of its own; one that kills it again is given up.
"""

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from threadpoolctl import threadpool_limits

from common.machine.processes import end_with_parent

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")

_WORTH = 4  # cases a process below which starting it takes longer than it saves
_THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def each(
    work: Callable[[In], Out], items: Sequence[In], *, processes: int, crashed: Callable[[In], Out]
) -> Iterator[Out]:
    """Yield what `work` makes of every item, in any order.

    Args:
        work: a function of a module; its own errors are its own matter.
        items: plain values.
        processes: at the same time; 0 means one for each core.
        crashed: what to yield for an item whose process died twice.
    """
    n = min(processes or cores(), len(items) // _WORTH)
    if n < 2 or multiprocessing.current_process().daemon:
        # A simulation's worker may have no children: there the sites share the cores.
        with threadpool_limits(1):
            yield from map(work, items)
        return
    lost: list[In] = []
    yield from _spread(work, items, n, lost)
    for item in lost:
        again: list[In] = []
        yield from _spread(work, [item], 1, again)
        if again:
            log.warning("a case killed its process twice")
            yield crashed(item)


def _spread(
    work: Callable[[In], Out], items: Sequence[In], n: int, lost: list[In]
) -> Iterator[Out]:
    """Yield results; append to `lost` the items of a pool that broke, and those not begun."""
    waiting = list(reversed(items))
    under_way: dict[Future[Out], In] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n, mp_context=context, initializer=_begin) as pool:
        while waiting or under_way:
            while waiting and len(under_way) < n:
                try:
                    under_way[pool.submit(work, waiting[-1])] = waiting[-1]
                except BrokenProcessPool:
                    lost += [*under_way.values(), *waiting]
                    return
                waiting.pop()
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                item = under_way.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    lost.append(item)
                else:
                    yield future.result()


def _begin() -> None:
    """Keep each process to one thread: they would only wait for each other."""
    end_with_parent()
    for name in _THREADS:
        os.environ[name] = "1"
    threadpool_limits(1)
