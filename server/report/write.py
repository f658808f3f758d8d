"""Write a run's page and its figures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from server.arrays import write_file
from server.report.blocks import Block, Section, figures_of
from server.report.guarded import guarded, unshown
from server.report.record import Record, read_record
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
_Make = Callable[[Record], Iterator[Section]]
_SECTIONS: tuple[tuple[str, _Make], ...] = (
    ("In short", findings),
    ("The study", protocol),
    ("Sites and cases", cohort),
    ("Results", results),
    ("Rounds", course),
    ("Deviations and refusals", deviations),
    ("What left the sites", privacy),
    ("Provenance", provenance),
)


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


def write_report(run: Run, left_out: list[str] | None = None) -> Path:
    """Write `report.html` and `figures/*.svg` of a run, finished or not.

    The same files in the run folder give the same bytes.

    Args:
        run: its folder.
        left_out: takes up the steps and sections that the page could not show, by a mistake
            of the report's.

    Returns:
        The page's path.
    """
    record = read_record(run)
    page = _page(record)
    if left_out is not None:
        left_out += record.unshown
    for name, figure in figures_of(page.sections).items():
        text = f'<?xml version="1.0" encoding="utf-8"?>\n{figure.svg}\n'
        write_file(run.folder / "figures" / f"{name}.svg", text.encode())
    html = _environment().get_template("report.html").render(page=page, draw=_draw)
    path = run.folder / "report.html"
    write_file(path, html.encode())
    return path


def _page(record: Record) -> Page:
    made = [section for title, make in _SECTIONS for section in _section(record, title, make)]
    run, study = record.run, record.run.study
    return Page(
        title=study.title or study.name.replace("_", " "),
        description=study.description,
        reference=study.reference,
        run=run.id,
        outcome=outcome_of(record),
        keys=guarded(record, "the key numbers", lambda: key_numbers(record)) or (),
        sections=made,
    )


def _section(record: Record, title: str, make: _Make) -> list[Section]:
    found = guarded(record, f'section "{title}"', lambda: make(record))
    if found is None:
        return [Section(make.__name__, title, [unshown(f'Section "{title}"')])]
    return found


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
