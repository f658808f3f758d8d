"""How folds of patients are drawn at a site: by a key, and in every fold two or more.

A fold of one patient would be no fold: sums over all less those without it are that patient's.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LEAST = 2
"""Patients of a site in a fold, where it has enough: of three sites that makes five and more."""


@dataclass(frozen=True)
class Drawing:
    """The folds of a site's patients.

    Each patient's fold is a keyed hash of its name. Where that leaves fewer than two of them in
    a fold, of all or of those that train, they are dealt out in the order of the hash instead,
    those of a split after each other, so that folds differ by one patient a split.

    Attributes:
        key: the study's name, the same at every site.
        patients: of the site: the folder each is of, its split, and its name in that folder.
            Each folder is dealt out by itself, so that pooled sites have the folds they have apart.
    """

    key: str
    patients: Mapping[str, tuple[int, str, str]]
    _known: dict[tuple[int, bool], dict[str, int]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def fold(self, patient: str, k: int, *, outer: bool = False) -> int:
        """Return the fold, 0 to k - 1, of a patient, for nested validation or a step's own."""
        if (k, outer) not in self._known:
            self._known[k, outer] = self._drawn(k, _OUTER if outer else "")
        return self._known[k, outer][patient]

    def _drawn(self, k: int, draw: str) -> dict[str, int]:
        parts: dict[int, dict[str, tuple[str, str]]] = defaultdict(dict)
        for patient, (part, *of) in self.patients.items():
            parts[part][patient] = (of[0], of[1])
        return {p: i for part in parts.values() for p, i in _deal(part, k, self.key + draw).items()}


def _deal(patients: Mapping[str, tuple[str, str]], k: int, key: str) -> dict[str, int]:
    found = {p: fold_of(key, name, k) for p, (_, name) in patients.items()}
    training = [p for p, (split, _) in patients.items() if split == "train"]
    groups = [[*patients], training] if training else [[*patients]]
    if all(_fewest((found[p] for p in group), k) >= LEAST for group in groups):
        return found
    turns = {p: (split, _digest(key, name), name) for p, (split, name) in patients.items()}
    return {p: i % k for i, p in enumerate(sorted(patients, key=turns.__getitem__))}


_OUTER = "\0outer"


def outer_fold(key: str, patient: str, k: int) -> int:
    """Return the fold of a patient in nested validation, where it is not dealt (`Drawing`).

    Of another draw than a step's own folds, or leaving out an outer fold would empty inner ones.
    """
    return fold_of(key + _OUTER, patient, k)


def fold_of(key: str, patient: str, k: int) -> int:
    """Return the fold, 0 to k - 1, of a patient: a keyed hash, the same for tables and networks.

    Args:
        key: the study's name, the same at every site.
        patient: as the patient's own site names them.
        k: number of folds.
    """
    return int.from_bytes(_digest(key, patient)[:8], "big") % k


def _digest(key: str, patient: str) -> bytes:
    return hashlib.sha256(f"{key}\0{patient}".encode()).digest()


def _fewest(folds: Iterable[int], k: int) -> int:
    of = Counter(folds)
    return min(of[i] for i in range(k))
