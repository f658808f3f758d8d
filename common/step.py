"""What every step of a study may say, whatever its kind."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from common.cohort import Column
from common.holdings import Holdings
from common.salvage import Path
from common.settings import Frozen

HELD_OUT = ".held_out."
"""In the name of a column: each case by the refit that had not seen its patient."""
LEFT_OUT = ".left_out."
"""In the name of a column: each case by the refit that had not seen its site."""

Said = str | tuple[Path, str]
"""What is wrong with a step, in words, and where seen from it if not as a whole."""

Over = Literal["development", "external", "all", "each"]


class Cases(Frozen):
    """Which cases of a site a step looks at."""

    split: tuple[Literal["train", "validation", "test"], ...] = ("train", "validation", "test")
    where: dict[str, tuple[str, ...]] = Field(
        {}, description="only cases whose category is one of these levels, by column"
    )
    outside: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=2, le=20)]] | None = Field(
        None, description="only patients outside one fold, as [fold, folds]; see `nested`"
    )


class Step(Frozen):
    """The part of a step's settings that all kinds share.

    Attributes:
        elastic: each round takes whichever sites reply, as totals need not be over the
            same sites; else a lost site means beginning again without it.
        only_masked: its sums may never leave in clear, so it cannot be fitted at one site.
        answers_alone: whether it has a way to answer for one site, in clear.
    """

    elastic: ClassVar[bool] = False
    only_masked: ClassVar[bool] = False
    answers_alone: ClassVar[bool] = True

    over: tuple[Over, ...] = Field(
        ("development",),
        min_length=1,
        description="an answer for: the developing sites together, the external sites, "
        "all sites, each site alone (where its policy allows)",
    )
    cases: Cases = Cases()

    def needs(self) -> tuple[str, ...]:
        """Return the steps whose answer this one starts from."""
        return ()

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the table it reads."""
        return ()

    def images(self) -> tuple[str, ...]:
        """Return the images and masks it reads."""
        return ()

    def produces(self) -> Mapping[str, Column]:
        """Return the columns it adds to every site's table, without the step's name."""
        return {}

    def makes(self, before: Holdings, steps: "Mapping[str, Step]") -> Holdings:
        """Return all it makes of every case, without the step's name.

        Args:
            before: what cases have before this step.
            steps: the steps before it, by name.
        """
        del before, steps
        return Holdings(columns=self.produces())

    def problems(self, before: Holdings, steps: "Mapping[str, Step]") -> Iterator[Said]:
        """Yield, in words, what of it cannot work; every name it uses means something."""
        del before, steps
        yield from ()

    def slow_problems(self, before: Holdings) -> Iterator[Said]:
        """Yield the same where that takes building a network; not asked at each reading."""
        del before
        yield from ()

    def chooses(self) -> Mapping[str, tuple[str, ...]]:
        """Return the columns it may choose for later steps, by the answer's list of them."""
        return {}


def expand_patterns(patterns: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that patterns such as "scores.dice_*" name, each once.

    A pattern that fits nothing stays as it is, to be reported as unknown.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        fits = [c for c in known if _fits(c, pattern)] if "*" in pattern else [pattern]
        found |= dict.fromkeys(fits or [pattern])
    return tuple(found)


def expand_models(
    models: Mapping[str, tuple[str, ...]], known: tuple[str, ...], own: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return models with the patterns among their columns spelled out.

    Args:
        models: columns of each, by name.
        known: columns of the study.
        own: what patterns leave out, such as the outcome.
    """
    fits = tuple(c for c in known if c not in own)
    return {name: expand_patterns(of, fits) for name, of in models.items()}


def _fits(column: str, pattern: str) -> bool:
    """Tell whether a pattern names a column; those of folds only if it says so."""
    return fnmatchcase(column, pattern) and all(
        mark not in column or mark[1:] in pattern for mark in (".fold", HELD_OUT, LEFT_OUT)
    )
