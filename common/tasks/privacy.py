"""Privacy of a training's patients: settings only; `client.private_trainer` keeps them."""

from pydantic import Field

from common.settings import Frozen


class Privacy(Frozen):
    """Differential privacy for every patient a site trains on (DP-SGD).

    Abadi et al., Deep learning with differential privacy, CCS 2016. The unit is the
    patient, not the image: a step takes each patient of the site with the same chance,
    and all that is drawn of one patient makes one gradient, clipped to `clip_norm`; normal
    noise is added at the site, so that nobody else has to be trusted with it. The noise is
    chosen so that the whole training, all its rounds, costs a patient at most `epsilon`.

    Not protected: the number of patients, and what validation tells of the patients of the
    split "validation", who never train.
    """

    epsilon: float = Field(gt=0, le=100, description="largest privacy loss of the training")
    delta: float = Field(
        1e-5, gt=0, le=1e-3, description="chance with which it may be larger; below 1 / patients"
    )
    clip_norm: float = Field(1.0, gt=0, description="largest norm of one patient's gradient")
