"""Steps fitted again by site: without each site in turn, and at each site alone.

Leave-one-centre-out: the refit of a step without site k is a step of its own,
`<step>@without_k`, over the developing sites but k; what it makes of every case is applied
everywhere, and `<step>.left_out.<column>` is, for each case, that of the refit which has
not seen its site. The cross-site matrix: `<step>@at_k` is fitted at site k alone, and a
step over each site that reads `<step>@at_*.<column>` judges every fit at every site. Refits
run beside the fit of all sites and cost no round.

Disclosure: a total over all sites less the one without site k is site k's own, exactly in
the first round of a step and nearly so later. No mask helps against that, so every
site named must have `per_site: true` in its policy, and checks whatever it sends for a
step that is fitted without single sites as if it went out in clear: cells, counts behind
numbers, coefficients for its own patients, numbers for each of them. Kinds whose sums may
only leave in a masked sum (histograms of trees, Gram matrices, ranks) cannot be left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import Field, model_validator

from common.cohort import Column, Name
from common.nested import AT, base_of, renamed, single
from common.settings import Frozen
from common.step import LEFT_OUT, Step

S = TypeVar("S", bound=Step)
ONLY_MASKED = {
    "boosting": "histograms of trees",
    "cluster": "sums of clusters, which differ by the cases that moved,",
    "combat": "products of features and covariates",
    "correlate": "products of columns or ranks",
    "forest": "histograms of trees",
    "lasso": "gradients and products of all columns",
    "piecewise_exponential": "counts of events a day",
    "prototypes": "sums of clusters, which differ by the cases that moved,",
    "svm": "curvature, which is of the few cases inside the margin,",
}
"""What of each kind that cannot be fitted by site must not be seen of one site."""
_WITHOUT, _ALONE = f"{AT}without_", f"{AT}at_"


class OtherSites(ValueError):
    """The roster's developing sites are not those that the study names."""


class BySite(Frozen):
    """Which steps are fitted again without each site, or at each site alone."""

    sites: tuple[Name, ...] = Field(min_length=2, description="all developing sites of the roster")
    left_out: tuple[Name, ...] = Field(
        (),
        description="steps fitted again without each site; where step `model` makes "
        "`model.probability`, `model.left_out.probability` is it for each case by the fit "
        "without its own site",
    )
    apart: tuple[Name, ...] = Field(
        (),
        description="steps fitted at each site alone; what that of site `north` makes are "
        "columns `model@at_north.probability` everywhere",
    )

    @model_validator(mode="after")
    def _distinct(self) -> "BySite":
        for name in ("sites", "left_out", "apart"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"{name}: expected distinct names, got {list(given)}")
        if not self.left_out and not self.apart:
            raise ValueError("expected steps in `left_out` or `apart`, got none")
        return self

    def refits(self, name: str, step: Step) -> Iterator[tuple[str, Step]]:
        """Yield the refits of a step of the study, by name."""
        for site in self.sites if name in self.left_out else ():
            mark = f"{_WITHOUT}{site}"
            yield f"{name}{mark}", _refit(step, self.left_out, mark, ("development",))
        for site in self.sites if name in self.apart else ():
            mark = f"{_ALONE}{site}"
            yield f"{name}{mark}", _refit(step, self.apart, mark, ("each",))

    def left_out_columns(self, name: str, step: Step) -> dict[str, Column]:
        """Return the columns put together from a step's refits without a site."""
        made = step.produces() if name in self.left_out else {}
        return {f"{name}{LEFT_OUT}{c}": of for c, of in single(made).items()}

    def tells_of_one(self, step: str) -> bool:
        """Tell whether a site's sums of a step or refit follow from the totals of others."""
        return base_of(step) in self.left_out and not step.startswith(f"{base_of(step)}{_ALONE}")

    def group(self, step: str, group: tuple[str, ...]) -> tuple[str, ...]:
        """Return the sites of a group that a step or refit is fitted at.

        Raises:
            OtherSites: a step that leaves out sites is to be fitted at others than are listed.
        """
        mark = step.removeprefix(base_of(step))
        alone, without = mark.removeprefix(_ALONE), mark.removeprefix(_WITHOUT)
        if alone != mark:
            return tuple(s for s in group if s == alone)
        if base_of(step) in self.left_out and set(group) != set(self.sites):
            raise OtherSites(
                f"by_site: sites: expected the developing sites of the roster, {list(group)}, "
                f"got {list(self.sites)}"
            )
        return tuple(s for s in group if without == mark or s != without)

    def allows(self, step: str, group: tuple[str, ...]) -> bool:
        """Tell whether a refit may be asked of a group; some of its sites may be gone."""
        mark = step.removeprefix(base_of(step))
        if mark.startswith(_ALONE):
            return group == (mark.removeprefix(_ALONE),)
        if not self.tells_of_one(step):
            return True
        return set(group) <= set(self.sites) - {mark.removeprefix(_WITHOUT)}


def refit_without(step: str, site: str) -> str:
    """Return the name of the refit without a site."""
    return f"{step}{_WITHOUT}{site}"


def fitted_at(column: str) -> str | None:
    """Return the site at which the fit that made a column was fitted alone, if it was."""
    step = column.partition(".")[0]
    return step.partition(_ALONE)[2] or None


def _refit(step: S, among: tuple[str, ...], mark: str, over: tuple[str, ...]) -> S:
    return renamed(step, among, mark).model_copy(update={"over": over})


def not_by_site(by_site: BySite, steps: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say which of the steps named cannot be fitted again by site, and why."""
    for key in ("left_out", "apart"):
        for name in getattr(by_site, key):
            step = steps.get(name)
            if step is None:
                yield key, f'unknown step "{name}"'
            elif step.needs() or not hasattr(step, "summarise"):
                yield key, f'"{name}" ({step.kind}) is nothing that can be fitted again'
            elif step.over != ("development",):
                yield key, f'"{name}" is asked over {list(step.over)}, not of the developing sites'
            elif step.only_masked:
                yield key, f'"{name}": {_only_masked(step.kind)}'


def _only_masked(kind: str) -> str:
    return (
        f"{kind} cannot be fitted by site: its {ONLY_MASKED[kind]} may only leave in a masked "
        "sum, and from fits with and without a site that site's own would follow; judge it by "
        "`nested` folds and at external sites"
    )
