"""Masks cancel over the whole group, and hide everything from anyone else."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from scipy import stats

from common.privacy.encoding import Words, add_into, decode, encode
from common.privacy.masks import keystream, mask, pair_key, public_bytes
from common.sums import count, real, weight

SCHEMA = {"n": count(), "x": real(500), "w": weight(1000)}
NAMES = ("a", "b", "c", "d")


def _keys() -> dict[str, dict[str, bytes]]:
    private = {name: X25519PrivateKey.generate() for name in NAMES}
    public = {name: public_bytes(key) for name, key in private.items()}
    return {
        me: {peer: pair_key(private[me], public[peer], b"run") for peer in NAMES if peer != me}
        for me in NAMES
    }


def _masked(
    words: Words, site: str, keys: dict[str, dict[str, bytes]], *, binding: bytes = b"1"
) -> Words:
    out = words.copy()
    mask(out, SCHEMA, site=site, group=NAMES, keys=keys[site], binding=binding)
    return out


def _sums(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"n": np.array(7), "x": rng.normal(size=500), "w": rng.normal(size=1000)}


def test_masks_cancel_over_the_whole_group() -> None:
    keys, sums = _keys(), {name: _sums(i) for i, name in enumerate(NAMES)}
    total = encode(sums["a"], SCHEMA)
    masked = _masked(total, "a", keys)
    for name in NAMES[1:]:
        add_into(total, encode(sums[name], SCHEMA), SCHEMA)
        add_into(masked, _masked(encode(sums[name], SCHEMA), name, keys), SCHEMA)
    assert (masked == total).all()
    assert int(decode(masked, SCHEMA)["n"]) == 28


def test_without_one_site_the_sum_is_noise() -> None:
    keys, words = _keys(), encode(_sums(1), SCHEMA)
    masked = _masked(words, "a", keys)
    add_into(masked, _masked(words, "b", keys), SCHEMA)
    assert _looks_uniform(masked)


def test_what_the_coordinator_sees_of_one_site_is_uniform_noise() -> None:
    zeros = np.zeros_like(encode(_sums(1), SCHEMA))
    assert not _looks_uniform(encode(_sums(1), SCHEMA))
    assert _looks_uniform(_masked(zeros, "b", _keys()))


def test_the_noise_of_one_site_does_not_depend_on_its_sums() -> None:
    keys = _keys()
    noise = [_masked(encode(_sums(i), SCHEMA), "c", keys) for i in (1, 2)]
    plain = [encode(_sums(i), SCHEMA) for i in (1, 2)]
    assert (noise[0][0] - noise[1][0]) == (plain[0][0] - plain[1][0])  # same one-time pad
    fresh = _masked(plain[0], "c", keys, binding=b"2")
    assert (fresh != noise[0]).mean() > 0.999  # another binding, another pad


def test_both_ends_draw_the_same_key_and_nobody_else_does() -> None:
    a, b, c = (X25519PrivateKey.generate() for _ in range(3))
    ab = pair_key(a, public_bytes(b), b"run")
    assert ab == pair_key(b, public_bytes(a), b"run")
    assert ab != pair_key(b, public_bytes(a), b"another run")
    assert ab != pair_key(c, public_bytes(a), b"run")


def test_a_long_stream_does_not_repeat() -> None:
    stream = keystream(bytes(32), b"x", 1 << 18)
    assert len(np.unique(stream)) == stream.size


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_a_short_stream_is_the_beginning_of_a_long_one(n: int) -> None:
    assert (keystream(bytes(32), b"x", n) == keystream(bytes(32), b"x", 2000)[:n]).all()


def _looks_uniform(words: Words) -> bool:
    """Chi-square of all bytes, and of the leading byte of every word."""
    octets = words.view(np.uint8)
    leading = octets.reshape(-1, 8)[:, 7]
    tests = (np.bincount(octets, minlength=256), np.bincount(leading // 16, minlength=16))
    return all(stats.chisquare(counts).pvalue > 1e-6 for counts in tests)
