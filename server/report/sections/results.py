"""What was found, step by step in the order of the study."""

from collections.abc import Iterator

from server.report.blocks import Block, Note, Section
from server.report.record import Record
from server.report.sections.cohort import is_about_cohort
from server.report.sections.steps import step_blocks


def results(record: Record) -> Iterator[Section]:
    """Make the section with the answers."""
    blocks: list[Block] = []
    for name in record.run.study.steps:
        if not is_about_cohort(record.run.study.bound[name]):
            blocks += step_blocks(record, name)
    if not blocks:
        blocks = [Note("The study has no step beyond the description of its cohort.")]
    yield Section("results", "Results", blocks)
