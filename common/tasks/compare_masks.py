"""The step `compare_masks`: how far pairs of masks of a case agree, at each site."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from common.analyses.analysis import Answer, Ask, Solve
from common.cohort import Column, Mask, MaskRef, Name
from common.holdings import Holdings
from common.step import Over, Said, Step
from common.sums import Schema, count
from common.tasks.section import apart

Score = Literal["dice", "hd95_mm"]


class CompareMasks(Step):
    """Compare pairs of masks of a case: two readers, a network and a reader.

    Columns `<pair>.dice_<label>` stay at the site, for later steps to describe and test.
    Dice is 1 where both masks are empty and 0 where one is. A case that lacks one of a
    pair has no score for it.

    Rounds: 1.
    """

    elastic: ClassVar[bool] = True

    kind: Literal["compare_masks"] = "compare_masks"
    pairs: dict[Name, tuple[MaskRef, MaskRef]] = Field(
        min_length=1, description="masks of the same labels; the second is the reference"
    )
    scores: tuple[Score, ...] = ("dice",)
    largest_mm: float = Field(500.0, gt=0, description="public bound of a distance")
    over: tuple[Over, ...] = ("all",)

    def images(self) -> tuple[str, ...]:
        """Return the masks."""
        return tuple(dict.fromkeys(mask for pair in self.pairs.values() for mask in pair))

    def makes(self, before: Holdings, steps: Mapping[str, Step]) -> Holdings:
        """Return a column a pair, score and label."""
        del steps
        kinds = {
            "dice": Column(type="number", range=(0, 1)),
            "hd95_mm": Column(type="number", unit="mm", range=(0, self.largest_mm)),
        }
        columns = {
            f"{name}.{score}_{label}": kinds[score]
            for name, (_, reference) in self.pairs.items()
            for score in self.scores
            for label in (before.masks[reference].labels if reference in before.masks else ())
        }
        return Holdings(columns)

    def problems(self, before: Holdings, steps: Mapping[str, Step]) -> Iterator[Said]:
        """Yield pairs of other labels or of another image's grid."""
        del steps
        for name, (a, b) in self.pairs.items():
            one, other = before.masks[a], before.masks[b]
            if one.labels != other.labels:
                why = f'"{a}" has the labels {_listed(one)}, "{b}" {_listed(other)}'
                yield ("pairs", name), why
            elif why := apart(b, a, before):
                yield ("pairs", name), why
            elif one.on != other.on:
                yield ("pairs", name), f'"{a}" is on "{one.on}", "{b}" on "{other.on}"'

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return counts of pairs compared and failed, over all pairs."""
        del ask, contract
        return {"done": count(), "failed": count()}

    def solve(self, contract: Mapping[str, Column], *, alone: bool = False) -> Solve:
        """Ask once; count."""
        del contract, alone
        total = yield Ask("compare")
        return Answer({name: int(total[name]) for name in ("done", "failed")})


def _listed(mask: Mask) -> str:
    return ", ".join(f"{label} ({value})" for label, value in mask.labels.items())
