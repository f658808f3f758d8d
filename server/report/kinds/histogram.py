"""What a histogram counts, and with how much noise; its bars are shown as plain tables."""

from server.report.numbers import is_number, significant
from server.report.view import StepView
from server.report.words import listed


def sentence(view: StepView) -> str:
    """Say what is counted; with noise, what it costs a patient and how large it is."""
    names = listed([view.label(c, unit=False) for c in view.step.of])
    text = f"Count the values of {names} in bins"
    if view.step.by is not None:
        text += f", apart for the levels of {view.label(view.step.by, unit=False)}"
    if view.step.noise is None:
        return f"{text}; bins are merged until each holds nobody or at least five."
    noise = view.step.noise
    text += (
        f". Every site adds random noise to its counts before they leave: whether a patient was "
        f"there at all changes what is seen here by at most epsilon {noise.epsilon:g}, but for a "
        f"chance of {noise.delta:g} (delta). A patient counts once."
    )
    for part, values in view.parts.items():
        sd = values.get("noise", {}).get("sd")
        if is_number(sd):
            text += (
                f" {view.title(part)}: the noise on every count has a standard deviation of "
                f"{significant(sd)}, so differences below about {significant(2 * sd)} mean nothing."
            )
    return text
