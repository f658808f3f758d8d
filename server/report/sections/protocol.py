"""The study in words: what it reads and what each step does."""

from collections.abc import Iterator

from common.cohort import Cohort, Column
from server.report.blocks import Block, Heading, Items, Row, Section, Table
from server.report.guarded import guarded
from server.report.kinds import sentence_of
from server.report.numbers import NONE
from server.report.record import Record
from server.report.view import view_of

_TYPES = {"number": "number", "integer": "whole number", "category": "category"}


def protocol(record: Record) -> Iterator[Section]:
    """Make the section about the study's plan."""
    study = record.run.study
    steps = tuple((name, _sentence(record, name)) for name in study.steps)
    blocks: list[Block] = [
        Heading("What is done, step by step"),
        Items(steps, numbered=True),
        Heading("What every case has"),
    ]
    yield Section("study", "The study", [*blocks, *_contract(study.cohort)])


def _sentence(record: Record, name: str) -> str:
    found = guarded(record, f"step {name}", lambda: [sentence_of(view_of(record, name))])
    return found[0] if found else "What it does cannot be said here."


def _contract(cohort: Cohort) -> Iterator[Block]:
    images = [
        Row(name, (image.modality, image.unit or NONE, _need(required=image.required)))
        for name, image in cohort.images.items()
    ]
    masks = [
        Row(
            name,
            (f"mask on {mask.on}", ", ".join(mask.labels), _need(required=mask.required)),
        )
        for name, mask in cohort.masks.items()
    ]
    if images or masks:
        head = ("Image or mask", "Kind", "Unit or labels", "")
        yield Table("Images and masks", head, (*images, *masks), words=True)
    if cohort.columns:
        rows = tuple(_column(name, c) for name, c in cohort.columns.items())
        columns = ("Column", "Name", "Type", "Unit", "Range or levels", "")
        yield Table("Clinical and outcome columns", columns, rows, words=True)


def _column(name: str, column: Column) -> Row:
    allowed = ", ".join(column.levels)
    if column.range is not None:
        allowed = " to ".join(f"{end:g}" for end in column.range)
    cells = (_TYPES[column.type], column.unit or NONE, allowed or "any")
    title = column.title or name.replace("_", " ")
    return Row(title, (name, *cells, _need(required=column.required)))


def _need(*, required: bool) -> str:
    return "required" if required else "may be missing"
