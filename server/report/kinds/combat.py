"""Harmonised features: who took part, and what was kept."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Items, Note
from server.report.numbers import whole
from server.report.view import StepView
from server.report.words import listed

_MOST = 10


def sentence(view: StepView) -> str:
    """Say what is harmonised over what, and what is kept."""
    step = view.step
    over = "sites" if step.batch is None else f"{view.label(step.batch, unit=False)} within sites"
    kept = listed([view.label(c, unit=False) for c in step.covariates])
    text = f"Harmonise {whole(len(step.of))} features over {over} with ComBat"
    text += f", keeping what goes with {kept}." if step.covariates else "."
    return text + (f" Fitted again without each of {step.folds} folds." if step.folds else "")


def blocks(view: StepView) -> Iterator[Block]:
    """Return who took part, or why nothing was fitted."""
    for part, values in view.parts.items():
        if values.get("note"):
            yield Note(f"{view.title(part)}: {values['note']}.", "warn")
        if "n" in values:
            yield Items(tuple(_entries(values)))


def _entries(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Features", whole(values["n_features"])
    yield "Batches that took part", whole(values["n_batches"])
    yield "Cases fitted", f"{whole(values['n_fitted'])} of {whole(values['n'])}"
    yield "Kept", listed(values["covariates"]) if values["covariates"] else "no covariate"
    constant = values.get("constant") or []
    if constant:
        more = f" and {len(constant) - _MOST} more" if len(constant) > _MOST else ""
        yield "Constant, left as they are", ", ".join(constant[:_MOST]) + more
