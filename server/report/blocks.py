"""What a page is made of. The template knows these forms and nothing else.

Every text in them is plain: the template escapes it. Only `Figure.svg` goes in as it is,
so that only `server.report.charts` may make one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

Tone: TypeAlias = Literal["good", "plain", "warn", "bad"]


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        head: the row's own heading.
        cells: one for each column but the first; a line break parts two lines.
        form: "group" for a heading over rows, "level" for an indented row, "total".
    """

    head: str
    cells: tuple[str, ...] = ()
    form: Literal["", "group", "level", "total"] = ""


@dataclass(frozen=True)
class Table:
    """Rows under a head, with a caption above and notes below.

    Attributes:
        words: whether cells hold words, which start at the left, rather than numbers.
    """

    form: ClassVar[str] = "table"
    caption: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    words: bool = False


@dataclass(frozen=True)
class Figure:
    """A picture, also written to `figures/<name>.svg`.

    Attributes:
        name: file name without its ending.
        svg: a whole `<svg>` element.
        caption: what it shows, below the picture.
    """

    form: ClassVar[str] = "figure"
    name: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    form: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Note:
    """A paragraph that stands out."""

    form: ClassVar[str] = "note"
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Items:
    """A list; each entry is a term and what is said of it, the term may be empty."""

    form: ClassVar[str] = "items"
    entries: tuple[tuple[str, str], ...]
    numbered: bool = False


@dataclass(frozen=True)
class Code:
    """Lines to be copied into a terminal."""

    form: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Heading:
    """A heading within a section, over the blocks that follow it."""

    form: ClassVar[str] = "heading"
    text: str


Block: TypeAlias = Table | Figure | Text | Note | Items | Code | Heading


@dataclass(frozen=True)
class Section:
    """A part of the page with an entry in its table of contents."""

    id: str
    title: str
    blocks: Sequence[Block]


def figures_of(sections: Sequence[Section]) -> dict[str, Figure]:
    """Return every figure of a page by its file name."""
    blocks = [block for section in sections for block in section.blocks]
    return {b.name: b for b in blocks if isinstance(b, Figure)}
