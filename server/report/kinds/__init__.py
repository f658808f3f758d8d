"""How answers are shown: one file a kind of step, named after it.

A file has `blocks(view)`, which returns the blocks of a step's answer, and may have
`sentence(view)`, which says what the step does. A kind without a file is shown by
`server.report.generic`, and described by the first lines of its own documentation.
"""

import inspect
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from common.analyses.publish import FEW_CASES, NOBODY
from server.report.blocks import Block, Note, Table, Text
from server.report.exactness import exactness
from server.report.generic import generic_blocks
from server.report.several import several_in_step
from server.report.view import StepView, why_spared
from server.report.words import failure_in_words, listed

log = logging.getLogger(__name__)

_UNFIT = (AttributeError, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError)
_OVER = {
    "development": "over the developing sites together",
    "external": "over the external sites",
    "all": "over all sites",
    "each": "at each site alone where its policy allows",
}


def sentence_of(view: StepView) -> str:
    """Return what a step does, in a sentence or two."""
    said = getattr(_module(view.kind), "sentence", None)
    text = _try(said, view) if said else None
    if not isinstance(text, str):
        doc = inspect.getdoc(type(view.step)) or view.kind.replace("_", " ")
        first = doc.split("\n\n")[0].replace("\n", " ")
        columns = list(dict.fromkeys(view.label(c, unit=False) for c in view.step.columns()))
        if len(columns) > 6:
            columns = [*columns[:5], f"{len(columns) - 5} more"]
        text = first + (f" Columns: {listed(columns)}." if columns else "")
    return f"{text} {_which(view)}".strip()


def blocks_of(view: StepView) -> list[Block]:
    """Return what is shown of a step: its answer, or why there is none."""
    if not view.parts:
        return _nothing(view)
    told = {part: values for part, values in view.parts.items() if not _why_untold(values)}
    untold: list[Block] = [
        Text(f"{view.title(part)}: {why}.")
        for part, values in view.parts.items()
        if (why := _why_untold(values))
    ]
    blocks = _told(replace(view, parts=told)) if told else []
    return [*blocks, *untold, *_missing(view)]


def _why_untold(values: Mapping[str, Any]) -> str | None:
    """Say why a part has nothing to show, being of nobody or of too few; None where it has."""
    n, note = values.get("n", 1), values.get("note")
    if n is None and note == FEW_CASES:
        return FEW_CASES
    return (note or NOBODY) if n == 0 else None


def _told(view: StepView) -> list[Block]:
    """Return what is shown of the parts that say something."""
    made = getattr(_module(view.kind), "blocks", None)
    blocks = _try(lambda v: list(made(v)), view) if made else None
    if not isinstance(blocks, list):
        blocks = list(generic_blocks(view))
    for said in (exactness(view), several_in_step(view)):
        blocks = _with_footnote(blocks, said)
    return blocks


def _with_footnote(blocks: list[Block], said: str | None) -> list[Block]:
    """Return blocks with something said below the last of them."""
    if said is None:
        return blocks
    if blocks and isinstance(blocks[-1], Table):
        return [*blocks[:-1], replace(blocks[-1], notes=(*blocks[-1].notes, said))]
    return [*blocks, Text(said)]


def _module(kind: str) -> ModuleType | None:
    name = f"{__name__}.{kind}"
    return import_module(name) if kind.isidentifier() and find_spec(name) else None


def _try(make: object, view: StepView) -> object:
    """Return what is made; None where an answer has another form than expected."""
    if not callable(make):
        return None
    try:
        made: object = make(view)
    except _UNFIT:
        log.warning("step %s: its answer is shown as plain tables", view.name, exc_info=True)
        return None
    return made


def _which(view: StepView) -> str:
    """Return over which sites and cases a step looks."""
    step = view.step
    texts = []
    if view.kind != "train":
        texts.append(f"Computed {listed([_OVER[o] for o in step.over])}.")
    splits = tuple(step.cases.split)
    if len(splits) < 3:
        texts.append(f"Only cases of the {listed(splits)} split.")
    for column, levels in step.cases.where.items():
        texts.append(f"Only cases with {view.label(column, unit=False)} {listed(levels)}.")
    return " ".join(texts)


def _nothing(view: StepView) -> list[Block]:
    failed = view.record.failed.get(view.name, {})
    if not failed:
        return [Note("No answer yet.", "warn")]
    why = "; ".join(dict.fromkeys(failure_in_words(why) for why in failed.values()))
    return [Note(f"No answer: {why}.", "bad")]


def _missing(view: StepView) -> Iterator[Block]:
    """Say which parts are not shown, and why."""
    by_reason: dict[str, list[str]] = {}
    for part, why in view.refused.items():
        by_reason.setdefault(why, []).append(view.title(part))
    for why, titles in by_reason.items():
        yield Text(f"Not shown: {listed(titles)} ({why}).")
    if view.spared:
        titles = [view.title(part) for part in view.spared]
        kept, steps = why_spared(view.record)
        own = listed([view.title(part) for part in kept])
        yield Text(
            f"Not shown by itself, in any step: {listed(titles)}. Every total of which it is part "
            "includes its cases; but its own numbers, taken from the totals, would give away those "
            f"of {own} that were not released in {listed(steps)}."
        )
