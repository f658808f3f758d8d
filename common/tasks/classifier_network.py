"""Settings of the networks that tell classes; torch is imported only to build one."""

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from common.settings import Frozen
from common.tasks.strides import steps_of

if TYPE_CHECKING:
    from common.networks.residual_classifier import ResidualClassifier

Count = Annotated[int, Field(ge=1, le=4096)]


class ResidualClassifierSettings(Frozen):
    """Residual blocks that become coarser, a pooled feature each, one linear head."""

    kind: Literal["residual_classifier"] = "residual_classifier"
    channels: tuple[Count, ...] = Field(
        (16, 32, 64, 128), min_length=1, description="of each level, the finest first"
    )
    blocks: tuple[Annotated[int, Field(ge=1, le=64)], ...] | None = Field(
        None, description="residual blocks of each level; nothing: one each"
    )
    strides: tuple[Count | tuple[Count, ...], ...] | None = Field(
        None,
        description="how much coarser each level is than the one before, one number or "
        "one an axis; nothing: 1, 2, 2, ...",
    )
    sequences: Literal["channels", "branches"] = Field(
        "channels", description="branches: an encoder of its own for every image"
    )
    pool: Literal["mean", "max", "both"] = Field("mean", description="of a map of features")
    norm: Literal["instance", "group", "batch"] = Field(
        "group", description="batch: averaged over sites, and not with privacy noise"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="share of features before the head")
    clinical: int = Field(16, ge=1, le=1024, description="features made of the columns")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        n = len(self.channels)
        for name in ("blocks", "strides"):
            value = getattr(self, name)
            if value is not None and len(value) != n:
                raise ValueError(
                    f"{name}: expected one for each of the {n} channels, got {len(value)}"
                )
        return self

    def steps(self, dimensions: int) -> list[tuple[int, ...]]:
        """Return the stride of every level for every axis.

        Raises:
            ValueError: a level has another number of axes.
        """
        return steps_of(self.strides, len(self.channels), dimensions)

    def build(
        self, n_in: int, n_columns: int, n_classes: int, dimensions: Literal[2, 3]
    ) -> "ResidualClassifier":
        """Return the network; its weights are still to be set."""
        from common.networks.residual_classifier import Clinical, Encoder, ResidualClassifier
        from common.networks.residual_unet import Kit

        kit = Kit(dimensions, norm=self.norm, dropout=0.0, n_convs=(2, 2))
        apart = self.sequences == "branches"
        encoders = [
            Encoder(
                1 if apart else n_in,
                channels=self.channels,
                blocks=self.blocks or (1,) * len(self.channels),
                strides=self.steps(dimensions),
                kit=kit,
            )
            for _ in range(n_in if apart else 1)
        ]
        clinical = Clinical(n_columns, self.clinical, self.dropout) if n_columns else None
        return ResidualClassifier(
            encoders,
            clinical=clinical,
            n_classes=n_classes,
            pool=self.pool,
            dropout=self.dropout,
        )
