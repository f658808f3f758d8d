"""Which images and masks lie on the same slices: a volume, a slice as stored, or one cut out.

What `measure` cuts out says what it is, so that a step that takes the image of one section
and the mask of another is told of it, whatever the names of the steps that made them.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from common.cohort import Image
from common.holdings import Holdings
from common.step import Said


class Section(Image):
    """An image that was cut out of another.

    Attributes:
        section: which, in words.
        n_slices: of it at most.
    """

    section: str
    n_slices: int = 1


def place_of(name: str, known: Holdings) -> str:
    """Return in words where an image or mask lies; two that go together have the same."""
    image = known.images.get(name) or known.images.get(known.masks[name].on)
    if isinstance(image, Section):
        return image.section
    if image is not None and image.plane:
        return f"{image.plane} as it is stored"
    return "a volume"


def is_volume(name: str, known: Holdings) -> bool:
    """Tell whether an image or mask is no slice, nor a few."""
    return place_of(name, known) == "a volume"


def cut_out(first: str, other: str, known: Holdings) -> bool:
    """Tell whether one of an image and a mask, which may be "", lies in what was cut out."""
    named = [known.masks[n].on if n in known.masks else n for n in (first, other)]
    return any(isinstance(known.images.get(name), Section) for name in named)


def apart(first: str, other: str, known: Holdings) -> str:
    """Return in words why two images or masks do not go together; "" where they do."""
    one, two = place_of(first, known), place_of(other, known)
    if one == two:
        return ""
    last = other.rpartition(".")[2]
    sort = known.masks if other in known.masks else known.images
    fits = [n for n in sort if n.rpartition(".")[2] == last and place_of(n, known) == one]
    tip = f', as "{fits[0]}" is' if fits else ""
    return f'"{other}" is {two}, and "{first}" is {one}: expected both of the same slices{tip}'


def of_other_slices(first: str, other: str, known: Holdings) -> str:
    """Return the same where a volume and a slice of it do go together."""
    if is_volume(first, known) or is_volume(other, known):
        return ""
    return apart(first, other, known)


def wrong_slices(
    images: Sequence[str],
    mask: tuple[str, str] | None,
    dimensions: Literal[2, 3],
    orientation: str,
    known: Holdings,
) -> Iterator[Said]:
    """Yield what does not go together where a network sees slices.

    Args:
        images: channels; the first one gives the grid.
        mask: its field and name, or None.
        dimensions: of the network.
        orientation: of the recipe.
        known: what cases have.
    """
    first, *others = images
    plane = known.images[first].plane
    if plane and dimensions == 3:
        yield ("dimensions",), f'expected 2, as "{first}" is a single slice'
    elif plane and plane != "axial" and orientation != "as_stored":
        why = f'expected as_stored, as "{first}" is a {plane} slice'
        yield ("recipe", "orientation"), why
    for i, name in enumerate(others, 1):
        if why := apart(first, name, known):
            yield ("images", i), why
    if mask is not None and (why := apart(first, mask[1], known)):
        yield (mask[0],), why
