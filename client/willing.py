"""Foresee which steps will have no answer, as fewer sites will take part than a sum needs.

One site that refuses is a loss that a study can bear. A step of which every answer lacks the
quorum gives nothing, however long the run: that is a mistake of study and roster together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from client.cases import Case
from client.fold_sizes import FEWER, fold_refusals
from common.nested import base_of
from common.outlook import groups_of
from common.outlook_parts import EACH
from common.sites import PolicySettings, Roster
from common.study import Study
from common.tasks.train import Train

_TIP = f": {FEWER}"
_ASKS_NOBODY = frozenset({"derive"})


@dataclass(frozen=True, slots=True)
class Hopeless:
    """A step that no group of sites will answer.

    Attributes:
        step: its name in the study file.
        text: of its first group who will not take part, and why.
    """

    step: str
    text: str


def hopeless(
    study: Study, roster: Roster, sites: Mapping[str, Sequence[Case]]
) -> Iterator[Hopeless]:
    """Yield the steps that cannot be answered.

    Args:
        study: the study.
        roster: who takes part; of sites whose policy is not known nothing bad is expected.
        sites: checked cases of simulated sites, with the drawing of their folds.
    """
    told: set[str] = set()
    for name, step in study.bound.items():
        base = base_of(name)
        if base in told or step.kind in _ASKS_NOBODY or hasattr(step, "given_parts"):
            continue
        groups = groups_of(roster, step)
        if list(groups) == [EACH] or (study.by_site is not None and name != base):
            continue  # a hospital may keep its own numbers; a refit by site is of another group
        lost = [_lost(study, roster, sites, name, one) for one in _each(groups)]
        if lost and all(lost):
            told.add(base)
            yield Hopeless(base, lost[0])


def _each(groups: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Yield the groups that are asked, each site alone as one of its own."""
    for word, group in groups.items():
        if word == EACH:
            yield from ((site,) for site in group)
        elif group:
            yield group


def _lost(
    study: Study,
    roster: Roster,
    sites: Mapping[str, Sequence[Case]],
    name: str,
    group: tuple[str, ...],
) -> str:
    """Return in words why a group will give no sum; "" where it may.

    A site that refuses leaves a smaller group, of which others may ask for more patients in
    each fold, so it is gone over until nobody else refuses.
    """
    willing, refused = list(group), dict[str, str]()
    while True:
        n = len(willing)
        why = {s: w for s in willing if (w := _refusal(study, roster, sites, name, s, n))}
        if not why:
            break
        refused |= why
        willing = [site for site in willing if site not in why]
    fewest = min(roster.quorum, len(group))
    if len(willing) >= fewest:
        return ""
    said = "; ".join(f"{site}: {why.removesuffix(_TIP)}" for site, why in refused.items())
    many = f"{len(willing)} of {len(group)} sites would answer"
    needs = f", and a sum needs {fewest}, the roster's quorum" if len(group) > 1 else ""
    tip = f"; {FEWER}" if any(why.endswith(_TIP) for why in refused.values()) else ""
    return f"cannot have a result: {many}{needs} ({said}){tip}"


def _refusal(
    study: Study,
    roster: Roster,
    sites: Mapping[str, Sequence[Case]],
    name: str,
    site: str,
    n_sites: int,
) -> str:
    """Return in words why a site will refuse a step in a group of so many; "" where it may not."""
    simulated = roster.sites[site].simulate
    if simulated is None:
        return ""
    policy, step = simulated.policy, study.bound[name]
    return _by_policy(policy, step, n_sites) or _by_cases(
        study, policy, name, sites.get(site), n_sites
    )


def _by_policy(policy: PolicySettings, step: Any, n_sites: int) -> str:
    closed = [column for column in step.columns() if not policy.opens(column)]
    if closed:
        return f'its policy does not open "{closed[0]}"'
    if n_sites == 1:
        return "" if policy.per_site else "its policy says `per_site: false`"
    if n_sites < policy.fewest_sites:
        return f"its policy asks for sums of {policy.fewest_sites} sites, and {n_sites} are left"
    return ""


def _by_cases(
    study: Study, policy: PolicySettings, name: str, cases: Sequence[Case] | None, n_sites: int
) -> str:
    if cases is None:
        return ""
    n = len({case.patient_id for case in cases})
    if n < policy.smallest_cohort:
        return f"{n} patients fit the study, its policy asks for {policy.smallest_cohort}"
    if n_sites == 1 and isinstance(study.bound[name], Train):
        return ""  # `share_network` rules that
    return next(iter(fold_refusals(study, cases, policy, n_sites, (name,))), ("", ""))[1]
