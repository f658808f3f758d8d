"""The step `extract`: radiomics of every site's own images, as columns of its table.

Features stay at the site. What leaves it are counts: cases done and failed, failures by
reason, regions by how many grey levels they have.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
import yaml
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.cohort import Column, ImageRef, MaskRef, Name
from common.flow import Code
from common.holdings import Holdings
from common.radiomics.agreement import agree_schema, disagreement
from common.radiomics.columns import feature_names
from common.radiomics.faults import Fault
from common.radiomics.presets import PRESETS
from common.radiomics.profile import Profile, read_profile
from common.radiomics.regions import Pick, Region, regions_of, wrong_regions
from common.salvage import Path, refuse_all
from common.settings import nearest, problems_of
from common.step import Over, Said, Step
from common.sums import Schema, Sums, cells, count
from common.tasks.section import Section

ProfileText = str | dict[str, Any]

FEW_LEVELS, MANY_LEVELS = 8, 256
COUNTS = ("n_screened", "n_in_cohort", "n_cases", "done", "failed")
LEVELS = ("below_8", "8_to_256", "above_256")
"""How many grey levels a region has, as the answer counts them."""


class Extract(Step):
    """Extract PyRadiomics' features of regions, at each site, from its own images.

    Columns are named as PyRadiomics names features, the image before:
    `<step>.t2_original_glcm_Contrast`. Where an image has several regions, their masks
    stand in front, `<step>.tumour@reader2.t2_original_glcm_Contrast`, and where a mask
    has several labels, these too: `<step>.tumour.core.t2_...`.

    Of the masks, an image takes those that are declared on it; an image on which none
    is takes all of them, brought onto its grid.

    A site takes part only if its software has this profile's fingerprint, and nothing is
    added up unless the features of a built-in phantom are the same at all sites. A case
    that cannot be extracted has no values, is counted by reason and named in the site's
    own log; the others go on. A region with one grey level is a failure; fewer than 8 or
    more than 256 are counted.

    Rounds: 2.
    """

    elastic: ClassVar[bool] = True

    kind: Literal["extract"] = "extract"
    of: tuple[ImageRef, ...] = Field(
        (), description="images; none: the shape of each mask, without an image"
    )
    masks: tuple[MaskRef, ...] = Field(min_length=1, description="`tumour`, `tumour@reader2`")
    labels: tuple[Name, ...] = Field((), description="of these masks; none: every label")
    merge: bool = Field(False, description="take all labels of a mask as one region")
    profile: ProfileText = Field(
        "mr",
        description="a PyRadiomics parameter file, as text or as settings, or the name of a "
        f"preset: {', '.join(PRESETS)}",
    )
    profiles: dict[ImageRef, ProfileText] = Field({}, description="another one for single images")
    over: tuple[Over, ...] = ("all",)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems: list[tuple[Path, str]] = [
            ((word,), f"expected distinct names, got {list(names)}")
            for word, names in (("of", self.of), ("masks", self.masks), ("labels", self.labels))
            if len(set(names)) < len(names)
        ]
        problems += [
            (("profiles", image), "no image of this step")
            for image in self.profiles
            if image not in self.of
        ]
        if len(self.over) > 1 or self.over[0] == "each":
            problems.append((("over",), 'expected one of "all", "development", "external"'))
        problems += _wrong_profile(("profile",), self.profile)
        for image, text in self.profiles.items():
            problems += _wrong_profile(("profiles", image), text)
        if not problems and not self.of and self._has_grey_features():
            why = 'features of grey levels need an image; without, name "shape" only'
            problems.append((("of",), why))
        refuse_all(problems)
        return self

    def images(self) -> tuple[str, ...]:
        """Return the images and masks it reads."""
        return (*self.of, *self.masks)

    def makes(self, before: Holdings, steps: Mapping[str, Step]) -> Holdings:
        """Return a column for every feature of every region."""
        del steps
        number = Column(type="number")
        return Holdings(
            columns={
                region.prefix + feature: number
                for region in self.regions(before)
                for feature in self.features(region.image)
            }
        )

    def problems(self, before: Holdings, steps: Mapping[str, Step]) -> Iterator[Said]:
        """Yield labels and slices that do not fit, and a profile made for another label."""
        del steps
        yield from self._other_label(before)
        pick = Pick(self.labels, self.merge)
        yield from wrong_regions(self.of, self.masks, pick, before, strict=True)
        yield from self._too_flat(before)

    def _too_flat(self, before: Holdings) -> Iterator[Said]:
        """Yield images of one slice whose profile has a filter that needs several."""
        for image, profile in self.read().items():
            held = before.images.get(image)
            if isinstance(held, Section) and held.n_slices == 1 and "LoG" in profile.images():
                at = ("profiles", image) if image in self.profiles else ("profile",)
                other = ", or take the preset mr_thick" if held.modality == "MR" else ""
                why = f'LoG needs 4 slices at least, and "{image}" is {held.section}'
                yield at, f"{why}: no case would have features; leave LoG out{other}"

    def _other_label(self, before: Holdings) -> Iterator[str]:
        """Yield where PyRadiomics would measure another label by its file than this step does."""
        labels = {name: n for mask in self.masks for name, n in before.masks[mask].labels.items()}
        chosen = {n for name, n in labels.items() if not self.labels or name in self.labels}
        for label in sorted({profile.setting.label for profile in self.read().values()} - {1}):
            if chosen != {label}:
                yield (
                    f"profile: setting.label is {label}, and the step measures "
                    f"{', '.join(f'{k} ({n})' for k, n in labels.items() if n in chosen)}: "
                    "choose with `labels`, and take setting.label out"
                )

    def regions(self, known: Holdings) -> tuple[Region, ...]:
        """Return what is extracted of a case: image, mask and label values of each."""
        return regions_of(self.of, self.masks, Pick(self.labels, self.merge), known)

    def features(self, image: str) -> tuple[str, ...]:
        """Return the names that PyRadiomics gives the features of an image."""
        return feature_names(read_profile(self.text(image)))

    def text(self, image: str) -> str:
        """Return the parameter file for an image."""
        return profile_text(self.profiles.get(image, self.profile))

    def read(self) -> dict[str, Profile]:
        """Return the profile of every image ("" where there is none)."""
        return {image: read_profile(self.text(image)) for image in self.of or ("",)}

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return what one site sends: its software's marks; counts, by reason if masked."""
        del contract
        if ask.phase == "agree":
            return agree_schema()
        schema = {name: count() for name in COUNTS}
        if not ask.values["alone"]:
            schema["reasons"] = cells(len(Fault))
            schema["levels"] = cells(len(self.of), len(LEVELS))
            schema["left_out"] = cells(len(Code))
        return schema

    def solve(self, contract: Mapping[str, Column], *, alone: bool = False) -> Solve:
        """Ask whether all sites' software gives the same values, then for the features."""
        del contract
        fingerprints: dict[str, Json] = {
            image: profile.fingerprint() for image, profile in self.read().items()
        }
        total = yield Ask("agree", {"fingerprints": fingerprints})
        why = disagreement(total)
        if why:
            raise ValueError(why)
        total = yield Ask("extract", {"fingerprints": fingerprints, "alone": alone})
        return Answer({**self._about(fingerprints), **_counts(total, self.of)})

    def _about(self, fingerprints: dict[str, Json]) -> dict[str, Json]:
        features: dict[str, Json] = {
            image or "shape": len(self.features(image)) for image in fingerprints
        }
        return {"features": features, "fingerprints": fingerprints}

    def _has_grey_features(self) -> bool:
        return any(not name.startswith("original_shape") for name in self.features(""))


def profile_text(profile: ProfileText) -> str:
    """Return the parameter file that a study writes, or means by a preset's name."""
    if isinstance(profile, str):
        return PRESETS.get(profile.strip(), profile)
    return yaml.safe_dump(profile, sort_keys=False)


def _wrong_profile(at: Path, profile: ProfileText) -> list[tuple[Path, str]]:
    text = profile_text(profile)
    if isinstance(profile, str) and "\n" not in text and ":" not in text:
        return [(at, f'unknown preset "{profile}"{nearest(profile, list(PRESETS))}')]
    return [((*at, *path), words) for path, words in problems_of(Profile, text)]


def _counts(total: Sums, images: tuple[str, ...]) -> dict[str, Json]:
    counts: dict[str, Json] = {name: int(total[name]) for name in COUNTS}
    if "reasons" in total:
        found = np.asarray(total["reasons"], np.int64)
        counts["reasons"] = {str(f): int(n) for f, n in zip(Fault, found, strict=True) if n}
        out = np.asarray(total["left_out"], np.int64)
        counts["left_out"] = {str(c): int(n) for c, n in zip(Code, out, strict=True) if n}
        levels = np.asarray(total["levels"], np.int64)
        counts["grey_levels"] = {
            image: {name: int(n) for name, n in zip(LEVELS, row, strict=True)}
            for image, row in zip(images, levels, strict=True)
        }
    return counts
