"""What a case has, by name: of the study's contract, or made by its steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.cohort import Cohort, Column, Image, Mask


@dataclass(frozen=True)
class Holdings:
    """Declarations of columns, images and masks.

    A step's products are named `<step>.<name>` once the step stands in a study.

    Attributes:
        columns: type, unit, range and levels of each.
        images: modality and unit of each.
        masks: labels of each, and the image whose grid it shares.
    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    images: Mapping[str, Image] = field(default_factory=dict)
    masks: Mapping[str, Mask] = field(default_factory=dict)

    def prefixed(self, prefix: str) -> "Holdings":
        """Return them with `<prefix>.` before every name."""
        return Holdings(
            {f"{prefix}.{name}": column for name, column in self.columns.items()},
            {f"{prefix}.{name}": image for name, image in self.images.items()},
            {f"{prefix}.{name}": self._placed(mask, prefix) for name, mask in self.masks.items()},
        )

    def _placed(self, mask: Mask, prefix: str) -> Mask:
        """Return a mask, on the prefixed image where it lies on one of these."""
        on = f"{prefix}.{mask.on}" if mask.on in self.images else mask.on
        return mask.model_copy(update={"on": on})

    def __or__(self, other: "Holdings") -> "Holdings":
        """Return both; of two with the same name the other's."""
        return Holdings(
            {**self.columns, **other.columns},
            {**self.images, **other.images},
            {**self.masks, **other.masks},
        )


def of_cohort(cohort: Cohort) -> Holdings:
    """Return what every case of a cohort may have."""
    return Holdings(cohort.columns, cohort.images, cohort.masks)
