"""Say before a run which regressions a site will refuse for their many coefficients (R4)."""

from collections.abc import Iterator, Sequence

from client.cases import Case
from client.disclosure import check_saturation
from common.analyses.analysis import Ask
from common.errors import Refused
from common.messages import Posed
from common.nested import base_of
from common.outlook import groups_of
from common.outlook_parts import EACH
from common.sites import Roster
from common.study import Study


def saturation_in_words(
    study: Study, roster: Roster, site: str, cases: Sequence[Case]
) -> Iterator[str]:
    """Yield why a simulated site will refuse models; each reason once, with its steps.

    Args:
        study: the study.
        roster: who takes part.
        site: one that this machine plays.
        cases: of it, as checked.
    """
    played = roster.sites[site].simulate
    if played is None or not cases:
        return
    said: dict[str, list[str]] = {}
    for name, step in study.bound.items():
        for word, group in groups_of(roster, step).items():
            alone = word == EACH or len(group) == 1
            if site not in group or (alone and not played.policy.per_site):
                continue
            posed = Posed(name, name, (site,) if alone else group, Ask(""))
            try:
                check_saturation(played.policy, study, cases=cases, posed=posed)
            except Refused as refused:
                words = word.removeprefix("over: ")
                text = f"({refused.reason}): over `{words}`: {refused.detail}"
                said.setdefault(text, []).append(base_of(name))
    for text, names in said.items():
        yield f"will refuse {', '.join(dict.fromkeys(names))} {text}"
