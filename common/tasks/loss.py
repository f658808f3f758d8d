"""What a segmentation network minimises: settings; `common.networks.loss` computes."""

from typing import Self

from pydantic import Field, model_validator

from common.settings import Frozen

IGNORED = 255
"""The class of voxels whose label nobody knows: the loss passes over them."""


class Loss(Frozen):
    """A weighted sum of soft Dice loss and cross-entropy."""

    dice: float = Field(1.0, ge=0, description="weight of 1 - soft Dice, mean of labels")
    cross_entropy: float = Field(1.0, ge=0, description="weight of the cross-entropy")
    batch_dice: bool = Field(
        False, description="Dice over the batch as one image: steadier for small targets"
    )
    smoothing: float = Field(0.0, ge=0, lt=1, description="of the labels, in the cross-entropy")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.dice == 0 and self.cross_entropy == 0:
            raise ValueError("expected dice or cross_entropy above 0, got 0 for both")
        return self
