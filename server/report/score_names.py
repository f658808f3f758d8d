"""What a figure calls the scores of a step: the model's name, as a paper would print it."""

import re
from collections.abc import Sequence

from common.by_site import fitted_at
from common.nested import base_of
from common.step import HELD_OUT, LEFT_OUT
from common.study import Study
from common.tasks.classification import levels_of, probability_name
from server.report.view import StepView

_TOGETHER = ("external", "all")


def score_names(view: StepView, names: Sequence[str]) -> dict[str, str]:
    """Return a label for every score of a step with an outcome.

    A column with a title keeps it. `clinical.probability_oof` becomes "clinical
    (cross-validated)", `models.before_probability` "before", `clinical@at_north.probability`
    "clinical, fitted at north". Where two would share a label, all keep the names that the
    study gives them.
    """
    short = {name: _short(view, name) for name in names}
    if len(set(short.values())) < len(short):
        return {name: view.label(name, unit=False) for name in names}
    return short


def _short(view: StepView, name: str) -> str:
    column = view.column(name)
    if column is not None and column.title:
        return view.label(name, unit=False)
    if LEFT_OUT in name:
        return f"{_short(view, name.replace(LEFT_OUT, '.'))} (own site left out)"
    if HELD_OUT in name:
        return f"{_short(view, name.replace(HELD_OUT, '.'))} (cross-validated)"
    site, (step, _, rest) = fitted_at(name), name.partition(".")
    if not rest:
        return view.label(name, unit=False)
    if site is not None:
        return f"{_short(view, f'{base_of(step)}.{rest}')}, fitted at {site}"
    unseen = rest.endswith("_oof") or _left_out(view, step)
    rest = _without_event(view, rest.removesuffix("_oof"))
    parts = [p for p in re.sub(r"(^|_|\.)probability$", "", rest).split(".") if p]
    of_many = step in view.study.bound and len(getattr(view.study.bound[step], "models", ())) > 1
    words = ", ".join(parts if of_many and parts else [step, *parts]).replace("_", " ")
    return f"{words} (cross-validated)" if unseen else words


def _without_event(view: StepView, rest: str) -> str:
    """Return the name without the level that is the event, which the outcome says already.

    Who judges scores by survival has no outcome.
    """
    outcome = view.column(getattr(view.step, "outcome", ""))
    levels = levels_of(outcome) if outcome else ()
    event = getattr(view.step, "positive", "") or (levels[-1] if len(levels) == 2 else "")
    head, dot, last = rest.rpartition(".")
    if event and last == probability_name(event):
        return f"{head}{dot}probability"
    return rest


def _left_out(view: StepView, step: str) -> bool:
    """Return whether a network's predictions are all of patients it never saw in training."""
    over = getattr(view.step, "over", ())
    return _by_folds(view.study, step) and not any(part in _TOGETHER for part in over)


def _by_folds(study: Study, step: str) -> bool:
    predicts = study.bound.get(step)
    network = study.bound.get(getattr(predicts, "network", ""))
    return bool(getattr(network, "folds", 0))
