"""What an extraction gives back: the features, and what should be known about them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """How a region's features came about.

    Attributes:
        engine: "fast" or "pyradiomics".
        reasons: why PyRadiomics itself ran; empty for the fast engine.
        n_voxels: voxels of the region that textures were taken from.
        grey_levels: grey levels of each image, by the image's name.
        warnings: sentences for the site's log.
    """

    engine: str
    reasons: tuple[str, ...] = ()
    n_voxels: int = 0
    grey_levels: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Features(Mapping[str, float]):
    """Feature values by PyRadiomics' name, in its order, with their diagnostics."""

    def __init__(self, values: dict[str, float], diagnostics: Diagnostics) -> None:
        self._values = values
        self.diagnostics = diagnostics

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Features({self._values!r}, {self.diagnostics!r})"
