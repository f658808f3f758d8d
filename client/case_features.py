"""Features of one case: the work of one process, by plain values in and out.

What was found is kept in the site's cache under a hash of all that it depends on: the
bytes of image and mask, the region, the profile, the engine. So a run that was stopped
goes on where it was, and a second study with the same profile extracts nothing again.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from client.files import write_atomically
from client.grey_levels import count_levels
from client.imageio import Volume
from client.regions import Bools, Scan, digest_of, read_mask, read_scan, region_in
from common.radiomics.faults import Fault, Faulty
from common.radiomics.profile import read_profile
from common.radiomics.regions import Region

VERSION = 1  # one more whenever the same files and settings would give other values


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a step wants of one case.

    Attributes:
        case_id: the case.
        images: file of each image it has.
        masks: file of each mask, None where nobody drew it.
        regions: what to extract.
        profiles: parameter file of each image.
        scales: grey levels times this are in the study's unit, by image.
        medians: believable medians of a region, by image.
        cache: folder.
    """

    case_id: str
    images: Mapping[str, Path]
    masks: Mapping[str, Path | None]
    regions: tuple[Region, ...]
    profiles: Mapping[str, str]
    scales: Mapping[str, float] = field(default_factory=dict)
    medians: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    cache: Path = Path()


@dataclass(frozen=True, slots=True)
class Measured:
    """One region.

    Attributes:
        features: by PyRadiomics' name; empty where there is a fault.
        about: where the numbers come from: hashes, voxels, volume, grey levels, engine.
        fault: why there are none, or "".
        detail: the same for people.
    """

    features: Mapping[str, float] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Extracted:
    """One case.

    Attributes:
        case_id: the case.
        regions: in the order of those wanted; None where nobody drew the mask.
        seconds: spent on it.
    """

    case_id: str
    regions: tuple[Measured | None, ...]
    seconds: float = 0.0

    @property
    def fault(self) -> tuple[str, str]:
        """The case's first fault and its detail, two empty texts where all is well."""
        drawn = [region for region in self.regions if region is not None]
        if not drawn:
            return str(Fault.MASK_MISSING), "no mask of this case was drawn"
        return next(((r.fault, r.detail) for r in drawn if r.fault), ("", ""))


def extract_case(wanted: Wanted) -> Extracted:
    """Return the features of every region of a case; never raises for a bad case."""
    begin = time.monotonic()
    scans: dict[str, Scan | Faulty] = {}
    found = tuple(_region(wanted, region, scans) for region in wanted.regions)
    return Extracted(wanted.case_id, found, round(time.monotonic() - begin, 3))


def _region(wanted: Wanted, region: Region, scans: dict[str, Scan | Faulty]) -> Measured | None:
    path = wanted.masks.get(region.mask)
    if path is None:
        return None
    try:
        return _measured(wanted, region, path, scans)
    except Faulty as faulty:
        return Measured(fault=str(faulty.fault), detail=faulty.detail)
    except MemoryError:
        return Measured(fault=str(Fault.OUT_OF_MEMORY))
    except Exception as error:  # noqa: BLE001  (one bad case never stops a cohort)
        return Measured(fault=str(Fault.FAILED), detail=f"{type(error).__name__}: {error}")


def _measured(
    wanted: Wanted, region: Region, path: Path, scans: dict[str, Scan | Faulty]
) -> Measured:
    image = wanted.images.get(region.image) if region.image else path
    if image is None:
        raise Faulty(Fault.IMAGE_MISSING, region.image)
    kept = wanted.cache / f"{_key(wanted, region, image, path)}.json"
    before = _kept(kept)
    if before is not None:
        return before
    mask = read_mask(path)
    scan = Scan(_flat(mask), "") if not region.image else _scan(wanted, region.image, scans)
    inside = region_in(mask, region.values, scan.volume.grid, own=region.own)
    about = _describe(scan.volume, inside)
    if region.image in wanted.medians:
        _believe(about["median"], wanted.medians[region.image])
    made = _extracted(wanted.profiles[region.image], scan.volume, inside, about)
    write_atomically(kept, json.dumps(asdict(made)).encode(), durable=False)
    return made


def _extracted(text: str, volume: Volume, inside: Bools, about: Mapping[str, Any]) -> Measured:
    from client.imageio import to_sitk
    from client.radiomics.engine import extract
    from client.radiomics.errors import RadiomicsError

    image, mask = to_sitk(volume), to_sitk(Volume(inside.astype(np.uint8), volume.grid))
    profile = read_profile(text)
    try:
        found = extract(image, mask, profile)
    except RadiomicsError as error:
        raise Faulty(FAULT_OF.get(str(error.cause), Fault.FAILED), error.detail) from None
    odd = [name for name, value in found.items() if not np.isfinite(value)]
    if odd:
        raise Faulty(Fault.NOT_A_NUMBER, f"{len(odd)} features, such as {odd[0]}")
    came = found.diagnostics
    levels = dict(came.grey_levels)
    if not levels and "Original" in profile.images() and _looks_at_grey(found):
        levels = {"original": count_levels(image, mask, profile)}
    if levels.get("original") == 1:
        raise Faulty(Fault.ONE_GREY_LEVEL, "is the bin width in the image's unit?")
    more = {"engine": came.engine, "grey_levels": levels}
    warnings = [*came.reasons, *came.warnings]
    return Measured(dict(found), {**about, **more, "warnings": warnings})


def _looks_at_grey(names: Iterable[str]) -> bool:
    return any(not name.startswith("original_shape") for name in names)


FAULT_OF = {
    "empty_mask": Fault.MASK_EMPTY,
    "mask_off_image": Fault.MASK_OFF_IMAGE,
    "geometry_mismatch": Fault.MASK_OTHER_GRID,
    "not_finite": Fault.IMAGE_NOT_FINITE,
    "one_voxel": Fault.REGION_TOO_SMALL,
    "too_small": Fault.REGION_TOO_SMALL,
    "resegmented_away": Fault.REGION_CUT_AWAY,
    "one_grey_level": Fault.ONE_GREY_LEVEL,
    "too_many_grey_levels": Fault.TOO_MANY_GREY_LEVELS,
}
"""What the engine's causes are called here; any other is FAILED."""


def _scan(wanted: Wanted, image: str, scans: dict[str, Scan | Faulty]) -> Scan:
    """Return an image of the case, read once for all its regions."""
    if image not in scans:
        try:
            scans[image] = read_scan(wanted.images[image], wanted.scales.get(image, 1.0))
        except Faulty as faulty:
            scans[image] = faulty
    found = scans[image]
    if isinstance(found, Faulty):
        raise found
    return found


def _flat(mask: Volume) -> Volume:
    """Return an image for features of shape, which look at no grey level."""
    return Volume(np.zeros(mask.voxels.shape, np.float32), mask.grid)


def _describe(volume: Volume, inside: Bools) -> dict[str, Any]:
    values = volume.voxels[inside]
    n = int(inside.sum())
    return {
        "n_voxels": n,
        "volume_ml": round(n * float(np.prod(volume.grid.spacing_mm)) / 1000, 4),
        "median": float(np.median(values)),
        "size": list(volume.grid.shape),
        "spacing_mm": [round(step, 5) for step in volume.grid.spacing_mm],
    }


def _believe(median: float, believable: tuple[float, float]) -> None:
    """Check that grey levels are in the unit that the study says.

    Raises:
        Faulty: OUT_OF_UNIT.
    """
    low, high = believable
    if not low <= median <= high:
        detail = f"the region's median is {median:g}, expected {low:g} to {high:g}; set `scales`"
        raise Faulty(Fault.OUT_OF_UNIT, detail)


def _key(wanted: Wanted, region: Region, image: Path, mask: Path) -> str:
    """Return a hash of all that a region's features depend on."""
    fingerprint = read_profile(wanted.profiles[region.image]).fingerprint()
    scale = wanted.scales.get(region.image, 1.0)
    believable = list(wanted.medians.get(region.image, ()))
    words = [VERSION, fingerprint, digest_of(image), digest_of(mask), list(region.values)]
    text = json.dumps([*words, region.own, scale, believable])
    return hashlib.sha256(text.encode()).hexdigest()


def _kept(path: Path) -> Measured | None:
    try:
        return Measured(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
