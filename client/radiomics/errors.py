"""Why a region has no features: a fixed list, so that a cohort can be counted by cause."""

from enum import StrEnum


class Cause(StrEnum):
    """What was wrong with a case."""

    EMPTY_MASK = "empty_mask"
    MASK_OFF_IMAGE = "mask_off_image"
    GEOMETRY_MISMATCH = "geometry_mismatch"
    NOT_FINITE = "not_finite"
    ONE_VOXEL = "one_voxel"
    TOO_SMALL = "too_small"
    RESEGMENTED_AWAY = "resegmented_away"
    ONE_GREY_LEVEL = "one_grey_level"
    TOO_MANY_GREY_LEVELS = "too_many_grey_levels"
    NOT_3D = "not_3d"
    FAILED = "failed"


class RadiomicsError(Exception):
    """A region without features.

    Attributes:
        cause: one of the fixed list; may be counted and released.
        detail: for the site's own log; never sent.
    """

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}" if detail else str(cause))
        self.cause = cause
        self.detail = detail
