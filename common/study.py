"""A study: the cohort's data contract and named steps. Plain data, no code.

A hospital approves a study by the sha256 of its file, so the file is everything: every
parameter a site uses comes from its own copy.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Union

from pydantic import Discriminator, Field

from common.analyses import ANALYSES
from common.analyses.analysis import APPLY, Ask
from common.by_site import BySite
from common.choices import Choices, allowed, candidates, spelled_out
from common.cohort import Cohort, Column, Name
from common.errors import ConfigError, Finding
from common.flow import CheckCohort
from common.holdings import Holdings, of_cohort
from common.nested import Nested
from common.radiomics.deep_features import DeepFeatures
from common.radiomics.extract import Extract
from common.radiomics.image_quality import ImageQuality
from common.salvage import salvage
from common.settings import Frozen, findings_of, in_order, line_of, look_at_yaml
from common.study_names import unknown_names
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
_PLAIN = ("derive", "standardise")
_NAMED = 20  # further places of the same mistake that a line names
AnyStep: Any = Union[KINDS]  # noqa: UP007  (a tuple, made at run time)


class Study(Frozen):
    """The protocol of a study: `studies/NAME.yaml`."""

    name: Name
    title: str = ""
    description: str = ""
    reference: str = Field("", description="the publication whose design it follows")
    cohort: Cohort
    steps: dict[Name, Annotated[AnyStep, Discriminator("kind")]] = Field(min_length=1)
    nested: Nested | None = None
    by_site: BySite | None = None

    @cached_property
    def bound(self) -> dict[str, Any]:
        """The steps and refits with patterns of columns spelled out, in the file's order.

        A reference to columns that another step chooses stands for all its candidates.
        """
        return self._all_bound[0]

    @cached_property
    def holdings(self) -> Holdings:
        """What a case may have: of the cohort, and made by steps."""
        return self._all_bound[1]

    def narrowed(self, chosen: Choices) -> "Study":
        """Return the study where steps have chosen these columns.

        Raises:
            NotAChoice: a choice of other columns than the step's candidates.
        """
        if not chosen:
            return self
        key = tuple(sorted((at, tuple(names)) for at, names in chosen.items()))
        if key not in self._narrowed:
            study = self.model_copy()
            for of_all in ("bound", "holdings", "_all_bound", "_narrowed", "_summed"):
                study.__dict__.pop(of_all, None)
            study.__dict__["_all_bound"] = self._bind(chosen)
            self._narrowed[key] = study
        return self._narrowed[key]

    def contract(self) -> Mapping[str, Column]:
        """Return every column of a site's table: of the cohort, and made by steps."""
        return self.holdings.columns

    def candidates(self) -> Choices:
        """Return the columns each step may choose among."""
        return {
            at: of for name, step in self.bound.items() for at, of in candidates(name, step).items()
        }

    @cached_property
    def _summed(self) -> dict[str, set[str]]:
        return {}

    @cached_property
    def _narrowed(self) -> dict[Any, "Study"]:
        return {}

    @cached_property
    def written(self) -> dict[str, Any]:
        """The steps and refits as the file names their columns, in its order."""
        written: dict[str, Any] = {}
        for name, step in self.steps.items():
            written[name] = step
            for again in (self.nested, self.by_site) if hasattr(step, "summarise") else ():
                written |= again.refits(name, step) if again is not None else {}
        return written

    def made_by(self, name: str, step: Any, before: Holdings, steps: Mapping[str, Any]) -> Holdings:
        """Return what a step makes of every case, by full name.

        Args:
            name: of the step.
            step: bound.
            before: what cases have before it.
            steps: those before it.
        """
        made: Holdings = step.makes(before, steps).prefixed(name)
        together: dict[str, Column] = {}
        if self.nested is not None:
            together |= self.nested.held_out(name, step)
        if self.by_site is not None:
            together |= self.by_site.left_out_columns(name, step)
        return made | Holdings(columns=together) if together else made

    def asked_of_each(self, step: str, same: Mapping[str, str] | None = None) -> bool:
        """Tell whether sums that a step reads from go out of single sites too.

        Reading a column made of others is reading those: a sum of z-scores, or of what a
        formula or a model makes, tells of the sum of what it was made of.

        Args:
            step: its name.
            same: the column of which another is a copy, where that is known.
        """

        def read(name: str) -> set[str]:
            return {(same or {}).get(column, column) for column in self.sources(name)}

        mine = read(step)
        return any(
            "each" in other.over and (name == step or not mine.isdisjoint(read(name)))
            for name, other in self.bound.items()
        )

    def summed(self, step: str) -> set[str]:
        """Return the columns that a step sums, and those that they are another form of.

        A column that a formula makes, or a z-score, is what it was made of; what a model
        makes is another.
        """
        if step not in self._summed:
            self._summed[step] = self.sources(step, _PLAIN)
        return self._summed[step]

    def sources(self, step: str, kinds: Collection[str] = ()) -> set[str]:
        """Return the columns a step reads, and all that those were made of.

        Args:
            step: its name.
            kinds: of steps whose columns are what they were made of; empty: all.
        """
        found: set[str] = set()
        open_ = [step]
        while open_:
            new = set(self.bound[open_.pop()].columns()) - found
            found |= new
            makers = {c.split(".")[0] for c in new if "." in c} & self.bound.keys()
            open_ += {m for m in makers if not kinds or self.bound[m].kind in kinds}
        return found

    def tells_of_one(self, step: str) -> bool:
        """Tell whether one site's sums of a step follow from totals with and without it."""
        return self.by_site is not None and self.by_site.tells_of_one(step)

    @cached_property
    def _all_bound(self) -> tuple[dict[str, Any], Holdings]:
        return self._bind({})

    def _bind(self, chosen: Choices) -> tuple[dict[str, Any], Holdings]:
        bound: dict[str, Any] = {}
        choices: dict[str, tuple[str, ...]] = {}
        known = of_cohort(self.cohort)
        for name, written in self.written.items():
            step = spelled_out(written, choices)
            expand = getattr(step, "expand", None)
            one = expand(tuple(known.columns)) if expand else step
            known |= self.made_by(name, one, known, bound)
            bound[name] = one
            for at, among in candidates(name, one).items():
                choices[at] = allowed(at, chosen[at], among) if at in chosen else among
        return bound, known


def read_study(text: str, file: str, *, again: bool = False) -> Study:
    """Return the study in a YAML text.

    Args:
        text: YAML.
        file: its name, for messages only.
        again: it was read before, so whether its analyses can begin is not tried once
            more; with ranks of 2000 columns that takes a second.

    Raises:
        ConfigError: with every mistake: of form, and names nothing stands behind.
    """
    data, lines, twice = look_at_yaml(text, file)
    found = salvage(Study, data, lines)
    findings = [*twice, *findings_of(found, Study, lines, file)]
    if found.model is not None:
        unknown = dict.fromkeys(unknown_names(found.model, found, again=again))
        findings += _together(
            Finding(file, line_of(path, lines), ".".join(map(str, path)), message)
            for path, message in unknown
        )
    if findings or found.model is None:
        raise ConfigError(in_order(findings))
    return found.model


def _together(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings, the same of several steps as one at the first, which names the others."""
    alike: dict[str, list[Finding]] = {}
    for finding in findings:
        alike.setdefault(finding.message, []).append(finding)
    for message, (first, *others) in alike.items():
        said = [f"{one.path} (line {one.line})" for one in others[:_NAMED]]
        if len(others) > _NAMED:
            said.append(f"{len(others) - _NAMED} more")
        more = f"; also at {', '.join(said)}" if said else ""
        yield replace(first, message=message + more)


def schema_of(step: Any, ask: Ask, contract: Mapping[str, Column]) -> Schema:
    """Return what one site sends for an ask of a step, whatever its kind."""
    if ask.phase == APPLY:
        return {"n": count(), "filled": count()}
    schema: Schema = step.schema(ask, contract)
    return schema


def study_hash(text: str) -> str:
    """Return the sha256 of a study file, by which hospitals approve it."""
    return hashlib.sha256(text.encode()).hexdigest()
