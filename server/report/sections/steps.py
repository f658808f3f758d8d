"""What is shown of one step, under its heading."""

from server.report.blocks import Block, Heading
from server.report.guarded import guarded, unshown
from server.report.headings import heading_of
from server.report.kinds import blocks_of
from server.report.record import Record
from server.report.view import view_of


def step_blocks(record: Record, name: str) -> list[Block]:
    """Return a step's heading and its blocks; where they cannot be made, a line that says so."""

    def make() -> list[Block]:
        view = view_of(record, name)
        return [heading_of(view), *blocks_of(view)]

    found = guarded(record, f"step {name}", make)
    if found is None:
        return [Heading(name.replace("_", " ")), unshown(f"Step {name}")]
    return found
