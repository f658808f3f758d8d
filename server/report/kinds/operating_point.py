"""How well scores tell the classes apart at chosen thresholds."""

from collections.abc import Iterator
from typing import Any

from common.analyses.threshold_choice import AtLeast
from server.report.blocks import Block, Row, Table
from server.report.kinds.roc import counts_words, outcome_words, without_scores
from server.report.numbers import estimate, fixed, interval, is_number, plural
from server.report.score_names import score_names
from server.report.view import StepView
from server.report.words import by_cause, listed

_MEASURES = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "accuracy": "Accuracy",
    "f1": "F1",
}


def sentence(view: StepView) -> str:
    """Say which scores are cut, and where the thresholds come from."""
    scores = listed(list(score_names(view, view.step.scores).values()))
    text = f"Sensitivity, specificity and predictive values of {scores} for {outcome_words(view)}"
    chosen = getattr(view.step, "chosen_in", "")
    return f"{text}, at the thresholds chosen in {chosen}." if chosen else f"{text}."


def blocks(view: StepView) -> Iterator[Block]:
    """Return one table for each part."""
    names = score_names(view, view.step.scores)
    for part, values in view.parts.items():
        rows, notes = [], []
        said: list[tuple[str, str]] = []
        for name, score in values.get("scores", {}).items():
            for point in score["points"]:
                cells = [fixed(point.get("threshold"), 3)]
                cells += [_measure(point.get(key)) for key in _MEASURES]
                rule = _rule(view, point.get("rule"))
                rows.append(Row(f"{names[name]}\n{rule}", tuple(cells)))
                if point.get("note"):
                    said.append((f"{names[name]}, {rule}", str(point["note"])))
            notes += _judged(names[name], score["points"])
        notes += [f"{'; '.join(of)}: {why}." for why, of in by_cause(said).items()]
        if rows:
            head_ = ("Score and rule", "Threshold", *_MEASURES.values())
            title = f"{view.title(part)} ({counts_words(values)})"
            if view.step.chosen_in:
                notes.append(f'How thresholds were chosen is said at "{view.step.chosen_in}".')
            notes.append(f"Below each rate its {100 * view.step.confidence:g} % CI.")
            yield Table(title, head_, tuple(rows), tuple(notes))
    yield from without_scores(view)


def _measure(found: Any) -> str:
    if not isinstance(found, dict):
        return fixed(found, 2)
    low, high = (fixed(found.get(end), 2) for end in ("at_least", "at_most"))
    if is_number(found.get("at_least")):
        return low if low == high else f"{low} to {high}"
    if is_number(found.get("ci_low")) and is_number(found.get("ci_high")):
        ends = interval(found["ci_low"], found["ci_high"], 2)
        return f"{fixed(found.get('estimate'), 2)}\n{ends}"
    return estimate(found, "estimate", 2)


def _judged(name: str, points: list[dict[str, Any]]) -> list[str]:
    """Say among how many thresholds a score's were chosen, where any was."""
    counts = {point["judged"] for point in points if is_number(point.get("judged"))}
    return [
        f"{name}: chosen among {plural(int(n), 'threshold')}, those with five patients of a class, "
        "or nobody, on each side of them and between one and the next; others cannot be judged."
        for n in counts
    ]


def _rule(view: StepView, rule: Any) -> str:
    chosen_in = view.step.chosen_in
    if chosen_in and isinstance(rule, str):
        rules = getattr(view.study.bound.get(chosen_in), "at", ())
        i = int(rule.rpartition(" ")[2]) - 1
        if i < len(rules):
            return f"{_rule_words(rules[i])}, chosen in {chosen_in}"
        return f"{rule} of {chosen_in}"
    return _rule_words(rule)


def _rule_words(rule: Any) -> str:
    if isinstance(rule, AtLeast):
        rule = rule.model_dump(exclude_none=True)
    if isinstance(rule, dict):
        return ", ".join(f"{key} at least {value:g}" for key, value in rule.items())
    if is_number(rule):
        return "given threshold"
    return "Youden's index" if rule == "youden" else str(rule)
