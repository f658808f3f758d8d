"""Names of the features that a profile gives, known before any image is read.

A study's contract must say which columns a step makes. The names are PyRadiomics':
`<image type>_<class>_<Feature>`.
"""

from collections.abc import Iterator
from itertools import product

from common.radiomics.profile import Profile
from common.radiomics.settings import Settings

_PLAIN = {
    "Original": "original",
    "Square": "square",
    "SquareRoot": "squareroot",
    "Logarithm": "logarithm",
    "Exponential": "exponential",
    "Gradient": "gradient",
    "LBP2D": "lbp-2D",
}
_SHAPES = ("shape", "shape2D")


def feature_names(profile: Profile) -> tuple[str, ...]:
    """Return the names of all features of a profile, shape first."""
    features = profile.features()
    names = [f"original_{c}_{f}" for c in _SHAPES for f in features.get(c, ())]
    for image_type, settings in profile.images().items():
        for image in _images(image_type, settings):
            names += [
                f"{image}_{name}_{feature}"
                for name, of in features.items()
                if name not in _SHAPES
                for feature in of
            ]
    return tuple(names)


def _images(image_type: str, settings: Settings) -> Iterator[str]:
    if image_type == "LoG":
        yield from (f"log-sigma-{str(s).replace('.', '-')}-mm-3D" for s in settings.sigma)
    elif image_type == "Wavelet":
        yield from _wavelets(settings)
    else:
        yield _PLAIN[image_type]


def _wavelets(settings: Settings) -> Iterator[str]:
    """Yield the sub-bands; that of low passes alone comes last, of the last level."""
    bands = ["".join(letters) for letters in product("LH", repeat=2 if settings.force2d else 3)]
    for level in range(1, settings.level + 1):
        head = "wavelet" if level == 1 else f"wavelet{level}"
        yield from (f"{head}-{band}" for band in bands[1:])
    yield f"{'wavelet' if settings.level == 1 else f'wavelet{settings.level}'}-{bands[0]}"
