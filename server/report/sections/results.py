"""What was found, step by step in the order of the study."""

from collections.abc import Iterator

from server.report.blocks import Block, Heading, Note, Section
from server.report.kinds import blocks_of
from server.report.record import Record
from server.report.sections.cohort import is_about_cohort
from server.report.view import StepView, view_of


def results(record: Record) -> Iterator[Section]:
    """Make the section with the answers."""
    blocks: list[Block] = []
    for name in record.run.study.bound:
        view = view_of(record, name)
        if not is_about_cohort(view):
            blocks += [_heading(view), *blocks_of(view)]
    if not blocks:
        blocks = [Note("The study has no step beyond the description of its cohort.")]
    yield Section("results", "Results", blocks)


def _heading(view: StepView) -> Heading:
    title = view.name.replace("_", " ")
    return Heading(title[:1].upper() + title[1:], view.kind.replace("_", " "))
