"""The settings of a PyRadiomics parameter file, with their defaults and ranges.

Names in a file are those of PyRadiomics; a value that was not written has the
default that PyRadiomics 3.0.1 uses.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from common.radiomics.names import INTERPOLATORS
from common.settings import Frozen, nearest

# An integer stays one: PyRadiomics calls sigma 1 "log-sigma-1-mm-3D", not "1-0".
Number = int | float
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]

_ALIASES = {"force2d": "force2D", "force2d_dimension": "force2Ddimension", "gldm_a": "gldm_a"}
_PLAIN = {"label_channel", "start_level"}


def _alias(name: str) -> str:
    if name in _PLAIN:
        return name
    if name in _ALIASES:
        return _ALIASES[name]
    if name.startswith("lbp"):
        return name[:3] + name[3] + "D" + to_camel(name[6:])[:1].upper() + to_camel(name[6:])[1:]
    return to_camel(name).replace("Roi", "ROI").replace("Glcm", "GLCM")


class Settings(Frozen):
    """Every key below `setting` and below an image type; see PyRadiomics' manual.

    Attributes:
        bin_width: width of a grey level, in the image's own unit.
        resampled_pixel_spacing: x, y, z in mm; 0 keeps the mask's own.
        pad_distance: voxels kept around the region when the image is resampled or cropped.
        sigma: widths of the Laplacian of Gaussian, in mm.
    """

    model_config = ConfigDict(alias_generator=_alias, validate_by_alias=True)

    minimum_roi_dimensions: Annotated[int, Field(ge=1, le=3)] = 2
    minimum_roi_size: Annotated[int, Field(gt=0)] | None = None
    geometry_tolerance: Positive | None = None
    correct_mask: bool = False
    additional_info: bool = True
    label: Annotated[int, Field(gt=0)] = 1
    label_channel: Annotated[int, Field(ge=0)] = 0
    bin_width: Positive = 25
    bin_count: Annotated[int, Field(gt=0)] | None = None
    normalize: bool = False
    normalize_scale: Positive = 1
    remove_outliers: Positive | None = None
    resampled_pixel_spacing: tuple[NotNegative, ...] | None = None
    interpolator: str | int | None = "sitkBSpline"
    pad_distance: Annotated[int, Field(ge=0)] = 5
    distances: tuple[Annotated[int, Field(gt=0)], ...] = (1,)
    force2d: bool = False
    force2d_dimension: Annotated[int, Field(ge=0, le=2)] = 0
    resegment_range: tuple[Number, ...] | None = None
    resegment_mode: Literal["absolute", "relative", "sigma"] = "absolute"
    resegment_shape: bool = False
    pre_crop: bool = False
    sigma: tuple[Positive, ...] = ()
    start_level: Annotated[int, Field(ge=0)] = 0
    level: Annotated[int, Field(gt=0)] = 1
    wavelet: str = "coif1"
    gradient_use_spacing: bool = True
    lbp2d_radius: Positive = 1
    lbp2d_samples: Annotated[int, Field(ge=1)] = 8
    lbp2d_method: Literal["default", "ror", "uniform", "var"] = "uniform"
    voxel_array_shift: int = 0
    symmetrical_glcm: bool = True
    weighting_norm: Literal["euclidean", "manhattan", "infinity", "no_weighting"] | None = None
    gldm_a: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, data: Any) -> Any:
        # "resampledPixelSpacing:" with nothing behind it means "not set" in PyRadiomics' files.
        if not isinstance(data, dict):
            return data
        fields = {_alias(name): field for name, field in cls.model_fields.items()}
        return {
            key: value
            for key, value in data.items()
            if value is not None
            or key not in fields
            or fields[key].default is None
            or key == "interpolator"
        }

    @field_validator("interpolator")
    @classmethod
    def _known_interpolator(cls, value: str | int | None) -> str | int | None:
        if isinstance(value, int) and not 1 <= value <= 10:
            raise ValueError(f"expected 1-10 or a name, got {value}")
        if isinstance(value, str) and value not in INTERPOLATORS:
            raise ValueError(f'unknown interpolator "{value}"{nearest(value, list(INTERPOLATORS))}')
        return value

    @field_validator("wavelet")
    @classmethod
    def _known_wavelet(cls, value: str) -> str:
        import pywt

        known = list(pywt.wavelist(kind="discrete"))
        if value not in known:
            raise ValueError(f'unknown wavelet "{value}"{nearest(value, known)}')
        return value

    @field_validator("resegment_range")
    @classmethod
    def _one_or_two(cls, value: tuple[Number, ...] | None) -> tuple[Number, ...] | None:
        if value is not None and not 1 <= len(value) <= 2:
            raise ValueError(f"expected one or two thresholds, got {len(value)}")
        return value

    @field_validator("resampled_pixel_spacing")
    @classmethod
    def _three(cls, value: tuple[Number, ...] | None) -> tuple[Number, ...] | None:
        if value is not None and len(value) != 3:
            raise ValueError(f"expected three numbers [x, y, z], got {len(value)}")
        return value

    @field_validator("distances")
    @classmethod
    def _not_empty(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value:
            raise ValueError("expected at least one distance")
        return value

    def is_one_grey_level_of_lbp(self) -> bool:
        """Tell whether all a uniform local binary pattern can be, 0 to samples + 1, is one bin."""
        uniform = self.lbp2d_method == "uniform" and self.bin_count is None
        return uniform and self.bin_width > self.lbp2d_samples + 1

    def as_pyradiomics(self) -> dict[str, Any]:
        """Return every setting under PyRadiomics' name, tuples as lists."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in self.model_dump(by_alias=True).items()
        }
