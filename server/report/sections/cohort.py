"""The sites, the flow of cases, and the first table."""

from collections.abc import Iterator
from typing import Any

from common.errors import Reason
from server.report.blocks import Block, Note, Row, Section, Table, Text
from server.report.numbers import NONE, plural
from server.report.record import Record
from server.report.sections.steps import step_blocks
from server.report.several import several_in_study
from server.report.words import listed

_NOT_COUNTED = (
    "Cases that do not fit the study are left out at their site. This study does not count them: "
    "it has no step check_cohort."
)


def is_about_cohort(step: Any) -> bool:
    """Return whether a step describes who is in the study, not what was found."""
    kind = getattr(step, "kind", "")
    return kind == "check_cohort" or (
        kind == "describe" and not any("." in c for c in step.columns())
    )


def cohort(record: Record) -> Iterator[Section]:
    """Make the section about sites and cases."""
    roster = record.run.roster
    external = f" and {plural(len(roster.external), 'external site')}"
    blocks: list[Block] = [
        Text(
            f"The roster names {plural(len(roster.developing), 'developing site')}"
            f"{external if roster.external else ''}: "
            f"{listed([*roster.developing, *roster.external])}. An external site never "
            "trains and never tunes; it only validates."
        ),
        _sites(record),
    ]
    if said := several_in_study(record):
        blocks.append(Note(said, "warn"))
    if all(getattr(step, "kind", "") != "check_cohort" for step in record.run.study.bound.values()):
        blocks.append(Text(_NOT_COUNTED))
    for name in record.run.study.steps:
        if is_about_cohort(record.run.study.bound[name]):
            blocks += step_blocks(record, name)
    yield Section("cohort", "Sites and cases", blocks)


def _sites(record: Record) -> Table:
    roster = record.run.roster
    absent = {str(event.get("site")) for event in record.of("absent")}
    alone = {str(Reason.PER_SITE_NOT_ALLOWED), str(Reason.OWN_SUMS_FOLLOW)}
    private = {e.get("site") for e in record.of("lost") if e.get("reason") in alone}
    rows = []
    for name in (*roster.developing, *roster.external):
        role = "developing" if roster.sites[name].role == "develop" else "external"
        joined = "no" if name in absent else "yes" if record.rounds else "not yet"
        rows.append(Row(name, (role, joined, "no" if name in private else NONE)))
    for i, row in enumerate(rows):
        if _spoke_alone(record, row.head):
            rows[i] = Row(row.head, (*row.cells[:2], "yes"))
    head = ("Site", "Role", "Joined", "Releases own numbers")
    return Table("Sites", head, tuple(rows), words=True)


def _spoke_alone(record: Record, site: str) -> bool:
    return any(
        record.sites_of(f"{step}/{part}") == (site,)
        for step, parts in record.answers.items()
        for part in parts
        if not part.startswith("local.")
    )
