"""A radiomics profile: what a study extracts from a region, read from a parameter file.

A parameter file of PyRadiomics is accepted as it is. What PyRadiomics would pass over
with a line in its log, so that features are missing without an error, is a mistake here.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from common.radiomics.names import FEATURES, IMAGE_TYPES, ON_REQUEST, WITHDRAWN
from common.radiomics.settings import Settings
from common.salvage import Path, refuse_all
from common.settings import Frozen, nearest, parse

# Part of every fingerprint: raise it whenever a feature's value may change.
ENGINE_VERSION = "1"

# These are applied before any filter, so that one image type cannot have its own.
_BEFORE_FILTERS = {
    "normalize", "normalizeScale", "removeOutliers", "resampledPixelSpacing", "interpolator",
    "padDistance", "preCrop", "resegmentRange", "resegmentMode", "resegmentShape", "label",
    "label_channel", "correctMask", "geometryTolerance", "minimumROIDimensions",
    "minimumROISize", "additionalInfo",
}  # fmt: skip


_GIVES_NOTHING = {"LBP3D": "as PyRadiomics 3.0.1 needs functions that SciPy has taken out"}


def _empty_for_none(value: Any) -> Any:
    return {} if value is None else value


def _all_for_none(value: Any) -> Any:
    return () if value is None else value


Override = Annotated[Settings, BeforeValidator(_empty_for_none)]
Chosen = Annotated[tuple[str, ...], BeforeValidator(_all_for_none)]


class Profile(Frozen):
    """What is extracted, and how.

    Attributes:
        setting: settings that hold for all image types.
        image_type: image types, each with the settings it overrides.
        feature_class: feature classes, each with the features chosen; none chosen means all.
        ibsi: resample, round and place the grey levels as the IBSI standard does
            (Zwanenburg et al., Radiology 295:328, 2020), not as PyRadiomics does.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    setting: Annotated[Settings, BeforeValidator(_empty_for_none)] = Settings()
    image_type: Mapping[str, Override] = Field(default={}, alias="imageType")
    feature_class: Mapping[str, Chosen] = Field(default={}, alias="featureClass")
    ibsi: bool = False
    voxel_setting: None = Field(default=None, alias="voxelSetting", exclude=True)

    @field_validator("voxel_setting", mode="before")
    @classmethod
    def _no_maps(cls, value: Any) -> None:
        if value:
            raise ValueError("maps of features, voxel by voxel, are not extracted here")

    @model_validator(mode="after")
    def _nothing_is_left_out_in_silence(self) -> "Profile":
        refuse_all([*self._image_mistakes(), *self._class_mistakes(), *self._ibsi_mistakes()])
        return self

    def images(self) -> dict[str, Settings]:
        """Return each image type with its complete settings; Original if none is named."""
        base = self.setting.model_dump(by_alias=True, exclude_unset=True)
        return {
            name: Settings.model_validate(base | own.model_dump(by_alias=True, exclude_unset=True))
            for name, own in (self.image_type or {"Original": Settings()}).items()
        }

    def features(self) -> dict[str, tuple[str, ...]]:
        """Return each feature class with the names of its features, in PyRadiomics' order."""
        chosen = self.feature_class or {name: () for name in FEATURES if name != "shape2D"}
        return {name: tuple(features) or FEATURES[name] for name, features in chosen.items()}

    def fingerprint(self) -> str:
        """Return the sha256 of all that decides a value: settings, features, engine version.

        Two files that differ only in order, comments or written-out defaults have the same.
        """
        aside = {"additionalInfo", "label"}
        canonical = {
            "engine": ENGINE_VERSION,
            "ibsi": self.ibsi,
            "images": {
                name: {k: v for k, v in own.as_pyradiomics().items() if k not in aside}
                for name, own in self.images().items()
            },
            "features": {name: sorted(names) for name, names in self.features().items()},
        }
        text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def as_pyradiomics(self) -> dict[str, Any]:
        """Return the dictionary that PyRadiomics' extractor takes."""
        setting = self.setting.as_pyradiomics()
        return {
            "setting": {key: value for key, value in setting.items() if value is not None},
            "imageType": {
                name: Settings.model_validate(own).model_dump(
                    by_alias=True, exclude_unset=True, mode="json"
                )
                for name, own in (self.image_type or {"Original": Settings()}).items()
            },
            "featureClass": {name: list(names) for name, names in self.features().items()},
        }

    def _image_mistakes(self) -> Iterator[tuple[Path, str]]:
        for name, own in self.image_type.items():
            at: Path = ("imageType", name)
            if name not in IMAGE_TYPES:
                yield at, f'unknown image type "{name}"{nearest(name, list(IMAGE_TYPES))}'
                continue
            if name in _GIVES_NOTHING:
                yield at, f"gives no features {_GIVES_NOTHING[name]}, without an error"
            written = set(own.model_dump(by_alias=True, exclude_unset=True))
            for key in sorted(written & _BEFORE_FILTERS):
                yield (*at, key), "has no effect here, write it below setting"
            if name == "LBP2D" and self.images()[name].is_one_grey_level_of_lbp():
                yield (*at, "binWidth"), "grey levels are 0, 1, 2 ...: write binWidth: 1 here"
            if name == "LoG" and not (own.sigma or self.setting.sigma):
                yield (*at, "sigma"), "missing; for instance sigma: [1.0, 3.0]"

    def _class_mistakes(self) -> Iterator[tuple[Path, str]]:
        for name, features in self.feature_class.items():
            at: Path = ("featureClass", name)
            if name not in FEATURES:
                yield at, f'unknown feature class "{name}"{nearest(name, list(FEATURES))}'
                continue
            if name == "shape2D" and not self.setting.force2d:
                yield at, "needs force2D: true below setting"
            for i, feature in enumerate(features):
                if wrong := _wrong_feature(name, feature):
                    yield (*at, i), wrong

    def _ibsi_mistakes(self) -> Iterator[tuple[Path, str]]:
        at: Path = ("ibsi",)
        if self.ibsi and self.setting.bin_count is None and self.setting.resegment_range is None:
            yield (
                at,
                "true with a fixed bin width needs resegmentRange: its lower bound is where "
                "the grey levels begin",
            )
        if self.ibsi and self.setting.resegment_mode != "absolute":
            yield at, "true needs resegmentMode: absolute"
        if self.ibsi and (self.setting.normalize or self.setting.pre_crop):
            yield at, "true goes neither with normalize nor with preCrop"


def _wrong_feature(of: str, feature: str) -> str:
    """Return what is wrong with the name of a feature of a class, or ""."""
    if feature in WITHDRAWN.get(of, {}):
        return f"{feature} was withdrawn, it equals {WITHDRAWN[of][feature]}"
    known = [*FEATURES[of], *ON_REQUEST.get(of, ())]
    return "" if feature in known else f'unknown feature "{feature}"{nearest(feature, known)}'


def read_profile(text: str, file: str = "profile") -> Profile:
    """Return the profile that a parameter file declares.

    Args:
        text: YAML or JSON, as PyRadiomics reads it, and optionally `ibsi: true`.
        file: its name, for messages only.

    Raises:
        ConfigError: with every mistake found; an unknown key with the nearest known one.
    """
    return parse(Profile, text, file)
