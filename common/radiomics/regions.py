"""Which regions of which images a step looks at, and how their columns begin."""

from collections.abc import Iterator
from dataclasses import dataclass

from common.holdings import Holdings
from common.settings import nearest
from common.step import Said
from common.tasks.section import apart, cut_out, of_other_slices


@dataclass(frozen=True, slots=True)
class Pick:
    """Which labels of a mask are looked at.

    Attributes:
        labels: none means every label.
        merge: all of them together are one region.
    """

    labels: tuple[str, ...] = ()
    merge: bool = False


@dataclass(frozen=True, slots=True)
class Region:
    """One region of one image of a case.

    Attributes:
        image: "" where only the mask's shape is wanted.
        mask: its name.
        values: of the mask's voxels that belong to it.
        prefix: how the names of its columns begin.
        own: whether the mask was drawn on this image.
    """

    image: str
    mask: str
    values: tuple[int, ...]
    prefix: str
    own: bool = True


def regions_of(
    images: tuple[str, ...], masks: tuple[str, ...], pick: Pick, known: Holdings
) -> tuple[Region, ...]:
    """Return the regions of a case.

    An image takes the masks declared on it; one on which none is, all of them.

    Args:
        images: names; none: one region for each mask and label, without an image.
        masks: names.
        pick: which labels.
        known: what a case may have; names that are not in it are passed over.
    """
    known_masks = [mask for mask in masks if mask in known.masks]
    found: list[Region] = []
    for image in images or ("",):
        own = [m for m in known_masks if not image or known.masks[m].on == image]
        of = [r for m in own or known_masks for r in _of_mask(image, m, pick, known, bool(own))]
        several = len(own or known_masks) > 1
        found += [_named(region, several=several) for region in of]
    return tuple(found)


def wrong_regions(
    images: tuple[str, ...],
    masks: tuple[str, ...],
    pick: Pick,
    known: Holdings,
    *,
    strict: bool = False,
) -> Iterator[Said]:
    """Yield labels that none of the masks has, and slices of which nothing is seen in others.

    Args:
        images: names, each known.
        masks: names, each known.
        pick: which labels.
        known: what a case may have.
        strict: what was cut out goes with what was cut out alike, not with a volume.
    """
    labels = {label for mask in masks for label in known.masks[mask].labels}
    for i, label in enumerate(pick.labels):
        if label not in labels:
            yield ("labels", i), f'unknown label "{label}"{nearest(label, sorted(labels))}'
    for image, mask in dict.fromkeys(
        (region.image, region.mask) for region in regions_of(images, masks, pick, known)
    ):
        # A mask of a volume has a part in a slice of it, and the other way round.
        judge = apart if strict and cut_out(image, mask, known) else of_other_slices
        if image and (why := judge(image, mask, known)):
            yield ("masks", masks.index(mask)), why


def _of_mask(image: str, mask: str, pick: Pick, known: Holdings, own: bool) -> Iterator[Region]:
    """Yield the regions of a mask; the prefix is the label where there are several."""
    labels = {
        label: value
        for label, value in known.masks[mask].labels.items()
        if not pick.labels or label in pick.labels
    }
    if pick.merge and labels:
        yield Region(image, mask, tuple(labels.values()), "", own)
        return
    for label, value in labels.items():
        prefix = f"{label}." if len(labels) > 1 else ""
        yield Region(image, mask, (value,), prefix, own)


def _named(region: Region, *, several: bool) -> Region:
    mask = f"{region.mask}." if several else ""
    image = f"{region.image}_" if region.image else ""
    return Region(
        region.image, region.mask, region.values, f"{mask}{region.prefix}{image}", region.own
    )
