"""What was found, step by step in the order of the study."""

from collections.abc import Iterator

from server.report.blocks import Block, Note, Section
from server.report.headings import heading_of
from server.report.kinds import blocks_of
from server.report.record import Record
from server.report.sections.cohort import is_about_cohort
from server.report.view import view_of


def results(record: Record) -> Iterator[Section]:
    """Make the section with the answers."""
    blocks: list[Block] = []
    for name in record.run.study.steps:
        view = view_of(record, name)
        if not is_about_cohort(view):
            blocks += [heading_of(view), *blocks_of(view)]
    if not blocks:
        blocks = [Note("The study has no step beyond the description of its cohort.")]
    yield Section("results", "Results", blocks)
