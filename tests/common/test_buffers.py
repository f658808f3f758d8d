"""Lent memory is nobody else's while anything looks at it, and is lent again after."""

import threading

import numpy as np
import pytest

from common.buffers import Buffers

N = 1 << 21


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_is_lent_again_when_nothing_looks_at_it() -> None:
    buffers = Buffers()
    first = buffers.lend(N)
    at = _address(first)
    del first
    assert _address(buffers.lend(N)) == at


@pytest.mark.parametrize(
    "look",
    [
        lambda a: a,
        lambda a: a[5:],
        lambda a: a.view(np.float64).reshape(-1, 2)[3],
        lambda a: memoryview(a)[4:9],
        lambda a: np.frombuffer(memoryview(a)[8:16], np.uint64),
        lambda a: a.view(np.uint64).data,
    ],
)
def test_whoever_looks_at_it_keeps_it(look) -> None:
    buffers = Buffers()
    seen = look(buffers.lend(N))
    before = bytes(seen)
    buffers.lend(N).fill(7)
    buffers.lend(N).fill(9)
    assert bytes(seen) == before


def test_a_smaller_array_may_lie_in_the_memory_of_a_larger_one() -> None:
    buffers = Buffers()
    at = _address(buffers.lend(N))
    smaller = buffers.lend(N - 100)
    assert (_address(smaller), smaller.size) == (at, N - 100)
    assert _address(buffers.lend(N // 4)) != at


def test_threads_never_share_memory() -> None:
    buffers, wrong = Buffers(), []

    def use(mark: int) -> None:
        for _ in range(30):
            mine = buffers.lend(N)
            mine.fill(mark)
            if not (mine == mark).all():
                wrong.append(mark)

    threads = [threading.Thread(target=use, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_small_arrays_and_words_have_their_sizes() -> None:
    assert Buffers().lend(0).size == 0
    assert Buffers().words(300_000).shape == (300_000,)
