"""Columns screened one by one: odds ratios in the order of their p values."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Row, Table
from server.report.forest import ratio_text
from server.report.kinds.roc import outcome_words
from server.report.numbers import is_number, p_value, plural, whole
from server.report.view import StepView
from server.report.words import adjusted_heading

_MOST = 40


def sentence(view: StepView) -> str:
    """Say how many columns are screened."""
    n = plural(len(view.step.of), "column")
    return f"Screen {n} one by one by logistic regression of {outcome_words(view)}."


def blocks(view: StepView) -> Iterator[Block]:
    """Return one table for each part, the smallest p first."""
    for part, values in view.parts.items():
        columns = sorted(values["columns"].items(), key=lambda item: _p(item[1]))
        rows = tuple(Row(view.label(name), _cells(found)) for name, found in columns[:_MOST])
        head = (
            "Column",
            "n",
            "Odds ratio (CI)",
            "Odds ratio per SD (CI)",
            "p",
            adjusted_heading(values["correction"]),
        )
        notes = []
        if len(columns) > _MOST:
            left = plural(len(columns) - _MOST, "column")
            notes.append(f"The {_MOST} smallest p of {len(columns)}; {left} more in answers.json.")
        notes += view.notes(columns[:_MOST])
        n = f"{plural(int(values['n_tests']), 'test')}, n = {whole(values['n'])}"
        yield Table(f"{view.title(part)} ({n})", head, rows, tuple(notes))


def _p(found: Mapping[str, Any]) -> float:
    p = found.get("p")
    return float(p) if is_number(p) else 2.0


def _cells(found: Mapping[str, Any]) -> tuple[str, ...]:
    per_sd = {key: found.get(f"{key}_per_sd") for key in ("odds_ratio", "ci_low", "ci_high")}
    return (
        whole(found.get("n")),
        ratio_text(found, "odds_ratio"),
        ratio_text(per_sd, "odds_ratio"),
        p_value(found.get("p")),
        p_value(found.get("p_adjusted")),
    )
