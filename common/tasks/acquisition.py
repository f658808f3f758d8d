"""How a scanner of lower resolution would have seen an image: settings only.

`common.resolution` carries them out. A study names the model, because what a network can
win back depends on what was taken away.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from common.settings import Frozen


class SliceProfile(Frozen):
    """Every coarse voxel is a weighted mean of the fine ones around it.

    The slice profile of a 2D sequence, or the detector of any scanner: Gaussian as in
    Greenspan, Comput J 52:43 (2009), or a box, which no pulse reaches.
    """

    kind: Literal["slice_profile"] = "slice_profile"
    shape: Literal["gaussian", "box"] = "gaussian"
    width: float = Field(
        1.0, gt=0, le=4, description="in coarse voxels: full width at half maximum, or of the box"
    )


class KSpaceCrop(Frozen):
    """Only the low spatial frequencies are kept, as a faster MR acquisition does.

    The image is taken to go on mirrored beyond its edges, which a cosine transform does:
    nothing wraps around, and the coarse voxels lie in the middle of the fine ones.
    """

    kind: Literal["kspace_crop"] = "kspace_crop"
    window: Literal["none", "hamming"] = Field(
        "none", description="hamming: against ringing, as scanners often do"
    )


Blur: TypeAlias = Annotated[SliceProfile | KSpaceCrop, Field(discriminator="kind")]


class Acquisition(Frozen):
    """The acquisition of the low resolution that is simulated from the stored images."""

    through_plane: Blur = Field(SliceProfile(), description="along z")
    in_plane: Blur = Field(KSpaceCrop(), description="along y and x")
    noise: float = Field(
        0.0,
        ge=0,
        le=1,
        description="standard deviation added to the coarse image, as a share of its own; "
        "drawn once for each case, the same in every step",
    )
