"""Rules that choose a threshold of a score, on the published points of its ROC curve only.

A threshold may be chosen where five, or nobody, of each class lie between it and the next:
elsewhere the table at it would show fewer. What such a choice could not look at is said.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Json
from common.analyses.publish import SMALLEST_CELL
from common.settings import Frozen
from common.table import Floats

Fraction = Annotated[float, Field(gt=0, lt=1)]
_FAR = 0.02  # by which a rate may be above the one asked for before the answer says why


class AtLeast(Frozen):
    """The threshold with the best of the one rate among those that keep the other."""

    sensitivity: Fraction | None = None
    specificity: Fraction | None = None

    @model_validator(mode="after")
    def _one(self) -> "AtLeast":
        if (self.sensitivity is None) == (self.specificity is None):
            raise ValueError("expected either sensitivity or specificity")
        return self


Rule = Literal["youden"] | float | AtLeast


@dataclass(frozen=True)
class Chosen:
    """A threshold, None where none keeps the rule, and what an answer says of the choice."""

    threshold: float | None
    said: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class _Points:
    """Thresholds that may be chosen, increasing, and what each would give.

    Attributes:
        threshold: shape (k,).
        between: cases from each to the next, shape (k,); the last one's are those above.
        first: cases below the first.
    """

    threshold: Floats
    sensitivity: Floats
    specificity: Floats
    between: Floats
    first: float


def choose(curve: Floats, rule: Rule, *, in_full: bool) -> Chosen:
    """Return the threshold of a published ROC curve that fits a rule best.

    Args:
        curve: lower edge, non-events and events of each cell, shape (cells, 3).
        rule: Youden's J (Cancer 3:32, 1950), the least of a rate, or a fixed threshold.
        in_full: whether rates at a neighbouring point may be told; not where tables at
            fixed thresholds, which are no points of the curve, stand beside them.
    """
    if isinstance(rule, float):
        return Chosen(rule)
    points = _points_of(curve)
    n = points.threshold.size
    worth = points.sensitivity + points.specificity
    if isinstance(rule, AtLeast):
        least, rate, other = _asked(rule, points)
        worth = np.where(rate >= least, other, -1.0)
    if not n or worth.max() < 0:
        none = f"none of the {n} thresholds that can be judged keeps the rule"
        return Chosen(None, {"judged": n, "note": none if n else "no threshold can be judged"})
    at = int(np.argmax(worth))
    said: dict[str, Json] = {"judged": n}
    if isinstance(rule, AtLeast) and (note := _passed_over(points, at, rule, in_full=in_full)):
        said["note"] = note
    return Chosen(float(points.threshold[at]), said)


def _points_of(curve: Floats) -> _Points:
    used = curve[curve[:, 1:].sum(axis=1) > 0]
    n = used[:, 1:].sum(axis=0)
    specificity, missed = used[:-1, 1:].cumsum(axis=0).T / n[:, None]
    cases = used[:, 1:].sum(axis=1)
    return _Points(used[1:, 0], 1 - missed, specificity, cases[1:], float(cases[:1].sum()))


def _asked(rule: AtLeast, points: _Points) -> tuple[float, Floats, Floats]:
    if rule.sensitivity is not None:
        return rule.sensitivity, points.sensitivity, points.specificity
    return float(rule.specificity or 0.0), points.specificity, points.sensitivity


def _passed_over(points: _Points, at: int, rule: AtLeast, *, in_full: bool) -> str | None:
    """Say why a rate is far above the one asked for: what lies next cannot be judged."""
    least, rate, _ = _asked(rule, points)
    if rate[at] - least <= _FAR:
        return None
    named = "sensitivity" if rule.sensitivity is not None else "specificity"
    step = 1 if named == "sensitivity" else -1
    then = at + step if 0 <= at + step < points.threshold.size else None
    here = f"{points.threshold[at]:.3g}"
    if then is None:
        where, last = f"{'above' if step > 0 else 'below'} {here}", ""
    else:
        low, high = sorted((points.threshold[at], points.threshold[then]))
        where = f"between {low:.3g} and {high:.3g}"
        last = f"; at {points.threshold[then]:.3g} sensitivity is {points.sensitivity[then]:.2f} "
        last += f"and specificity {points.specificity[then]:.2f}"
    inside = points.between[at] if step > 0 else points.between[at - 1] if at else points.first
    cases = f", where {int(inside)} cases lie," if in_full else ""
    return (
        f"{named} is {rate[at]:.2f} where {least:g} was asked for: no threshold {where}{cases} can "
        f"be judged without telling of fewer than {SMALLEST_CELL} patients of a class"
        f"{last if in_full else ''}"
    )
