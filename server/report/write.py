"""Write a run's page and its figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from server.arrays import write_file
from server.report.blocks import Block, Section, figures_of
from server.report.record import read_record
from server.report.sections.cohort import cohort
from server.report.sections.course import course
from server.report.sections.deviations import deviations
from server.report.sections.findings import findings
from server.report.sections.outcome import Outcome, key_numbers, outcome_of
from server.report.sections.protocol import protocol
from server.report.sections.provenance import privacy, provenance
from server.report.sections.results import results
from server.run import Run

_TEMPLATES = Path(__file__).parent / "templates"
_SECTIONS = (findings, protocol, cohort, results, course, deviations, privacy, provenance)


@dataclass(frozen=True)
class Page:
    """Everything on the page."""

    title: str
    description: str
    reference: str
    run: str
    outcome: Outcome
    keys: Sequence[tuple[str, str]]
    sections: Sequence[Section]


def write_report(run: Run) -> Path:
    """Write `report.html` and `figures/*.svg` of a run, finished or not.

    The same files in the run folder give the same bytes.

    Returns:
        The page's path.
    """
    page = _page(run)
    for name, figure in figures_of(page.sections).items():
        text = f'<?xml version="1.0" encoding="utf-8"?>\n{figure.svg}\n'
        write_file(run.folder / "figures" / f"{name}.svg", text.encode())
    html = _environment().get_template("report.html").render(page=page, draw=_draw)
    path = run.folder / "report.html"
    write_file(path, html.encode())
    return path


def _page(run: Run) -> Page:
    record = read_record(run)
    made = [section for make in _SECTIONS for section in make(record)]
    study = run.study
    return Page(
        title=study.title or study.name.replace("_", " "),
        description=study.description,
        reference=study.reference,
        run=run.id,
        outcome=outcome_of(record),
        keys=key_numbers(record),
        sections=made,
    )


def _draw(block: Block) -> Markup:
    macros = _environment().get_template("blocks.html").module
    return Markup(getattr(macros, block.form)(block))  # noqa: S704  (escaped there)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["trusted"] = _trusted
    return environment


def _trusted(svg: str) -> Markup:
    """Let a picture through as it is: matplotlib escapes the texts in it."""
    return Markup(svg)  # noqa: S704
