"""Pictures: SVG by matplotlib, the same bytes for the same numbers, small, without fonts.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; whatever
differs in colour differs in marker or line as well.
"""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.sax.saxutils import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from server.report.blocks import Figure

INK, FAINT, SHADE = "#1f2933", "#9aa5b1", "#f1f4f8"
BLUE, RED, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PINK = "#56B4E9", "#CC79A7"
COLOURS = (BLUE, RED, GREEN, PINK, ORANGE, SKY, INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.3)), (0, (5, 1.5, 1, 1.5)))
WIDTH = 7.2

Paint = Callable[[Canvas], None]

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.7,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "path.simplify": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "consortium",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
}
_FONTS = "Helvetica, Arial, 'DejaVu Sans', sans-serif"


def draw(
    name: str, title: str, description: str, paint: Paint, *, height: float, caption: str
) -> Figure:
    """Return a picture.

    Args:
        name: file name without its ending.
        title: read aloud by screen readers, in place of the picture.
        description: what is to be seen in it, the same.
        paint: draws on an empty canvas.
        height: in inches; the width is the page's.
        caption: stands below.
    """
    with mpl.rc_context({**mpl.rcParamsDefault, **_STYLE}):
        canvas = Canvas(figsize=(WIDTH, height), layout="constrained")
        paint(canvas)
        out = io.StringIO()
        FigureCanvasSVG(canvas).print_svg(  # type: ignore[no-untyped-call]
            out, metadata={"Date": None, "Creator": None}
        )
    return Figure(name, _cleaned(out.getvalue(), name, title, description), caption)


def reach(
    at: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Return how far intervals reach below and above their estimates, never less than nothing.

    By rounding an end may lie on the wrong side: Wilson's interval of 0 of 7 begins at 3e-17.
    """
    below_it = [max(0.0, a - end) for a, end in zip(at, low, strict=True)]
    above_it = [max(0.0, end - a) for a, end in zip(at, high, strict=True)]
    return below_it, above_it


def grid(axes: Axes, axis: str = "both") -> None:
    """Draw faint lines at the ticks."""
    axes.grid(visible=True, axis=axis)  # type: ignore[arg-type]
    axes.tick_params(length=0)


def below(canvas: Canvas, axes: Sequence[Axes], columns: int = 4) -> None:
    """Put one legend for all axes below them."""
    found: dict[str, Any] = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            found.setdefault(str(label), handle)
    if found:
        canvas.legend(
            list(found.values()),
            list(found),
            loc="outside lower center",
            ncols=min(columns, len(found)),
        )


def style_of(i: int) -> dict[str, Any]:
    """Return colour and line of the i-th curve."""
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": LINES[i % len(LINES)]}


def plain_ticks(axes: Axes) -> None:
    """Write plain numbers along a logarithmic axis of ratios, near 1 evenly."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = axes.get_xlim()
    narrow = high / low < 30
    subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if narrow else (1.0, 2.0, 5.0)
    evenly = high / low < 3  # too narrow for two ticks of a decade
    axes.xaxis.set_major_locator(
        MaxNLocator(5, steps=(1, 2, 5, 10)) if evenly else LogLocator(base=10, subs=subs)
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _cleaned(svg: str, name: str, title: str, description: str) -> str:
    """Return the bare element, fit to stand in a page beside others."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"'DejaVu Sans'(?:, [^;\"']+|, '[^']*')*", _FONTS, svg)
    mark = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    svg = re.sub(r'\bid="', f'id="{mark}.', svg)
    svg = re.sub(r'(href=")#', rf"\1#{mark}.", svg)
    svg = re.sub(r"url\(#", f"url(#{mark}.", svg)
    svg = re.sub(r'\s(width|height)="[0-9.]+pt"', "", svg, count=2)
    head, _, rest = svg.partition(">")
    label = f'role="img" aria-labelledby="{mark}.title {mark}.about"'
    about = (
        f'<title id="{mark}.title">{escape(title)}</title>'
        f'<desc id="{mark}.about">{escape(description)}</desc>'
    )
    return re.sub(r"\n\s*", "\n", f"{head} {label}>{about}{rest}").strip()
