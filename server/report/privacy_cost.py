"""What a training with differential privacy cost: epsilon in words, and the utility lost."""

from collections.abc import Iterator, Mapping
from math import exp
from typing import Any

from common.tasks.not_covered import not_covered
from common.tasks.train import Train
from server.report.blocks import Block, Note, Row, Table
from server.report.numbers import NONE, fixed, is_number, whole
from server.report.view import StepView

_LARGE = 10.0


def cost(view: StepView) -> Iterator[Block]:
    """Yield what a private training costs its patients, and what privacy cost its network."""
    privacy = view.step.privacy
    if privacy is None:
        return
    text = (
        f"Differential privacy of every training patient: epsilon {privacy.epsilon:g}, delta "
        f"{privacy.delta:g} at each site, for the whole training. Whoever sees every round's sums "
        "and knows all about a patient but whether they were in it can become at most "
        f"{_times(privacy.epsilon)} times as sure of it, but for a chance of {privacy.delta:g}. "
        f"Not covered: {not_covered(view.step)}."
    )
    large = privacy.epsilon >= _LARGE
    if large:
        text += " An epsilon of this size promises little."
    yield Note(text, "warn" if large else "plain")
    others = [
        name
        for name, step in view.study.bound.items()
        if isinstance(step, Train) and step.privacy is None and step.task == view.step.task
    ]
    if others:
        yield _utility(view, others)


def _times(epsilon: float) -> str:
    return f"{exp(epsilon):.3g}" if epsilon < _LARGE else "very many"


def _utility(view: StepView, others: list[str]) -> Table:
    """Compare its validation score with those of the same network trained without noise."""
    mine = _score(view.parts.get("development", {}))
    rows = [_row(f"{view.name}, with privacy", view.parts.get("development", {}), mine)]
    for name in others:
        found = view.record.answers.get(name, {}).get("development", {})
        rows.append(_row(f"{name}, without", found, _score(found)))
        with_both = [label for label in mine if label in _score(found)]
        lost = [_score(found)[label] - mine[label] for label in with_both]
        cells = (NONE, ", ".join(fixed(x, 3) for x in lost) or NONE)
        rows.append(Row(f"lost by privacy, against {name}", cells))
    note = (
        "The same validation cases, chosen by the same rule; on few cases the difference is rough."
    )
    head = ("Training", "Selected after", "Validation score")
    return Table("What privacy cost in utility", head, tuple(rows), (note,))


def _row(title: str, values: Mapping[str, Any], score: Mapping[str, float]) -> Row:
    shown = ", ".join(f"{name.replace('_', ' ')} {fixed(x, 3)}" for name, x in score.items())
    return Row(title, (whole(values.get("selected_round")), shown or NONE))


def _score(values: Mapping[str, Any]) -> dict[str, float]:
    score = values.get("score")
    if not isinstance(score, Mapping):
        return {}
    return {str(name): float(x) for name, x in score.items() if is_number(x)}
