"""How like the originals finer images are, by site, beside interpolation.

Numbers only: images stay at the sites, each of which has pictures of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from common.tasks.predict import Predict
from common.tasks.super_resolution import SuperResolution
from common.tasks.train import Train
from server.report import charts
from server.report.blocks import Block, Figure, Note, Row, Table, Text
from server.report.numbers import NONE, fixed, is_number, plural, whole
from server.report.table_one import quantiles_of
from server.report.view import StepView

_WAYS = {"linear": "Linear", "bspline": "B-spline", "": "Network"}
_DECIMALS = {"psnr_db": 2, "ssim": 4}
_TITLES = {"psnr_db": "PSNR, dB", "ssim": "SSIM"}


@dataclass(frozen=True)
class Likeness:
    """The columns of a predict step's scores against the original.

    Attributes:
        predict: the step.
        variant: "" of the federated network, else the baseline.
        columns: those of them that the step describes.
    """

    predict: str
    variant: str
    columns: tuple[str, ...]

    @property
    def stem(self) -> str:
        """Return what stands before each score's name."""
        return f"{self.predict}.{self.variant}." if self.variant else f"{self.predict}."

    def column(self, score: str, way: str = "") -> str:
        """Return the name of a score of the network, or of an interpolation."""
        return f"{self.stem}{score}_{way}" if way else f"{self.stem}{score}"


def likeness_in(view: StepView) -> list[Likeness]:
    """Return the scores of finer images among the columns of a step."""
    found: dict[tuple[str, str], list[str]] = {}
    for column in view.step.columns():
        predict, _, rest = column.partition(".")
        task = _task(view, predict)
        variant, _, score = rest.rpartition(".")
        if task is not None and score in task.score_columns():
            found.setdefault((predict, variant), []).append(column)
    return [Likeness(p, v, tuple(columns)) for (p, v), columns in found.items()]


def likeness_blocks(view: StepView, found: Sequence[Likeness]) -> Iterator[Block]:
    """Return a sentence, the picture of PSNR by site, and a table."""
    for one in found:
        if _entry(view, next(iter(view.parts)), one.column("psnr_db")) == {}:
            continue
        yield Text(_summary(view, one))
        if not one.variant:
            yield _figure(view, one)
        yield _table(view, one)
        yield from _losing(view, one)


def _task(view: StepView, predict: str) -> SuperResolution | None:
    step = view.study.bound.get(predict)
    trained = view.study.bound.get(step.network) if isinstance(step, Predict) else None
    task = trained.task if isinstance(trained, Train) else None
    return task if isinstance(task, SuperResolution) else None


def _entry(view: StepView, part: str, column: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = view.parts[part].get("columns", {}).get(column, {})
    return found


def _mean(view: StepView, part: str, column: str) -> Any:
    return _entry(view, part, column).get("mean")


def _network(one: Likeness) -> str:
    return f"the {one.variant} network" if one.variant else "the federated network"


def _summary(view: StepView, one: Likeness) -> str:
    said = []
    for part in view.parts:
        gain = _entry(view, part, one.column("gain_db"))
        psnr = _mean(view, part, one.column("psnr_db"))
        if len(view.sites(part)) > 1 or part == "external":
            said.append(
                f"{view.title(part)}: {fixed(psnr, 2)} dB, {_signed(gain.get('mean'))} dB against "
                f"B-splines (SD {fixed(gain.get('sd'), 2)}, {plural(gain.get('n', 0), 'case')})"
            )
    return f"Mean PSNR of {_network(one)}. {'; '.join(said)}."


def _signed(value: Any) -> str:
    plus = "+" if is_number(value) and round(value, 2) > 0 else ""
    return plus + fixed(value, 2)


def _table(view: StepView, one: Likeness) -> Table:
    columns = [(score, way) for score in _TITLES for way in _WAYS]
    head = ["", "n", *(f"{_TITLES[s]}\n{_WAYS[w]}" for s, w in columns)]
    head.insert(5, "Gain, dB\nover B-spline")
    rows = []
    for part in view.parts:
        cells = [
            fixed(_mean(view, part, one.column(score, way)), _DECIMALS[score])
            for score, way in columns
        ]
        gain = _entry(view, part, one.column("gain_db"))
        spread = f" ({fixed(gain.get('sd'), 2)})" if is_number(gain.get("sd")) else ""
        cells.insert(3, f"{_signed(gain.get('mean'))}{spread}")
        cases = whole(_entry(view, part, one.column("psnr_db")).get("n"))
        rows.append(Row(view.title(part), (cases, *cells)))
    note = (
        "Means over cases, of the whole image against the original; of the gain also (SD). PSNR "
        "over the original's own range of grey levels; SSIM in 3D, Gaussian window of 1.5 voxels."
    )
    return Table(f"Likeness to the original, {_network(one)}", tuple(head), tuple(rows), (note,))


def _losing(view: StepView, one: Likeness) -> Iterator[Block]:
    """Name the sites at which interpolation does better."""
    gains = {part: _mean(view, part, one.column("gain_db")) for part in view.parts}
    worse = [view.title(p) for p, gain in gains.items() if is_number(gain) and gain < 0]
    if worse:
        yield Note(f"B-splines do better at: {', '.join(worse)}.", "warn")


def _figure(view: StepView, one: Likeness) -> Figure:
    parts = [p for p in view.parts if is_number(_mean(view, p, one.column("psnr_db")))]

    def paint(canvas: Canvas) -> None:
        panels: list[Axes] = canvas.subplots(1, 2, sharey=True).ravel().tolist()
        for axes, score in zip(panels, _TITLES, strict=True):
            _panel(view, axes, one, score, parts)
        panels[0].set_yticks(range(len(parts)), [_tick(view, p, one) for p in parts])
        panels[0].set_ylim(len(parts) - 0.5, -0.5)
        charts.below(canvas, panels[:1])

    return charts.draw(
        view.figure_name(one.predict, "likeness"),
        "Likeness to the original by site",
        _summary(view, one),
        paint,
        height=1.3 + 0.34 * len(parts),
        caption="PSNR and SSIM by site of interpolation and of the network. Marker: mean over "
        "cases; bar: first to third quartile. External sites on grey.",
    )


def _panel(view: StepView, axes: Axes, one: Likeness, score: str, parts: Sequence[str]) -> None:
    external = set(view.record.run.roster.external)
    for y, part in enumerate(parts):
        if view.sites(part) <= external:
            axes.axhspan(y - 0.5, y + 0.5, color=charts.SHADE, zorder=0)
    for k, (way, title) in enumerate(_WAYS.items()):
        colour, xs, ys = charts.COLOURS[(2, 1, 0)[k]], [], []
        for y, part in enumerate(parts):
            entry, place = _entry(view, part, one.column(score, way)), y + (k - 1) * 0.22
            at = quantiles_of(entry)
            if 0.25 in at and 0.75 in at:
                axes.plot([at[0.25], at[0.75]], [place, place], color=colour, lw=1.2, alpha=0.7)
            if is_number(entry.get("mean")):
                xs.append(entry["mean"])
                ys.append(place)
        marker = charts.MARKERS[(2, 1, 0)[k]]
        axes.plot(xs, ys, marker, color=colour, ms=4.8, mec="white", mew=0.6, label=title)
    axes.set_xlabel(_TITLES[score])
    charts.grid(axes, "x")


def _tick(view: StepView, part: str, one: Likeness) -> str:
    n = _entry(view, part, one.column("psnr_db")).get("n")
    return f"{view.title(part)}, n = {whole(n) if n is not None else NONE}"
