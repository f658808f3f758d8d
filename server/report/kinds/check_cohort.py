"""The flow of cases: screened, left out and why, included, split."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Row, Table
from server.report.numbers import NONE, is_number, whole
from server.report.table_one import HIDDEN
from server.report.view import StepView

_SPLITS = {"train": "training", "validation": "validation", "test": "test", "none": "no split"}


def sentence(view: StepView) -> str:
    """Say what is counted."""
    del view
    return (
        "Every site checks its cases against the study's data contract; what does not "
        "fit is left out, and counted by reason."
    )


def blocks(view: StepView) -> Iterator[Block]:
    """Return one column a part, from screened cases down to the splits."""
    parts = list(view.parts.values())

    def row(head: str, *path: str, form: Any = "") -> Row:
        return Row(head, tuple(_count(values, path) for values in parts), form)

    codes = dict.fromkeys(c for v in parts for c in v.get("excluded", {}))
    splits = dict.fromkeys(s for v in parts for s, n in v.get("splits", {}).items() if n != 0)
    rows = [row("Screened", "n_screened")]
    if codes:
        rows.append(Row("Left out", form="group"))
        rows += [row(c.replace("_", " "), "excluded", c, form="level") for c in codes]
    rows += [row("Included", "n_included", form="total"), row("Patients", "n_patients")]
    if splits:
        rows.append(Row("Split by patient", form="group"))
        rows += [row(_SPLITS.get(s, s), "splits", s, form="level") for s in splits]
    head = ("Cases", *(view.title(part) for part in view.parts))
    yield Table("Flow of cases", head, tuple(rows))


def _count(values: Mapping[str, Any], path: tuple[str, ...]) -> str:
    found: Any = values
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return NONE
        found = found[key]
    return whole(found) if is_number(found) else HIDDEN
