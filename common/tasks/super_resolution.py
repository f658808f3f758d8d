"""The task of making images finer: what it reads, learns and is scored by.

Plain settings from a study file. Torch is imported only where a network is built.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from common.cohort import Column, Image, ImageRef
from common.holdings import Holdings
from common.metrics.likeness import MOST_DB
from common.salvage import Path, refuse_all
from common.settings import Frozen
from common.step import Said
from common.tasks.acquisition import Acquisition
from common.tasks.recipe import is_orientation
from common.tasks.section import is_volume, place_of

if TYPE_CHECKING:
    from common.networks.super_resolver import Adversaries

Count = Annotated[int, Field(ge=1, le=4096)]
Factor = Literal[1, 2]
Patch = Annotated[int, Field(ge=8, le=512)]
Interpolation = Literal["linear", "bspline"]

INTERPOLATIONS: tuple[Interpolation, ...] = ("linear", "bspline")


class GeneratorSettings(Frozen):
    """Residual blocks at the coarse grid, then one step up; added to the B-splines."""

    kind: Literal["residual"] = "residual"
    channels: Count = 24
    blocks: int = Field(4, ge=1, le=64)


class DiscriminatorSettings(Frozen):
    """Strided convolutions that judge patches."""

    channels: tuple[Count, ...] = Field((8, 16, 32), min_length=1)
    kept: Literal["site", "shared"] = Field(
        "site",
        description="site: it never leaves, every site trains its own against the common "
        "generator; shared: averaged over sites as the generator is",
    )
    learning_rate: float = Field(1e-3, gt=0)
    begin: int = Field(0, ge=0, description="round from which it is trained and counts")


class Losses(Frozen):
    """Weights of what the generator minimises; 0 leaves a part out."""

    pixel: float = Field(1.0, gt=0, description="mean absolute difference of voxels")
    perceptual: float = Field(0.05, ge=0, description="the same of features")
    features: Literal["random", "discriminator"] = Field(
        "random", description="of fixed random filters, or what the discriminator has learned"
    )
    adversarial: float = Field(0.002, ge=0, description="to be taken for an original")

    @property
    def needs_discriminator(self) -> bool:
        """Whether a discriminator is trained at all."""
        return self.adversarial > 0 or (self.perceptual > 0 and self.features == "discriminator")


class SuperResolution(Frozen):
    """Make an image twice as fine, through the slices, in them, or both.

    A network is trained on pairs of a stored image and the coarser one that `acquisition`
    makes of it. It is applied to the same simulation, where it can be scored against the
    original, or, with `apply_to`, to an image that was acquired coarser.
    """

    # Two networks with losses of their own: noise on one step does not cover them.
    allows_privacy: ClassVar[bool] = False

    kind: Literal["super_resolution"] = "super_resolution"
    image: ImageRef = Field(description="of high resolution: what the network shall make")
    apply_to: ImageRef | None = Field(
        None,
        description="an image of the cohort that predict makes finer; nothing: what "
        "acquisition makes of `image`",
    )
    finer: tuple[Factor, Factor, Factor] = Field(
        (2, 2, 2), description="fine voxels to a coarse one, (z, y, x); z counts slices"
    )
    orientation: str = Field(
        "as_stored",
        description="the axes that finer speaks of: as stored, or where x, y and z run to, "
        'such as "RAS"',
    )
    acquisition: Acquisition = Acquisition()
    patch: tuple[Patch, Patch, Patch] = Field(
        (24, 24, 24), description="fine voxels seen at once in training, (z, y, x)"
    )
    tile: Patch = Field(96, description="fine voxels an axis computed at once in prediction")
    flip: tuple[Literal["z", "y", "x"], ...] = Field((), description="axes mirrored at random")
    network: GeneratorSettings = GeneratorSettings()
    discriminator: DiscriminatorSettings = DiscriminatorSettings()
    losses: Losses = Losses()
    also: tuple[Interpolation, ...] = Field(
        (), description="interpolated images that predict makes beside the finer one"
    )
    panels: bool = Field(
        True, description="pictures of each case in the site's workspace; they never leave it"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse_all([*self._wrong_sizes(), *self._wrong_discriminator()])
        return self

    def _wrong_sizes(self) -> Iterator[tuple[Path, str]]:
        if self.orientation != "as_stored" and not is_orientation(self.orientation):
            yield (
                ("orientation",),
                'expected "as_stored" or one letter each of L/R, P/A and S/I, '
                f'got "{self.orientation}"',
            )
        if max(self.finer) == 1:
            yield ("finer",), "expected a 2 for one axis at least, got [1, 1, 1]"
        if self.apply_to == self.image:
            yield ("apply_to",), f'"{self.image}" is the image of high resolution itself'
        for name, sizes in (("patch", self.patch), ("tile", (self.tile,) * 3)):
            if any(n % f for n, f in zip(sizes, self.finer, strict=True)):
                why = f"expected multiples of finer {list(self.finer)}, got {list(sizes)}"
                yield (name,), why

    def _wrong_discriminator(self) -> Iterator[tuple[Path, str]]:
        """Yield what is written of a discriminator that there is none of, and the reverse."""
        given = "discriminator" in self.model_fields_set
        levels = len(self.discriminator.channels)
        if self.losses.needs_discriminator and min(self.patch) < 2**levels:
            why = f"expected {2**levels} or more for the discriminator's {levels} levels"
            yield ("patch",), why
        if given and not self.losses.needs_discriminator:
            yield (
                ("discriminator",),
                "nothing learns from it, as losses.adversarial is 0 and losses.features is "
                "random; leave it out",
            )
        written = self.losses.model_fields_set
        for field, used in (
            ("adversarial", self.losses.adversarial > 0),
            ("features", self.losses.features == "discriminator" and self.losses.perceptual > 0),
        ):
            if used and field in written and not given:
                why = f"{getattr(self.losses, field)}: needs a discriminator, and none is described"
                yield ("losses", field), f"{why}; `discriminator: {{}}` takes one as it comes"

    def reads(self) -> tuple[str, ...]:
        """Return the image to learn from, and the one to apply it to."""
        return (self.image,) if self.apply_to is None else (self.image, self.apply_to)

    def columns(self) -> tuple[str, ...]:
        """Return nothing: it reads no column."""
        return ()

    def purpose(self, known: Holdings) -> str:
        """Return which axes of what are made finer."""
        del known
        axes = [axis for axis, factor in zip("zyx", self.finer, strict=True) if factor > 1]
        return f"makes {self.image} twice as fine along {', '.join(axes)}"

    def problems(self, known: Holdings) -> Iterator[Said]:
        """Yield where an image is no volume, or the two are not of one modality."""
        for field, name in (("image", self.image), ("apply_to", self.apply_to)):
            if name and not is_volume(name, known):
                yield (field,), f'"{name}" is {place_of(name, known)}, expected a volume'
        if self.apply_to is None:
            return
        kinds = {name: known.images[name].modality for name in self.reads()}
        if len(set(kinds.values())) > 1:
            yield ("apply_to",), f"expected an image of the same modality, got {kinds}"

    def score_names(self, known: Holdings) -> tuple[str, ...]:
        """Return what validation tells: the PSNR."""
        del known
        return ("psnr_db",)

    def made(self, known: Holdings) -> Holdings:
        """Return the scores of a case, its finer image and the interpolations beside it."""
        image = known.images.get(self.apply_to or self.image)
        if image is None:
            return Holdings()
        made = Image(modality=image.modality, unit=image.unit, required=False)
        return Holdings(self.score_columns(), dict.fromkeys(("fine", *self.also), made))

    def network_for(self, known: Holdings) -> "Adversaries":
        """Return what sites exchange: the generator, and a discriminator that is shared."""
        del known
        return self.build()

    def build(self) -> "Adversaries":
        """Return the networks; their weights are still to be set."""
        from common.networks.super_resolver import Adversaries, Discriminator, Generator

        generator = Generator(
            channels=self.network.channels, blocks=self.network.blocks, factors=self.finer
        )
        shared = self.losses.needs_discriminator and self.discriminator.kept == "shared"
        judge = Discriminator(self.discriminator.channels) if shared else None
        return Adversaries(generator, judge)

    def score_columns(self) -> dict[str, Column]:
        """Return the columns that a prediction adds to a case.

        PSNR and SSIM of the network and of both interpolations against the original, and
        by how many dB the network is above B-splines.
        """
        db = Column(type="number", unit="dB", range=(0, MOST_DB))
        share = Column(type="number", range=(-1, 1))
        columns = {"psnr_db": db, "ssim": share}
        for name in INTERPOLATIONS:
            columns |= {f"psnr_db_{name}": db, f"ssim_{name}": share}
        gain = Column(type="number", unit="dB", range=(-MOST_DB, MOST_DB))
        return columns | {"gain_db": gain}
