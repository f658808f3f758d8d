"""Random changes of training images: settings only; `client.augment` makes them."""

from typing import Annotated, Literal

from pydantic import Field

from common.settings import Frozen

Share = Annotated[float, Field(ge=0, lt=1)]


class Augmentation(Frozen):
    """How far training images are changed at most; 0 switches a change off.

    The defaults suit MR images. Grey levels are changed after normalisation, where 1
    is about one standard deviation. All changes of the grid are made in one
    interpolation.
    """

    rotation_deg: float = Field(14.0, ge=0, le=180, description="about every axis")
    scale: Share = Field(0.15, description="larger or smaller by up to this share")
    stretch: Share = Field(0.0, description="the same for every axis on its own")
    shift: Share = Field(0.05, description="share of what the network sees")
    elastic_mm: float = Field(0.0, ge=0, description="standard deviation of a bending")
    elastic_points: int = Field(4, ge=2, le=32, description="its control points an axis")
    flip: tuple[Literal["z", "y", "x"], ...] = Field((), description="mirrored axes")
    contrast: Share = Field(0.15, description="grey levels times 1 +- this")
    brightness: float = Field(0.15, ge=0, description="grey levels plus or minus this")
    gamma: Share = Field(0.0, description="exponent 1 +- this, on levels in 0 to 1")
    bias: float = Field(0.0, ge=0, description="smooth factor 1 +- about this (MR coil)")
    noise: float = Field(0.1, ge=0, description="largest standard deviation of noise")
