"""The first table of a paper; or, over columns of scores, how well networks did."""

from collections.abc import Iterator

from server.report.blocks import Block
from server.report.likeness import likeness_blocks, likeness_in
from server.report.scores import score_blocks, scores_in
from server.report.table_one import tables_one
from server.report.view import StepView
from server.report.words import listed


def sentence(view: StepView) -> str:
    """Say what is described."""
    found = scores_in(view)
    if found:
        networks = listed(list(dict.fromkeys(score.predict for score in found)))
        return f"Describe how well the masks predicted in {networks} fit the readers' masks."
    if likeness_in(view):
        networks = listed(list(dict.fromkeys(one.predict for one in likeness_in(view))))
        return f"Describe how like the originals the images made in {networks} are."
    names = [view.label(c, unit=False) for c in view.step.of]
    if len(names) > 8:
        names = [*names[:7], f"{len(names) - 7} more columns"]
    by = f", by {view.label(view.step.by, unit=False)}" if view.step.by else ""
    return f"Describe {listed(names)}{by}."


def blocks(view: StepView) -> Iterator[Block]:
    """Return the table of all columns, or scores where there are some."""
    found = scores_in(view)
    if found:
        yield from score_blocks(view, found)
    finer = likeness_in(view)
    yield from likeness_blocks(view, finer)
    shown = {s.column for s in found} | {c for one in finer for c in one.columns}
    others = [c for c in view.step.of if c not in shown]
    if others:
        yield from tables_one(view, others)
