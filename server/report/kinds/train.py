"""How a network learned: curves over rounds, beside its baselines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from server.report import charts
from server.report.blocks import Block, Figure, Note, Row, Table, Text
from server.report.numbers import NONE, fixed, is_number, plural, whole
from server.report.privacy_cost import cost
from server.report.view import StepView
from server.report.words import listed

_MOST_LABELS = 3
_MOST_MARKERS = 30
_MEAN = "mean of labels"
_MEASURES = {"segmentation": "Dice", "super_resolution": "PSNR"}
_SCORES = {"psnr_db": "PSNR, dB"}
_NOT_LEARNED = (
    "No round was better on the validation cases than the network before any training: too few "
    "rounds, or a learning rate that does not fit."
)
_BASELINES = {
    "local": "a network of each site alone",
    "ensemble": "the ensemble of those",
    "pooled": "one network trained on all cases pooled",
}

_PARTS = {"norm": "normalisation layers", "head": "last layer"}


def sentence(view: StepView) -> str:
    """Say what is trained, how long, and beside which baselines."""
    step = view.step
    text = (
        f"Train a network that {step.task.purpose(view.study.holdings)}: "
        f"{plural(step.rounds, 'round')} over the developing sites, in each of which a site "
        f"trains on its own cases and returns only the change of the weights."
    )
    text += _more(step)
    if step.baselines:
        text += f" For comparison: {listed([_BASELINES[b] for b in step.baselines])}."
    return text


def _more(step: Any) -> str:
    """Say what folds, local parts and fine-tuning do."""
    text = ""
    if step.folds:
        text += (
            f" {step.folds} such networks are trained side by side, each without one of "
            f"{step.folds} parts of the patients, so that every patient can be told by a network "
            "that never saw them."
        )
    if step.stay_local:
        parts = listed([_PARTS.get(part, part) for part in step.stay_local])
        text += f" Each site keeps its own {parts}: never sent, so that a site that did not train "
        text += "has no whole network."
    if step.privacy is not None:
        text += " Every step adds noise at the site, so that no single patient can be told from it."
    if step.largest_update_norm is not None:
        text += (
            f" A site moves the network by at most a norm of {step.largest_update_norm:g} a round."
        )
    if step.fine_tune:
        text += " At the end each site trains on alone, and keeps what comes of it."
    return text


def blocks(view: StepView) -> Iterator[Block]:
    """Return the selected round, the curves, and a table of all trainings."""
    histories = {p: _history(v) for p, v in view.parts.items() if _history(v)}
    main = view.parts.get("development")
    if main is not None and is_number(main.get("selected_round")):
        yield Text(_selected(view, main))
        if main["selected_round"] == 0:
            yield Note(_NOT_LEARNED, "warn")
    yield from cost(view)
    if histories:
        yield _figure(view, histories)
    yield _table(view)
    yield from _afterwards(view)


def _history(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [line for line in values.get("history", ()) if isinstance(line, dict)]


def _name(part: str) -> str:
    base, _, fold = part.rpartition("fold.")
    base = base.removesuffix(".") if fold and base else "" if "fold." in part else part
    if base in ("", "development"):
        name = "Federated"
    else:
        name = f"{base.removeprefix('local.')} alone" if base.startswith("local.") else "Pooled"
    return f"{name}, without fold {fold}" if "fold." in part else name


def _scores(score: Any, between: str = ", ") -> str:
    if not isinstance(score, dict):
        return NONE
    return between.join(f"{_label(k)} {fixed(v, 3)}" for k, v in score.items())


def _label(score: str) -> str:
    return _SCORES.get(score, score.replace("_", " "))


def _measure(view: StepView) -> str:
    """Return what validation measures."""
    return _MEASURES.get(view.step.task.kind, "score")


def _selected(view: StepView, values: Mapping[str, Any]) -> str:
    chosen = values["selected_round"]
    line = next((x for x in _history(values) if x.get("round") == chosen), {})
    best = view.step.select == "best" and "score" in values
    how = f"had the best mean validation {_measure(view)}" if best else "are the last"
    n = line.get("n_validated")
    over = f" over {plural(int(n), 'validation case')}" if is_number(n) else ""
    found = f": {_scores(values['score'])}{over}" if "score" in values else ""
    return (
        f"The weights after {plural(chosen, 'round')} {how}{found}. "
        "They are the ones that every later step uses."
    )


def _table(view: StepView) -> Table:
    rows = []
    for part, values in view.parts.items():
        lines = _history(values)
        losses = [line["loss"] for line in lines if is_number(line.get("loss"))]
        cases = [line["n"] for line in lines if is_number(line.get("n"))]
        rows.append(
            Row(
                _name(part),
                (
                    whole(len([line for line in lines if "loss" in line])),
                    whole(cases[-1]) if cases and "." not in part else NONE,
                    fixed(losses[0], 3) if losses else NONE,
                    fixed(losses[-1], 3) if losses else NONE,
                    whole(values.get("selected_round")),
                    _scores(values.get("score"), "\n"),
                ),
            )
        )
    head = (
        "Training",
        "Rounds",
        "Cases in a round",
        "First loss",
        "Last loss",
        "Selected after",
        f"Validation {_measure(view)}",
    )
    note = "Sites' own networks are validated at the sites only, by the step that predicts."
    notes = (note,) if any(p.startswith("local.") for p in view.parts) else ()
    return Table("Trainings", head, tuple(rows), notes)


def _figure(view: StepView, histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    labels = _labels(histories)
    main = view.parts.get("development", {})

    def paint(canvas: Canvas) -> None:
        panels = canvas.subplots(1, 1 + len(labels), squeeze=False)[0]
        for i, (part, lines) in enumerate(histories.items()):
            look = _look(part, i)
            _curve(panels[0], [(x["round"], x["loss"]) for x in lines if "loss" in x], look)
            for axes, label in zip(panels[1:], labels, strict=True):
                at = [(x["round"], _score(x["score"], label)) for x in lines if x.get("score")]
                if at:
                    _curve(
                        axes,
                        at,
                        {**look, "marker": "o" if len(at) <= _MOST_MARKERS else "", "ms": 3},
                    )
        panels[0].set_title("Training loss")
        for axes, label in zip(panels[1:], labels, strict=True):
            word = "" if label in _SCORES else f"{_measure(view)}, "
            axes.set_title(f"Validation {word}{_label(label)}")
            if is_number(main.get("selected_round")):
                axes.axvline(main["selected_round"], color=charts.FAINT, lw=1, zorder=1)
        for axes in panels:
            axes.set_xlabel("round")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
            charts.grid(axes, "y")
        charts.below(canvas, panels[:1])

    return charts.draw(
        view.figure_name("learning"),
        "Learning curves",
        f"Training loss and validation {_measure(view)} over "
        f"{plural(view.step.rounds, 'round')}, for {listed([_name(p) for p in histories])}.",
        paint,
        height=2.9,
        caption="Training loss (mean over the cases of a round) and validation "
        f"{_measure(view)}. Grey line: the selected weights.",
    )


def _labels(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Return the labels to draw, or one word for the mean of many."""
    found = dict.fromkeys(k for h in histories.values() for x in h for k in x.get("score", {}))
    return list(found) if len(found) <= _MOST_LABELS else [_MEAN]


def _score(score: Mapping[str, float], label: str) -> float:
    return sum(score.values()) / len(score) if label == _MEAN else score[label]


def _look(part: str, i: int) -> dict[str, Any]:
    name = _name(part)
    if part == "development" or part.startswith("fold."):
        wide = 2.2 if part == "development" else 1.4
        return {"color": charts.BLUE, "lw": wide, "zorder": 4, "label": name}
    if part.startswith("pooled"):
        return {"color": charts.RED, "linestyle": (0, (5, 2)), "zorder": 3, "label": name}
    colour = (charts.GREEN, charts.PINK, charts.ORANGE, charts.SKY)[i % 4]
    return {"color": colour, "lw": 1.0, "linestyle": charts.LINES[1 + i % 3], "label": name}


def _afterwards(view: StepView) -> Iterator[Table]:
    """Return what came after the rounds: temperatures, and networks that went on alone."""
    rows = []
    for part, values in view.parts.items():
        fitted, tuned = values.get("calibration"), values.get("fine_tuned")
        if isinstance(fitted, dict) or isinstance(tuned, dict):
            cells = (
                fixed(fitted["temperature"], 2) if isinstance(fitted, dict) else NONE,
                whole(fitted["n"]) if isinstance(fitted, dict) else NONE,
                _scores(values.get("score"), "\n"),
                _scores(tuned.get("score"), "\n") if isinstance(tuned, dict) else NONE,
            )
            rows.append(Row(_name(part), cells))
    if rows:
        measure = f"Validation {_measure(view)}"
        head = ("Training", "Temperature", "Cases for it", measure, f"{measure}, fine-tuned")
        note = (
            "Logits are divided by the temperature, so that probabilities come true; with folds "
            "each network takes that of the patients whom the others left out."
        )
        yield Table("After the rounds", head, tuple(rows), (note,))


def _curve(axes: Axes, points: Sequence[tuple[float, float]], look: Mapping[str, Any]) -> None:
    axes.plot([x for x, _ in points], [y for _, y in points], **look)
