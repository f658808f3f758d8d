"""Which totals, beside those before them, would tell of few sites that keep their own (R1)."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any

from common.sites import PolicySettings
from common.spans import AnyCases, meet_anew
from common.study import Study

Group = tuple[str, ...]
EACH = "over: each"
"""The word by which a step asks single sites."""


def tells_together(
    study: Study,
    new: str,
    mine: Sequence[str],
    others: Sequence[str],
    same: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Return the steps with which a new one tells of the sites that only one side is over.

    They sum a column that it sums, and their selections and its own are put together the
    same whatever cases a site has.

    Args:
        study: the study.
        new: a step.
        mine: the steps before it, over the same sites.
        others: steps over other sites.
        same: the column of which another is a copy, where that is known.

    Returns:
        One of the others where one is enough, else all of both that sum the column; () where
        nothing follows.
    """
    cases = AnyCases(study)
    for along, of in alike(study, new, mine, others, same):
        told = {name: cases.told(name) for name in (new, *of, *along)}
        for other in of:
            if meet_anew(told[new], (), told[other]):
                return (other,)
        theirs = [rows for name in of for rows in told[name]]
        if meet_anew(told[new], [rows for name in along for rows in told[name]], theirs):
            return (*of, *along)
    return ()


def alike(
    study: Study,
    new: str,
    mine: Sequence[str],
    others: Sequence[str],
    same: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[Group, Group]]:
    """Yield, of mine and of the others, the steps that sum a column that a new one sums.

    Each pair once, and none without others.
    """
    seen = set[tuple[Group, Group]]()
    summed = {s: {same.get(c, c) for c in study.summed(s)} for s in {new, *mine, *others}}
    for column in sorted(summed[new]):
        along, of = (
            tuple(s for s in dict.fromkeys(steps) if column in summed[s])
            for steps in ((s for s in mine if s != new), others)
        )
        if of and (along, of) not in seen:
            seen.add((along, of))
            yield along, of


def beside(
    study: Study,
    policies: Mapping[str, PolicySettings],
    groups: Mapping[str, Mapping[str, Group]],
) -> Iterator[tuple[str, str]]:
    """Yield site and words of the totals that it will refuse for those before them.

    Args:
        study: the study.
        policies: of the sites, where they are known.
        groups: of each step, by the word that asks for them.
    """
    before: dict[str, tuple[Group, list[str]]] = {}
    for name, word, group in ((n, w, g) for n, of in groups.items() for w, g in of.items()):
        if word == EACH or len(group) == 1 or study.bound[name].kind == "derive":
            continue  # what formulas make is not summed
        _, mine = before.setdefault(word, (group, []))
        refused = False
        for other_word, (other_group, others) in before.items():
            few, keepers = _between(policies, group, other_group)
            told = tells_together(study, name, mine, others) if few and keepers else ()
            refused |= bool(told)
            for site in few if told else ():
                said = f"it would tell the own sums of {', '.join(keepers)}"
                text = f"{word}: differencing: {less_those_of(told, other_word)} {said}"
                yield site, f"steps.{name}: {text}"
        if not refused:  # what is refused is not there for those after it
            mine.append(name)


def _between(
    policies: Mapping[str, PolicySettings], one: Group, other: Group
) -> tuple[list[str], list[str]]:
    """Return the sites in both groups to which the others are too few, and who keeps its own."""
    apart = set(one) ^ set(other)
    keepers = [s for s in sorted(apart & policies.keys()) if not policies[s].per_site]
    both = sorted(set(one) & set(other) & policies.keys())
    return [s for s in both if len(apart) < policies[s].fewest_sites], keepers


def less_those_of(steps: Sequence[str], word: str = "") -> str:
    """Return the words for what a total is put together with."""
    if len(steps) > 1:
        return f"with those of {', '.join(steps)}"
    return f"less that of {steps[0]} ({word})" if word else f"less that of {steps[0]}"


def same_sums(
    study: Study,
    policies: Mapping[str, PolicySettings],
    groups: Mapping[str, Mapping[str, Group]],
) -> Iterator[tuple[str, str]]:
    """Yield site and words of the same sums over more sites, which differ by those of few.

    Counts in cells and on grids are guarded where sites show their own numbers, too: no site
    shows them alone.

    Args:
        study: the study.
        policies: of the sites, where they are known.
        groups: of each step, by the word that asks for them.
    """
    before: dict[str, list[tuple[str, Group]]] = {}
    for name, word, group in ((n, w, g) for n, of in groups.items() for w, g in of.items()):
        if word == EACH or len(group) == 1:
            continue
        asked = before.setdefault(_settings(study.bound[name]), [])
        for other_word, other in asked:
            few, keepers = _between(policies, group, other)
            told_already = bool(keepers and study.summed(name))  # by `beside`
            guarded = bool(few) and not told_already and _guards(study, name)
            for site in () if told_already else few:
                if guarded or not policies[site].per_site:
                    said = _apart(policies[site], other_word, group, other)
                    yield site, f"steps.{name}: {word}: {said}"
        asked.append((word, group))


def _settings(step: Any) -> str:
    """Return what is asked, whoever is asked."""
    return str(step.model_dump_json(exclude={"over"}))


def _guards(study: Study, name: str) -> bool:
    """Tell whether a step begins with counts that no site shows alone."""
    step, contract = study.bound[name], study.contract()
    begin = getattr(step, "solve", None)
    try:
        asks = list(islice(begin(contract), 1)) if begin else []
        return any(f.alone != "free" for ask in asks for f in step.schema(ask, contract).values())
    except (KeyError, ValueError):  # it waits for what another step has found
        return False


def _apart(policy: PolicySettings, other_word: str, group: Group, other: Group) -> str:
    """Return the words for sums that would be those of few sites, and for the way out."""
    apart, fewest = sorted(set(group) ^ set(other)), policy.fewest_sites
    word = other_word.removeprefix("over: ")
    return (
        f"differencing: less the same over `{word}` its counts would be those of "
        f"{' and '.join(apart)}, and its policy asks for {fewest} sites; ask for one of the two "
        f"words, or for `external` in place of `all`, which takes {fewest} external sites"
    )
