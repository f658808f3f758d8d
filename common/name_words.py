"""What is said of a name that means nothing where it stands, and what may have been meant.

Only names of the same sort and place are suggested: a column of the same step for a column of
a step, an image of the cohort for an image. A near spelling of something else misleads.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from common.holdings import Holdings
from common.patterns import nearest_patterns
from common.settings import closest, nearest

SORTS = ("image", "mask", "column")
_STEPS = 5  # that a line names
_MOST = 12  # names of a step in a message
_A = {"image": "an image", "mask": "a mask", "column": "a column"}


@dataclass(frozen=True)
class Sight:
    """What a step can name.

    Attributes:
        known: what cases have before it.
        mistaken: names of the cohort's entries that have mistakes themselves, by sort.
        before: the steps before it.
        later: the step itself and those after it.
    """

    known: Holdings
    mistaken: Mapping[str, Sequence[str]]
    before: Mapping[str, object]
    later: Sequence[str]

    def names(self, sort: str) -> list[str]:
        """Return everything of a sort that can be named."""
        return [*self._known(sort), *self.mistaken.get(sort, ())]

    def _known(self, sort: str) -> Mapping[str, object]:
        of: Mapping[str, object] = getattr(self.known, f"{sort}s")
        return of

    def why_not(self, name: str, sort: str) -> str:
        """Return what is wrong with a name in a field for a sort; "" where nothing is."""
        if name in self._known(sort):
            return ""
        known = self.names(sort)
        other = next((s for s in SORTS if s != sort and name in self.names(s)), "")
        if other:
            return f'"{name}" is {_A[other]}, expected {_A[sort]}{nearest(name, _plain(known))}'
        maker, dot, _ = name.partition(".")
        if dot and maker in self.later:
            return f'"{name}" is made by step "{maker}", which {self.when(maker)}'
        if name in self.before and not self._alike(name, known):
            made = _of(name, known)
            makes = f"its {sort}s: {_listed(made)}" if made else f"it makes no {sort}"
            return f'"{name}" is a step, expected {_A[sort]}; {makes}'
        if "*" in name:
            return f'no {sort} fits "{name}" ({nearest_patterns(name, known)})'
        return f'unknown {sort} "{name}"{self._meant(name, sort, known)}'

    def when(self, step: str) -> str:
        """Return in words why a step of the study cannot be read from here."""
        return "is this one itself" if step == next(iter(self.later)) else "comes later"

    def _meant(self, name: str, sort: str, known: Sequence[str]) -> str:
        """Return what a name that means nothing may have meant, in brackets."""
        maker, dot, last = name.partition(".")
        if not dot:
            alike = self._alike(name, known)
            return nearest(name, [*_plain(known), *alike]) if not alike else _perhaps(alike)
        if maker in self.before:
            made = [one.removeprefix(f"{maker}.") for one in _of(maker, known)]
            if not made:
                others = [one for one in self._alike(last, known) if "." in one]
                return f' (step "{maker}" makes no {sort}){_perhaps(others)}'
            near = closest(last, made)
            of_step = f" (known: {_listed(_of(maker, known))})"
            return _perhaps([f"{maker}.{near}"]) if near else of_step
        makers = difflib.get_close_matches(maker, list(self.before), n=3)
        return _perhaps([one for m in makers if (one := f"{m}.{last}") in known]) or (
            f' (there is no step "{maker}" before this one)'
        )

    @staticmethod
    def _alike(name: str, known: Sequence[str]) -> list[str]:
        return [one for one in known if one.rpartition(".")[2] == name]


def _of(maker: str, known: Sequence[str]) -> list[str]:
    return [one for one in known if one.startswith(f"{maker}.")]


def _listed(made: Sequence[str]) -> str:
    more = f" and {len(made) - _MOST} more" if len(made) > _MOST else ""
    return f"{', '.join(made[:_MOST])}{more}"


def _plain(known: Sequence[str]) -> list[str]:
    """Return the names that stand in the cohort."""
    return [one for one in known if "." not in one]


def _perhaps(names: Sequence[str]) -> str:
    quoted = " or ".join(f'"{name}"' for name in names[:3])
    return f" (did you mean {quoted}?)" if names else ""


def held_back(held: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
    """Yield one line, at the first step, for all names that cannot be judged yet.

    Args:
        held: by step the names of what steps with mistakes would make.
    """
    if not held:
        return
    first, *others = held
    n = sum(map(len, held.values()))
    steps = ["this step", *others[:_STEPS]]
    if len(others) > _STEPS:
        steps.append(f"{len(others) - _STEPS} more")
    who = f"{', '.join(steps[:-1])} and {steps[-1]} read" if others else "this step reads"
    what = f"{n} names that {who}" if n > 1 else f"a name that {who}"
    yield first, f"not judged yet: {what} of steps with a mistake; mend those first"
