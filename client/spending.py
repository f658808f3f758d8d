"""What a private training takes of its patients' privacy, and how much noise that needs."""

from dataclasses import asdict, dataclass
from math import ceil

from common.tasks.local import Local
from common.tasks.privacy import Privacy


@dataclass(frozen=True, slots=True)
class Spending:
    """What one round of private training takes: the accountant's view of it.

    Attributes:
        noise: standard deviation of the noise, in units of `clip_norm`.
        rate: chance with which a step takes a patient.
        steps: of the round.
    """

    noise: float
    rate: float
    steps: int

    def as_values(self) -> dict[str, float]:
        """Return it as the audit log keeps it."""
        return asdict(self)


def plan(privacy: Privacy, local: Local, n_patients: int, n_rounds: int) -> Spending:
    """Return what each of a training's rounds may take so that all cost `epsilon`.

    Args:
        privacy: the target.
        local: batch and steps or epochs; an epoch takes every patient once on average.
        n_patients: of this site that train.
        n_rounds: in which a patient takes part.

    Raises:
        ValueError: delta is no smaller than 1 / patients.
    """
    from opacus.accountants.utils import get_noise_multiplier

    if privacy.delta >= 1 / n_patients:
        raise ValueError(
            f"privacy.delta: expected less than 1 / {n_patients} patients, got {privacy.delta:g}"
        )
    rate = min(1.0, local.batch / n_patients)
    steps = local.steps or local.epochs * ceil(n_patients / local.batch)
    noise: float = get_noise_multiplier(
        target_epsilon=privacy.epsilon,
        target_delta=privacy.delta,
        sample_rate=rate,
        steps=steps * n_rounds,
        accountant="rdp",
    )
    return Spending(noise, rate, steps)
