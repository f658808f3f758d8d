"""Patterns of column names: what they name, and which were near where they name nothing."""

import difflib
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

_PIECES = re.compile(r"[*]|[._]|[^*._]+")
_NEAR, _MOST = 3, 3


def nearest_patterns(pattern: str, known: Sequence[str]) -> str:
    """Return, in words, patterns near one that names no column, with how many each names.

    First those with one piece spelled as a column has it; else the longest beginning that
    names any.

    Args:
        pattern: such as "radiomics.t2_*_glcm*".
        known: names of columns.
    """
    pieces = _PIECES.findall(pattern)
    tries = [*_one_changed(pieces, known), *_shortened(pieces)]
    found: dict[str, int] = {}
    for one in dict.fromkeys(tries):
        n = sum(fnmatchcase(name, one) for name in known)
        if n and len(found) < _MOST:
            found[one] = n
        if found and one.endswith("*") and pattern.startswith(one[:-1]):
            break  # whatever is shorter says less
    if not found:
        firsts = list(dict.fromkeys(re.split("[._]", name)[0] for name in known))
        return f"names begin with {', '.join(firsts[:30]) or 'nothing: there are none'}"
    return "nearest: " + ", ".join(f'"{one}" ({n})' for one, n in found.items())


def _one_changed(pieces: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    """Yield the pattern with one piece as near ones of the columns are spelled."""
    words = {piece for name in known for piece in re.split("[._]", name)}
    by_small = {word.casefold(): word for word in sorted(words)}
    for i, piece in enumerate(pieces):
        if piece in "*._" or piece in words:
            continue
        near = difflib.get_close_matches(piece.casefold(), list(by_small), _NEAR, 0.5)
        yield from ("".join([*pieces[:i], by_small[n], *pieces[i + 1 :]]) for n in near)


def _shortened(pieces: Sequence[str]) -> Iterator[str]:
    """Yield ever shorter beginnings of the pattern."""
    for end in range(len(pieces) - 1, 0, -1):
        if pieces[end - 1] != "*":
            yield "".join(pieces[:end]) + "*"
