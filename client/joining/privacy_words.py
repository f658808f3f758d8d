"""What a study costs a patient's privacy, in words for the hospital that is to approve it."""

from collections.abc import Iterator
from typing import Any

from common.privacy.renyi import epsilon_of, gaussian
from common.sites import PolicySettings
from common.study import Study
from common.tasks.not_covered import not_covered
from common.tasks.train import Train


def privacy_in_words(study: Study, policy: PolicySettings) -> Iterator[str]:
    """Yield a paragraph for each step that has noise, and what has none."""
    for name, step in study.bound.items():
        if step.kind == "site_shapes":
            yield _shapes(name, step, policy)
    private = {n: s for n, s in study.bound.items() if _target(s) is not None}
    if not private:
        yield (
            "No noise is added, so no epsilon is spent; what protects a patient are the masks and "
            "the smallest counts. Weights of a network can tell of its training data."
        )
        return
    for name, step in private.items():
        yield _one(name, step)
    yield (
        f"Your policy allows epsilon {policy.most_epsilon:g} at delta {policy.budget_delta:g} "
        "for everything ever let out with noise, over all studies; `site audit` says what is "
        "spent. Beyond it this site refuses."
    )
    open_trainings = [
        name
        for name, step in study.bound.items()
        if isinstance(step, Train) and step.privacy is None
    ]
    if open_trainings:
        yield (
            f"NOT protected in this way: {', '.join(open_trainings)}, trained on the same "
            "patients without noise. What is let out there epsilon says nothing about."
        )


def _shapes(name: str, step: Any, policy: PolicySettings) -> str:
    limit = policy.most_shapes_epsilon
    return (
        f"{name}: histograms of this site alone, with noise of epsilon {step.epsilon:g} a column. "
        f"That blurs a patient in one column; over {len(step.of)} columns it adds up to epsilon "
        f"{step.most_epsilon:g}, which hides nobody from one who knows the patient's "
        "other columns. It is in an account of its own, over all runs; your policy "
        + ("sets no limit to it" if limit is None else f"allows {limit:g}")
        + " (most_shapes_epsilon)"
        + (", so this site refuses." if limit is not None and step.most_epsilon > limit else ".")
    )


def _target(step: Any) -> Any:
    privacy = getattr(step, "privacy", None)
    return privacy if privacy is not None else getattr(step, "noise", None)


def _one(name: str, step: Any) -> str:
    target = _target(step)
    text = (
        f"{name}: epsilon {target.epsilon:g}, delta {target.delta:g}. Whoever sees all of it, and "
        "knows everything about a patient but whether they were in it, can be "
        f"{_odds(target.epsilon)} times as sure afterwards as before, at most, but for a chance of "
        f"{target.delta:g}. "
    )
    if isinstance(step, Train):
        text += (
            f"A patient's gradient is clipped to {target.clip_norm:g} and noise is added here, in "
            f"all {step.n_takes} rounds a patient takes part in. "
        )
    else:
        sites = step.noise.multiplier * 2**-0.5
        alone = epsilon_of(gaussian(sites), target.delta)
        text += (
            "Each site adds half of the noise's variance, so that any two sites' are enough; "
            f"this site's own alone would be worth epsilon {alone:.2g}. "
        )
    return text + f"Not covered: {not_covered(step)}."


def _odds(epsilon: float) -> str:
    from math import exp

    return f"{exp(epsilon):.3g}" if epsilon < 12 else "a million and more"
