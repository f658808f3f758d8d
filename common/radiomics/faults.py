"""Why a case gave no features. A fixed list: its counts may leave a site."""

from enum import StrEnum


class Fault(StrEnum):
    """What is the matter with a case or one of its regions."""

    IMAGE_MISSING = "image_missing"
    IMAGE_UNREADABLE = "image_unreadable"
    IMAGE_NOT_FINITE = "image_not_finite"
    MASK_MISSING = "mask_missing"
    MASK_UNREADABLE = "mask_unreadable"
    MASK_EMPTY = "mask_empty"
    MASK_OTHER_GRID = "mask_other_grid"
    MASK_OFF_IMAGE = "mask_off_image"
    REGION_TOO_SMALL = "region_too_small"
    REGION_CUT_AWAY = "region_cut_away"
    ONE_GREY_LEVEL = "one_grey_level"
    TOO_MANY_GREY_LEVELS = "too_many_grey_levels"
    OUT_OF_UNIT = "out_of_unit"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    FAILED = "failed"


class Faulty(Exception):
    """A case or region cannot be worked on.

    Attributes:
        fault: the one word that is counted.
        detail: for the site's own people; never sent.
    """

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(f"{fault}: {detail}" if detail else str(fault))
        self.fault = fault
        self.detail = detail

    def __reduce__(self) -> tuple[type["Faulty"], tuple[Fault, str]]:
        """Come whole through the pipe from a worker."""
        return type(self), (self.fault, self.detail)
