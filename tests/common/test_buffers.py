"""Lent memory is nobody else's while anything looks at it, and is lent again after."""

import threading
from pathlib import Path

import numpy as np
import pytest

from common.buffers import Buffers, address, blank, fresh, side_by_side, used_up
from common.codec import pack

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


def test_a_small_array_does_not_take_the_place_of_a_large_one() -> None:
    buffers = Buffers()
    at = _address(buffers.lend(2 * N))
    small = buffers.lend(N)
    assert _address(buffers.lend(2 * N)) == at
    assert _address(small) != at


def _resident() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def test_memory_goes_back_as_it_is_used_up_and_nothing_beside_it() -> None:
    whole = fresh(40 << 20)
    whole.fill(1)
    arrays = {"b": whole[20 << 20 : 30 << 20], "a": whole[10 << 20 : 20 << 20].view(np.float64)}
    before, read = _resident(), []
    for name, place in used_up(arrays):
        assert arrays[name][place].view(np.uint8).all()
        read.append(name)
    assert sorted(set(read), key=read.index) == ["a", "b"]
    assert before - _resident() > 14 << 20
    assert whole[: 10 << 20].all()
    assert whole[30 << 20 :].all()
    del whole, arrays
    assert before - _resident() > 36 << 20


def test_memory_of_others_is_read_and_stays() -> None:
    arrays = {"a": np.ones(N), "none": np.empty(0)}
    read = sum(arrays[name][place].size for name, place in used_up(arrays))
    assert read == N
    assert arrays["a"].all()


def test_what_lies_side_by_side_is_sent_as_it_lies() -> None:
    rng = np.random.default_rng(0)
    arrays = {"w": rng.normal(size=(N, 2)).astype(np.float32), "n": np.array(3.0, np.float32)}
    made = side_by_side(arrays)
    blob = pack(made)
    assert address(np.asarray(blob.data)) == address(made["w"])
    assert bytes(blob.data) == bytes(pack(arrays).data)
    turned = pack({"n": made["n"], "w": made["w"]})
    assert bytes(turned.data) == bytes(pack({"n": arrays["n"], "w": arrays["w"]}).data)
    assert not any(array.any() for array in blank(arrays).values())


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
