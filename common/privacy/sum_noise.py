"""Noise on the sums of a statistic, shared between sites: settings and sizes only."""

from math import sqrt

from pydantic import Field

from common.privacy.renyi import noise_for
from common.settings import Frozen

_HONEST = 2  # of the sites in a sum; so many are left when all but two tell what they know


class SumNoise(Frozen):
    """Differential privacy of a statistic for every patient (Gaussian mechanism).

    Dwork and Roth, The algorithmic foundations of differential privacy, 2014, appendix A.
    Each site adds normal noise to its own sums, so that nobody else has to be trusted
    with it. No two of them need to know each other's: any two sites' noise together is
    what `epsilon` asks for. So it suffices when all but two sites of a sum tell the
    coordinator what they added; a sum over S sites has S / 2 times that variance.

    Not protected: that a site takes part, and what follows from its refusals.
    """

    epsilon: float = Field(
        gt=0,
        le=4,
        description="privacy loss of the step; at most 4, so that the noise hides small cells",
    )
    delta: float = Field(
        1e-5, gt=0, le=1e-3, description="chance with which it may be larger; below 1 / patients"
    )

    @property
    def multiplier(self) -> float:
        """Standard deviation that is needed, in units of what one patient can change."""
        return noise_for(self.epsilon, self.delta)

    def sd_of_site(self, sensitivity: float) -> float:
        """Return the standard deviation of the noise that one site adds to each sum.

        Args:
            sensitivity: Euclidean norm of what one patient can change in all sums together.
        """
        return self.multiplier * sensitivity / sqrt(_HONEST)

    def sd_of_total(self, sensitivity: float, n_sites: int) -> float:
        """Return the standard deviation of the noise in each total over `n_sites`."""
        return self.sd_of_site(sensitivity) * sqrt(n_sites)
