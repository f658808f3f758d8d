"""Which features readers measure alike."""

from collections.abc import Iterator

from server.report.blocks import Block, Row, Table, Text
from server.report.numbers import estimate, plural, whole
from server.report.view import StepView

_MOST = 40
_GRADES = "poor below 0.5, moderate below 0.75, good below 0.9, else excellent"


def blocks(view: StepView) -> Iterator[Block]:
    """Return how many features are of which grade, and a table of the features."""
    forms = view.step.forms
    for part, values in view.parts.items():
        head = ("", *values["grades"])
        counts = tuple(whole(n) for n in values["grades"].values())
        about = f"{plural(values['n_features'], 'feature')}, {plural(values['n_raters'], 'reader')}"
        title = f"{view.title(part)} ({about})"
        note = f"By {forms[0]}: {_GRADES} (Koo and Li, J Chiropr Med 15:155, 2016)."
        yield Table(title, head, (Row("Features", counts),), (note,))
        if "selected" in values:
            yield Text(f"{plural(len(values['selected']), 'feature')} went on to later steps.")
        features = list(values["features"].items())
        rows = tuple(
            Row(
                view.label(name),
                (whole(found["n"]), *(estimate(found[form], "estimate", 2) for form in forms)),
            )
            for name, found in features[:_MOST]
        )
        left = len(features) - _MOST
        more = [f"And {plural(left, 'more feature')}: see answers.json."] if left > 0 else []
        notes = (*view.notes(features[:_MOST]), *more)
        columns = ("Feature", "n", *(f"{form} (CI)" for form in forms))
        yield Table(f"Features, {view.title(part)}", columns, rows, notes)
