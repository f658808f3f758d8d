"""How well networks did: scores of cases by site, with baselines side by side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from common.tasks.predict import Predict
from server.report import charts
from server.report.blocks import Block, Figure, Note, Row, Table, Text
from server.report.numbers import MINUS, NONE, fixed, is_number, plural, whole
from server.report.table_one import quantiles_of, spread_text
from server.report.view import StepView
from server.report.words import listed

METRICS = {
    "dice": ("Dice", 3),
    "hd95_mm": ("HD95, mm", 1),
    "surface_dice": ("Surface Dice", 3),
    "volume_error_ml": ("Volume error, ml", 2),
}
_MEANING = {
    "dice": "Dice: twice the shared volume over the sum of both; 1 where both masks are empty.",
    "hd95_mm": "HD95: 95 of 100 points of either surface lie within this distance of the other "
    "surface; smaller is better. 0 where both masks are empty, left out where one is.",
    "surface_dice": "Surface Dice: share of both surfaces that lies within {tolerance} mm of "
    "the other; 1 where both masks are empty, 0 where one is.",
    "volume_error_ml": "Found volume less the reader's: negative where the network finds less.",
}
VARIANTS = {
    "": "Federated",
    "pooled": "Pooled",
    "ensemble": "Ensemble",
    "local": "Each site's own",
}
_MOST_COLUMNS = 3
_ORDER = ("surface_dice", "hd95_mm", "volume_error_ml", "dice")


@dataclass(frozen=True)
class Score:
    """A column of scores, read from its name.

    Attributes:
        predict: the step that made it.
        variant: "" of the federated network, else the baseline.
    """

    column: str
    predict: str
    variant: str
    metric: str
    label: str


def scores_in(view: StepView) -> list[Score]:
    """Return the columns of a step that are scores of predicted masks."""
    found = [_read(view, column) for column in view.step.columns()]
    return sorted((s for s in found if s is not None), key=_place)


def _place(score: Score) -> tuple[str, int, str]:
    known = list(VARIANTS)
    place = known.index(score.variant) if score.variant in known else len(known)
    return score.predict, place, score.variant


def score_blocks(view: StepView, found: Sequence[Score]) -> Iterator[Block]:
    """Return the picture of Dice, then a table for each metric."""
    for predict in dict.fromkeys(score.predict for score in found):
        mine = [s for s in found if s.predict == predict]
        dice = [s for s in mine if s.metric == "dice"]
        if dice:
            yield Text(_summary(view, dice))
            yield _figure(view, dice, predict)
            yield from _worst(view, dice)
        for metric in METRICS:
            of = [s for s in mine if s.metric == metric and _known(view, s)]
            if of:
                yield _table(view, of, metric)
            gaps = _gaps(view, of) if metric == "dice" else None
            if gaps is not None:
                yield gaps


def _read(view: StepView, column: str) -> Score | None:
    predict, _, rest = column.partition(".")
    if not isinstance(view.study.bound.get(predict), Predict):
        return None
    head, dot, name = rest.rpartition(".")
    for metric in _ORDER:
        if name.startswith(f"{metric}_"):
            label = name.removeprefix(f"{metric}_")
            return Score(column, predict, head if dot else "", metric, label)
    return None


def _entry(view: StepView, part: str, score: Score) -> Mapping[str, Any]:
    found: Mapping[str, Any] = view.parts[part]["columns"].get(score.column, {})
    return found


def _known(view: StepView, score: Score) -> bool:
    return any(is_number(_entry(view, part, score).get("mean")) for part in view.parts)


def _variant(name: str) -> str:
    return VARIANTS.get(name, name.replace("_", " "))


def _table(view: StepView, found: Sequence[Score], metric: str) -> Table:
    title, decimals = METRICS[metric]
    rows: list[Row] = []
    for label in dict.fromkeys(s.label for s in found):
        of = [s for s in found if s.label == label]
        n = {part: _entry(view, part, of[0]).get("n") for part in view.parts}
        rows.append(Row(label.replace("_", " "), form="group"))
        rows.append(Row("n", tuple(map(whole, n.values())), "level"))
        for score in of:
            cells = tuple(_cell(_entry(view, p, score), n[p], decimals) for p in n)
            rows.append(Row(_variant(score.variant), cells, "level"))
    head = ("", *(view.title(part) for part in view.parts))
    note = "Mean (SD) over cases; below it median [first, third quartile]. n where it differs."
    return Table(title, head, tuple(rows), (_meaning(view, found[0]), note))


def _meaning(view: StepView, score: Score) -> str:
    """Return what a metric is, for readers who do not segment every day."""
    task = view.study.bound[view.study.bound[score.predict].network].task
    return _MEANING[score.metric].format(tolerance=f"{task.scores.tolerance_mm:g}")


def _cell(found: Mapping[str, Any], n: Any, decimals: int) -> str:
    """Return a score's spread, with its own n where that is not the n above it."""
    text = spread_text(found, decimals)
    if not is_number(found.get("mean")) or found.get("n") == n:
        return text
    return f"{text}\nn = {whole(found.get('n'))}"


def _summary(view: StepView, dice: Sequence[Score]) -> str:
    part = next(iter(view.parts))
    said = []
    for score in [s for s in dice if not s.variant]:
        entry = _entry(view, part, score)
        if is_number(entry.get("mean")):
            said.append(
                f"{score.label.replace('_', ' ')} {fixed(entry['mean'], 3)} "
                f"(SD {fixed(entry.get('sd'), 3)}, {plural(entry['n'], 'case')})"
            )
    if not said:
        return "There is no Dice of the federated network."
    return f"Mean Dice of the federated network, {view.title(part)}: {'; '.join(said)}."


def _means_by_site(view: StepView, score: Score) -> dict[str, tuple[float, int]]:
    """Return mean and n at every single site whose numbers are shown."""
    found = {}
    for part in view.parts:
        sites, entry = view.sites(part), _entry(view, part, score)
        if len(sites) == 1 and is_number(entry.get("mean")):
            found[view.title(part)] = (float(entry["mean"]), int(entry["n"]))
    return found


def _worst(view: StepView, dice: Sequence[Score]) -> Iterator[Block]:
    said, unseen = [], set[str]()
    for score in [s for s in dice if not s.variant]:
        sites = _means_by_site(view, score)
        if len(sites) > 1:
            site = min(sites, key=lambda name: sites[name][0])
            mean, n = sites[site]
            label = score.label.replace("_", " ")
            said.append(f"{label} {fixed(mean, 3)} at {site} (n = {whole(n)})")
            unseen |= _without_mean(view, score)
    if not said:
        return
    found = f"mean Dice of the federated network: {'; '.join(said)}."
    if unseen:
        hidden = listed(sorted(unseen))
        yield Note(f"Lowest of the sites shown, {found} Not shown, and maybe lower: {hidden}.")
    else:
        yield Note(f"Worst site, {found}")


def _without_mean(view: StepView, score: Score) -> set[str]:
    """Return the sites of the roster that have no mean of their own on the page."""
    shown = set[str]()
    for part in view.parts:
        if len(view.sites(part)) == 1 and is_number(_entry(view, part, score).get("mean")):
            shown |= view.sites(part)
    return set(view.record.run.roster.sites) - shown


def _gaps(view: StepView, dice: Sequence[Score]) -> Table | None:
    """Return by how much the federated network is above or below each baseline."""
    rows = []
    own = {s.label: s for s in dice if not s.variant}
    for score in [s for s in dice if s.variant and s.label in own]:
        cells = []
        for part in view.parts:
            a, b = _entry(view, part, own[score.label]), _entry(view, part, score)
            known = is_number(a.get("mean")) and is_number(b.get("mean")) and a["n"] == b["n"]
            gap = a["mean"] - b["mean"] if known else None
            sign = "+" if gap is not None and round(gap, 3) > 0 else ""
            cells.append(sign + fixed(gap, 3) if gap is not None else NONE)
        name = (
            f"{score.label.replace('_', ' ')}: federated {MINUS} {_variant(score.variant).lower()}"
        )
        rows.append(Row(name, tuple(cells)))
    if not rows:
        return None
    head = ("", *(view.title(part) for part in view.parts))
    note = (
        "Positive: the federated network is better. Only where both were scored on the same cases."
    )
    return Table("Differences of mean Dice", head, tuple(rows), (note,))


def _figure(view: StepView, dice: Sequence[Score], predict: str) -> Figure:
    labels = list(dict.fromkeys(s.label for s in dice))
    parts = _rows_of_figure(view)
    variants = list(dict.fromkeys(s.variant for s in dice))
    n_rows = -(-len(labels) // _MOST_COLUMNS)

    def paint(canvas: Canvas) -> None:
        shape = (n_rows, min(_MOST_COLUMNS, len(labels)))
        grid = canvas.subplots(*shape, sharex=True, sharey=True, squeeze=False)
        panels: list[Axes] = grid.ravel().tolist()
        for axes, label in zip(panels, labels, strict=False):
            of = [s for s in dice if s.label == label]
            _panel(view, axes, of, parts, variants)
            axes.set_title(label.replace("_", " "))
        for axes in panels[len(labels) :]:
            axes.set_visible(False)
        panels[0].set_yticks(list(parts.values()), [_tick(view, p, dice[0]) for p in parts])
        panels[0].set_ylim(max(parts.values()) + 0.55, -0.55)
        charts.below(canvas, panels, columns=5)

    return charts.draw(
        view.figure_name("dice"),
        "Dice by site",
        _summary(view, dice),
        paint,
        height=0.65 + n_rows * (0.5 + len(parts) * (0.2 + 0.13 * len(variants))),
        caption="Dice by site; external sites apart, on grey. Marker: mean over cases; bar: "
        "first to third quartile; dashed line: the federated network's lowest of the sites shown. "
        f"Masks of the step {predict}.",
    )


def _rows_of_figure(view: StepView) -> dict[str, float]:
    """Return the height of each part: together, sites, and the external ones apart."""
    rows, y = {}, 0.0
    external = set(view.record.run.roster.external)
    parts = sorted(view.parts, key=lambda part: view.sites(part) <= external)
    for i, part in enumerate(parts):
        apart = i and (view.sites(part) <= external) != (view.sites(parts[i - 1]) <= external)
        y += (1.35 if apart else 1.0) if i else 0.0
        rows[part] = y
    return rows


def _panel(
    view: StepView,
    axes: Axes,
    found: Sequence[Score],
    parts: Mapping[str, float],
    variants: Sequence[str],
) -> None:
    external = set(view.record.run.roster.external)
    outside = [y for part, y in parts.items() if view.sites(part) <= external]
    if outside:
        axes.axhspan(min(outside) - 0.6, max(outside) + 0.6, color=charts.SHADE, zorder=0)
    step = 0.72 / len(variants)
    for score in found:
        k = variants.index(score.variant)
        colour, marker = charts.COLOURS[k % 7], charts.MARKERS[k % 7]
        xs, ys = [], []
        for part, y in parts.items():
            entry = _entry(view, part, score)
            if not is_number(entry.get("mean")):
                continue
            place = y + (k - (len(variants) - 1) / 2) * step
            xs.append(entry["mean"])
            ys.append(place)
            at = quantiles_of(entry)
            if 0.25 in at and 0.75 in at:
                axes.plot([at[0.25], at[0.75]], [place, place], color=colour, lw=1.3, alpha=0.75)
        name = _variant(score.variant)
        axes.plot(xs, ys, marker, color=colour, ms=4.8, mec="white", mew=0.6, label=name)
        sites = _means_by_site(view, score)
        if not score.variant and len(sites) > 1:
            worst = min(mean for mean, _ in sites.values())
            axes.axvline(worst, color=colour, lw=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.set_xlabel("Dice")
    axes.tick_params(labelbottom=True)
    charts.grid(axes, "x")


def _tick(view: StepView, part: str, score: Score) -> str:
    n = _entry(view, part, score).get("n")
    return f"{view.title(part)}, n = {whole(n)}"
