"""A study: the cohort's data contract and named steps. Plain data, no code.

A hospital approves a study by the sha256 of its file, so the file is everything: every
parameter a site uses comes from its own copy.
"""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Union

from pydantic import Discriminator, Field

from common.analyses import ANALYSES
from common.analyses.analysis import APPLY, Ask
from common.cohort import Cohort, Column, Name
from common.errors import ConfigError, Finding
from common.flow import CheckCohort
from common.holdings import Holdings, of_cohort
from common.radiomics.deep_features import DeepFeatures
from common.radiomics.extract import Extract
from common.radiomics.image_quality import ImageQuality
from common.settings import Frozen, Path, nearest, parse, read_yaml
from common.step import Step
from common.sums import Schema, count
from common.tasks.compare_masks import CompareMasks
from common.tasks.measure import Measure
from common.tasks.predict import Predict
from common.tasks.pseudo_label import PseudoLabel
from common.tasks.train import Train

KINDS = (
    CheckCohort,
    *ANALYSES,
    Train,
    Predict,
    PseudoLabel,
    Measure,
    CompareMasks,
    Extract,
    DeepFeatures,
    ImageQuality,
)
AnyStep: Any = Union[KINDS]  # noqa: UP007  (a tuple, made at run time)


class Study(Frozen):
    """The protocol of a study: `studies/NAME.yaml`."""

    name: Name
    title: str = ""
    description: str = ""
    reference: str = Field("", description="the publication whose design it follows")
    cohort: Cohort
    steps: dict[Name, Annotated[AnyStep, Discriminator("kind")]] = Field(min_length=1)

    @cached_property
    def bound(self) -> dict[str, Any]:
        """The steps with patterns of columns spelled out, in the order of the file."""
        return self._all_bound[0]

    @cached_property
    def holdings(self) -> Holdings:
        """What a case may have: of the cohort, and made by steps."""
        return self._all_bound[1]

    def contract(self) -> dict[str, Column]:
        """Return every column of a site's table: of the cohort, and made by steps."""
        return dict(self.holdings.columns)

    @cached_property
    def _all_bound(self) -> tuple[dict[str, Any], Holdings]:
        bound: dict[str, Any] = {}
        known = of_cohort(self.cohort)
        for name, step in self.steps.items():
            expand = getattr(step, "expand", None)
            one = expand(tuple(known.columns)) if expand else step
            known |= one.makes(known, bound).prefixed(name)
            bound[name] = one
        return bound, known


def read_study(text: str, file: str) -> Study:
    """Return the study in a YAML text.

    Raises:
        ConfigError: with every mistake: of form, and names nothing stands behind.
    """
    study = parse(Study, text, file)
    _, lines = read_yaml(text, file)
    findings = [
        Finding(file, _line(lines, path), ".".join(map(str, path)), message)
        for path, message in _unknown_names(study)
    ]
    if findings:
        raise ConfigError(sorted(findings, key=lambda f: f.line or 0))
    return study


def schema_of(step: Any, ask: Ask, contract: Mapping[str, Column]) -> Schema:
    """Return what one site sends for an ask of a step, whatever its kind."""
    if ask.phase == APPLY:
        return {"n": count(), "filled": count()}
    schema: Schema = step.schema(ask, contract)
    return schema


def study_hash(text: str) -> str:
    """Return the sha256 of a study file, by which hospitals approve it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _line(lines: Mapping[Path, int], path: Path) -> int | None:
    return next((lines[path[:i]] for i in range(len(path), -1, -1) if path[:i] in lines), None)


def _unknown_names(study: Study) -> Iterator[tuple[Path, str]]:
    before: dict[str, Any] = {}
    known = of_cohort(study.cohort)
    for name, step in study.bound.items():
        at = ("steps", name)
        wrong = [*_unknown_steps(at, step, before), *_unknown_data(at, step, known)]
        wrong += _unknown_levels(study, at, step)
        # What does not fit can be told only where every name means something.
        yield from wrong or ((at, text) for text in step.problems(known, before))
        known |= step.makes(known, before).prefixed(name)
        before[name] = step


def _unknown_steps(at: Path, step: Step, before: Mapping[str, Step]) -> Iterator[tuple[Path, str]]:
    for need in step.needs():
        if need not in before:
            yield at, f'needs a step "{need}" before it{nearest(need, list(before))}'
    if isinstance(step, Predict) and not isinstance(before.get(step.network), Train | None):
        yield (*at, "network"), f'"{step.network}" trains no network'


def _unknown_data(at: Path, step: Step, known: Holdings) -> Iterator[tuple[Path, str]]:
    drawn, columns = [*known.images, *known.masks], list(known.columns)
    for image in step.images():
        if image not in drawn:
            yield at, f'unknown image or mask "{image}"{nearest(image, drawn)}'
    for column in (*step.columns(), *step.cases.where):
        if column not in columns:
            yield at, f'unknown column "{column}"{nearest(column, columns)}'


def _unknown_levels(study: Study, at: Path, step: Step) -> Iterator[tuple[Path, str]]:
    for column, levels in step.cases.where.items():
        known = list(getattr(study.cohort.columns.get(column), "levels", ()))
        for level in levels:
            if known and level not in known:
                yield (
                    (*at, "cases", "where", column),
                    f'unknown level "{level}"{nearest(level, known)}',
                )
