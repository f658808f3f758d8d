"""Cut-offs of a marker compared by the log-rank test, and the best one in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Note, Row, Table
from server.report.numbers import fixed, p_value, significant, whole
from server.report.view import StepView

_ADJUSTED = {
    "p_lausen_schumacher": "Lausen and Schumacher",
    "p_improved_bonferroni": "improved Bonferroni",
    "p_contal_o_quigley": "Contal and O'Quigley",
}


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part and stratum the cut-offs, and which is the best."""
    for part, values in view.parts.items():
        for stratum, scan in values["strata"].items():
            title = view.title(part)
            if len(values["strata"]) > 1:
                title += f", {view.label(view.step.by, unit=False)} {stratum}"
            if scan.get("cutoffs"):
                yield _table(scan, title)
            else:
                yield Note(f"{title}: {scan.get('note') or 'no cut-off to look at'}.", "warn")


def _table(scan: Mapping[str, Any], title: str) -> Table:
    head = ("Cut-off", "n below", "n at or above", "Hazard ratio", "Chi-square", "p, not adjusted")
    rows = tuple(
        Row(
            significant(float(one["cutoff"])),
            (
                whole(one.get("n_below")),
                whole(one.get("n_above")),
                fixed(one.get("hazard_ratio"), 2),
                fixed(one.get("chi2"), 2),
                p_value(one.get("p")),
            ),
        )
        for one in scan["cutoffs"]
    )
    notes = []
    if best := scan.get("best"):
        ps = "; ".join(f"{name} p {p_value(best.get(k))}" for k, name in _ADJUSTED.items())
        notes.append(
            f"Best cut-off: {significant(float(best['cutoff']))}, the one with the largest "
            f"chi-square. Adjusted for having been chosen: {ps}."
        )
    notes.append("A hazard ratio at a cut-off chosen on the same cases is too far from one.")
    about = f"{title}: n = {whole(scan.get('n'))}, {whole(scan.get('events'))} events"
    return Table(f"Cut-offs, {about}", head, rows, tuple(notes))
