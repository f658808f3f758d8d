"""How well sizes measured in a network's masks agree with a reader's: a study's main result.

Such a result is a pair of columns of one unit: one measured, through formulas or not, in a mask
that a network drew, the other not. The first step of a study that correlates or compares such a
pair tells it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.analyses.derive import Derive
from common.study import Study
from common.tasks.measure import Measure, plain_name
from common.tasks.predict import Predict
from common.tasks.pseudo_label import PseudoLabel
from server.report.numbers import estimate, is_number, plural
from server.report.view import StepView
from server.report.words import sites_in_words

_SIZES = {"area_cm2": "area", "volume_ml": "volume"}
KINDS = {"correlate": "correlation", "compare_paired": "agreement"}
_PARTS = ("development", "external")


@dataclass(frozen=True)
class Pair:
    """A column measured in a network's masks, and what it is held against."""

    found: str
    reference: str


def entries_of(view: StepView) -> list[tuple[str, str]]:
    """Return, for a step's pairs that have a number, what they are and how well they agree."""
    found = [(pair, _said(view, pair)) for pair in _pairs(view)]
    return [(_title(view.study, pair), f"{said}.") for pair, said in found if said]


def _pairs(view: StepView) -> Iterator[Pair]:
    """Return the pairs of a step, the network's column first, in the order of its columns."""
    columns = dict.fromkeys(view.step.columns())
    drawn = [column for column in columns if _by_network(view.study, column)]
    both = [{*pair} for pair in getattr(view.step, "pairs", ())]
    for found in drawn:
        for reference in columns:
            asked = view.kind == "correlate" or {found, reference} in both
            if asked and _is_result(view.study, found, reference):
                yield Pair(found, reference)


def _is_result(study: Study, found: str, reference: str) -> bool:
    """Return whether the second is of the first's unit and no network drew it."""
    one, other = (study.contract().get(column) for column in (found, reference))
    if one is None or other is None or not one.unit or one.unit != other.unit:
        return False
    if _by_network(study, reference):
        return False
    plain = [column for column in (found, reference) if _measured(study, column)]
    return len({plain_name(column) for column in plain}) < 2  # sizes of the same label


def _measured(study: Study, column: str) -> Measure | None:
    """Return the step that measured a column as a size; None where none did."""
    step = study.bound.get(column.partition(".")[0])
    size = any(plain_name(column).startswith(name) for name in _SIZES)
    return step if isinstance(step, Measure) and size else None


def _by_network(study: Study, column: str) -> bool:
    """Return whether a column follows, at once or by formulas, from what a network drew."""
    step = _measured(study, column)
    if step is not None:
        return _drawn(study, step.mask)
    name, _, rest = column.partition(".")
    derive = study.bound.get(name)
    if not isinstance(derive, Derive) or rest not in derive.make:
        return False
    # A formula reads those before it; its own name is the study's column.
    before = [*derive.make][: [*derive.make].index(rest)]
    reads = (f"{name}.{c}" if c in before else c for c in derive.make[rest].reads())
    return any(_by_network(study, c) for c in reads)


def _drawn(study: Study, mask: str) -> bool:
    """Return whether a network drew a mask, whole or cut out since."""
    step = study.bound.get(mask.partition(".")[0]) if "." in mask else None
    if isinstance(step, Measure) and step.slice:
        cut = next((m for m in step.slice.masks if plain_name(m) == plain_name(mask)), "")
        return _drawn(study, cut)
    return isinstance(step, Predict | PseudoLabel)


def _said(view: StepView, pair: Pair) -> str:
    """Return the numbers of the development and external sites; else of all sites."""
    said = [text for part in _PARTS if (text := _of(view, part, pair))]
    said = said or [text for text in [_of(view, "all", pair)] if text]
    if not said:
        return ""
    first = next(iter(view.parts.values()))
    measure = "Lin's concordance"
    if view.kind == "correlate":
        measure = "Spearman's rho" if first.get("method") == "spearman" else "Pearson's r"
    return f"{KINDS[view.kind]} ({measure}) {' and '.join(said)}"


def _of(view: StepView, part: str, pair: Pair) -> str:
    values = view.parts.get(part, {})
    of: Mapping[str, Any] = next((p for p in values.get("pairs") or [] if _same(p, pair)), {})
    number = of.get("concordance") or {} if view.kind == "compare_paired" else of
    n = of.get("n", values.get("n"))
    if not is_number(number.get("estimate")) or not is_number(n):
        return ""
    level = f"{100 * getattr(view.step, 'level', 0.95):g} % CI "
    where = sites_in_words(part, len(view.sites(part)))
    text = estimate(dict(number), "estimate", 3, level)
    return f"{text} in {plural(int(n), 'case')} of {where}"


def _same(of: Mapping[str, Any], pair: Pair) -> bool:
    return {of.get("a"), of.get("b")} == {pair.found, pair.reference}


def _title(study: Study, pair: Pair) -> str:
    """Return what is held against what."""
    reader = _measured(study, pair.reference) and not study.contract()[pair.reference].title
    whose = "the reader's " if reader else ""
    return f"{_name(study, pair.found)} against {whose}{_name(study, pair.reference)}"


def _name(study: Study, column: str) -> str:
    """Return a column's title; of a size without one, what was measured in which mask."""
    known = study.contract()[column]
    step = _measured(study, column)
    if known.title or step is None:
        return known.title or column
    size = next(name for name in _SIZES if plain_name(column).startswith(name))
    label = plain_name(column).removeprefix(size).strip("_").replace("_", " ")
    what = f"{label} of {step.mask}" if label else step.mask
    return f"{_SIZES[size]} of {what}"
