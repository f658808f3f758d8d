"""What a study will be refused by the sites' policies, as far as it shows beforehand.

Only what policies, roles and the study's text tell; how many patients a site has, and
what its table holds, only the site knows. A refusal is no mistake: a hospital may keep
its own numbers, and the study is answered without them. But nobody should be surprised.
Where so many refuse that a step has no answer at all, `client.willing` says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.nested import AT
from common.outlook_parts import EACH, beside, same_sums
from common.sites import PolicySettings, Roster
from common.study import Study
from common.tasks.train import Train

_CLOSED = "column_not_allowed: its policy does not open "
_TOGETHER = "only_together: no site answers this kind of step alone"
_NAMED = 6  # steps or columns that one line names
_CLEAR = "one site's numbers go out in clear, and its policy says `per_site: false`"


def foreseen_refusals(study: Study, roster: Roster) -> Iterator[tuple[str, str]]:
    """Yield site and words for everything that its policy will refuse.

    Args:
        study: the study.
        roster: who takes part; of deployed sites no policy is known, and nothing is said.
    """
    yield from _by_site(study, roster)
    policies = {n: s.simulate.policy for n, s in sorted(roster.sites.items()) if s.simulate}
    groups = {name: groups_of(roster, step) for name, step in study.bound.items()}
    yield from beside(study, policies, groups)
    yield from same_sums(study, policies, groups)
    for step_name, step in study.bound.items():
        asked = groups[step_name]
        yield from ((site, f"steps.{step_name}: {t}") for site, t in _never(step, asked, policies))
        for site, policy in policies.items():
            yield from ((site, f"steps.{step_name}: {said}") for said in _columns(policy, step))
            followed = _followed(site, policies, asked) if study.asked_of_each(step_name) else ()
            for said in (*_group_sizes(site, policy, asked), *followed, *_shapes(policy, step)):
                yield site, f"steps.{step_name}: {said}"
            if isinstance(step, Train) and roster.sites[site].role == "develop":
                yield from ((site, f"steps.{step_name}: {t}") for t in _networks(policy, step))


def refusals_in_lines(study: Study, roster: Roster) -> Iterator[str]:
    """Yield everything foreseen, what is alike in one line: a column once, with its steps."""
    places: dict[str, dict[str, list[str]]] = {}
    for site, text in foreseen_refusals(study, roster):
        step, _, said = text.partition(": ")
        places.setdefault(said, {}).setdefault(site, []).append(step)
    alike: dict[tuple[str, str, str], list[str]] = {}
    for said, by_site in places.items():
        for names in dict.fromkeys(tuple(steps) for steps in by_site.values()):
            sites = ", ".join(site for site, steps in by_site.items() if tuple(steps) == names)
            kind = _CLOSED if said.startswith(_CLOSED) else said
            where = _steps([*dict.fromkeys(name.partition(AT)[0] for name in names)])
            alike.setdefault((sites, where, kind), []).append(said.removeprefix(kind))
    for (sites, where, kind), rest in alike.items():
        yield f"{sites}: warning: will refuse {where}: {kind}{_some(rest)}"


def _steps(places: Sequence[str]) -> str:
    named = [place.removeprefix("steps.") for place in places]
    return f"steps {_some(named)}" if len(named) > 1 else places[0]


def _some(names: Sequence[str]) -> str:
    left = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {left} more" if left > 0 else "")


def _by_site(study: Study, roster: Roster) -> Iterator[tuple[str, str]]:
    """Yield what `by_site` asks of sites that they are not, or do not allow."""
    listed = study.by_site.sites if study.by_site else ()
    for site in sorted(set(listed) ^ set(roster.developing)) if listed else ():
        yield site, "by_site: sites: expected all developing sites of the roster, and no others"
    for site in listed if study.by_site and study.by_site.left_out else ():
        found = roster.sites.get(site)
        if found and found.simulate and not found.simulate.policy.per_site:
            yield site, f"by_site: left_out: per_site_not_allowed: {_CLEAR}"


def groups_of(roster: Roster, step: Any) -> Mapping[str, tuple[str, ...]]:
    """Return the groups a step asks, by the word that asks for them."""
    if isinstance(step, Train):
        return {"development": roster.developing}
    named = {
        "development": roster.developing,
        "external": roster.external,
        "all": tuple(sorted(roster.sites)),
    }
    found = {f"over: {word}": named[word] for word in step.over if word in named}
    if "each" in step.over:
        found |= {EACH: tuple(sorted(roster.sites))}
    return found


def _columns(policy: PolicySettings, step: Any) -> Iterator[str]:
    for column in step.columns():
        if not policy.opens(column):
            yield f'{_CLOSED}"{column}"'


def _group_sizes(
    site: str, policy: PolicySettings, groups: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    for word, group in groups.items():
        if site not in group:
            continue
        if word == EACH or len(group) == 1:
            if not policy.per_site:
                yield f"{word}: per_site_not_allowed: {_CLEAR}"
        elif len(group) < policy.fewest_sites:
            few = f"a sum of {len(group)} sites, and its policy asks for {policy.fewest_sites}"
            yield f"{word}: too_few_sites: {few}"


def _never(
    step: Any, groups: Mapping[str, tuple[str, ...]], policies: Mapping[str, PolicySettings]
) -> Iterator[tuple[str, str]]:
    """Yield who is asked alone what no site answers alone, but for who keeps all its own."""
    for word, group in groups.items() if not getattr(step, "answers_alone", True) else ():
        if word == EACH or len(group) == 1:
            asked = [s for s in group if s not in policies or policies[s].per_site]
            yield from ((site, f"{word}: {_TOGETHER} ({step.kind})") for site in asked)


def _followed(
    site: str, policies: Mapping[str, PolicySettings], groups: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """Yield the totals from which a site's own numbers, which it keeps, would follow."""
    fewest = policies[site].fewest_sites
    for word, group in groups.items():
        if word == EACH or len(group) == 1 or site not in group:
            continue
        keeping = [s for s in group if s in policies and not policies[s].per_site]
        if site in keeping and len(keeping) < fewest and set(group) <= set(policies):
            keep = "keeps its" if len(keeping) == 1 else "keep their"
            yield (
                f"{word}: own_sums_follow: {' and '.join(keeping)} {keep} own numbers, which "
                "would follow from the total and those of each other site; leave out `each`"
            )


def _shapes(policy: PolicySettings, step: Any) -> Iterator[str]:
    limit = policy.most_shapes_epsilon
    if limit is not None and step.kind == "site_shapes" and step.most_epsilon > limit:
        allowed = f"its policy allows {limit:g}, `most_shapes_epsilon`"
        yield f"budget_spent: epsilon {step.most_epsilon:g} over all columns, and {allowed}"


def _networks(policy: PolicySettings, step: Train) -> Iterator[str]:
    wanted = {"local", "ensemble"} & set(step.baselines)
    if wanted and not policy.per_site:
        yield f"baselines: {', '.join(sorted(wanted))}: per_site_not_allowed: {_CLEAR}"
    elif "ensemble" in wanted and not policy.share_network:
        text = "its policy keeps networks trained there, `share_network: false`"
        yield f"baselines: ensemble: network_not_shared: {text}"
