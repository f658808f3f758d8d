"""Reasons, parts and failures in words that need no manual."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from common.errors import Reason
from common.sites import POOLED, Roster

REASONS: dict[Reason, str] = {
    Reason.STUDY_NOT_APPROVED: "the hospital has not approved this version of the study",
    Reason.UNKNOWN_STEP: "the hospital's copy of the study has no such step",
    Reason.NOT_MADE: "the site has not made what this step starts from",
    Reason.COLUMN_NOT_ALLOWED: "the hospital's policy does not open a column it reads",
    Reason.BUDGET_SPENT: "the hospital's budget of its patients' privacy is spent",
    Reason.COHORT_TOO_SMALL: "fewer cases than the hospital's policy asks for",
    Reason.CELL_TOO_SMALL: "a count would have shown a group of very few patients",
    Reason.SELECTION_TOO_SMALL: "the step looks at a group of very few of the site's patients",
    Reason.MODEL_SATURATED: "a model has too many coefficients for the site's patients",
    Reason.TOO_MANY_NUMBERS: "the study would take more numbers from the site than its policy "
    "allows for so few patients",
    Reason.DIFFERENCING: "subtracting it from other sums of the study would show very few "
    "patients or sites",
    Reason.COHORT_CHANGED: "a few patients of the site's cohort have changed since the study "
    "began; it needs the old cohort or a new version of the study",
    Reason.TOO_FEW_SITES: "fewer sites in the sum than the hospital's policy asks for",
    Reason.PER_SITE_NOT_ALLOWED: "the hospital releases no numbers of its own, only sums "
    "together with other sites",
    Reason.ONLY_TOGETHER: "no hospital answers this kind of step alone: its sums may only leave "
    "together with those of others",
    Reason.OWN_SUMS_FOLLOW: "the hospital keeps its own numbers, and they would follow from the "
    "total and those that others show; ask over the developing sites without `each`",
    Reason.NETWORK_NOT_SHARED: "the hospital shares no network trained on its cases alone",
    Reason.ROSTER_MISMATCH: "the hospital knows the taking part sites by other keys",
    Reason.STALE_ASK: "the question belonged to a session that was over",
    Reason.WRONG_SHAPE: "the numbers did not have the size declared for this question",
    Reason.NOT_FINITE: "a computation at the site gave a number that is not finite",
    Reason.OUT_OF_BOUND: "a sum was larger than the study's declared ranges allow",
    Reason.COHORT_INVALID: "the site's cohort does not fit the study's data contract",
    Reason.OTHER_SOFTWARE: "the site's software would extract other features than the "
    "coordinator's under this profile",
    Reason.NO_CASES: "the site has no case that this step looks at",
    Reason.OUT_OF_MEMORY: "the site's computer ran out of memory",
    Reason.DISK_FULL: "the site's disk was full",
    Reason.AUDIT_BROKEN: "the site's audit log is damaged or was changed; it sends nothing until "
    "its people have looked",
    Reason.MALFORMED_ASK: "the site could not read the question",
    Reason.STOPPED: "the coordinator ended the run, and the site stopped its work",
    Reason.INTERNAL: "something failed at the site; its own log says what",
    Reason.NO_REPLY: "no reply within the deadline",
    Reason.UNREACHABLE: "the site could not be reached",
    Reason.CRASHED: "the site's program stopped unexpectedly",
    Reason.MALFORMED_REPLY: "the coordinator could not read the reply",
    Reason.BAD_SIGNATURE: "the reply was not signed by the site's key",
}

BY_POLICY = frozenset(
    {
        Reason.STUDY_NOT_APPROVED,
        Reason.COLUMN_NOT_ALLOWED,
        Reason.COHORT_TOO_SMALL,
        Reason.CELL_TOO_SMALL,
        Reason.SELECTION_TOO_SMALL,
        Reason.MODEL_SATURATED,
        Reason.TOO_MANY_NUMBERS,
        Reason.DIFFERENCING,
        Reason.COHORT_CHANGED,
        Reason.TOO_FEW_SITES,
        Reason.PER_SITE_NOT_ALLOWED,
        Reason.ONLY_TOGETHER,
        Reason.OWN_SUMS_FOLLOW,
        Reason.NETWORK_NOT_SHARED,
    }
)
"""A site that says so works as its hospital wants it to."""

_CORRECTIONS = {"holm": "Holm", "bonferroni": "Bonferroni", "fdr_bh": "Benjamini and Hochberg"}
_TOO_FEW = "too few sites: "
_OF = " of "
_PARTS = {
    "development": "developing sites together",
    "external": "external sites",
    "all": "all sites together",
    "apply": "new columns at every site",
    "pooled": "all cases pooled",
}


def reason_in_words(reason: str) -> str:
    """Return what a reason means; an unknown one as it stands."""
    try:
        return REASONS[Reason(reason)]
    except (ValueError, KeyError):
        return reason.replace("_", " ")


def is_policy(reason: str) -> bool:
    """Return whether a site refused because its rules say so."""
    return reason in {str(known) for known in BY_POLICY}


def reasons_of(why: str) -> tuple[str, ...]:
    """Return the reasons in the text with which a part failed, if it has any.

    Of what only follows from an earlier step, the reason is that step's.
    """
    return tuple(reason.partition(_OF)[0] for reason in _parts(why))


def failure_in_words(why: str) -> str:
    """Return why a part of a step has no answer."""
    return "; ".join(_from(*part.partition(_OF)[::2]) for part in _parts(why)) or why


def reason_of(event: Mapping[str, Any]) -> str:
    """Return why a site gave nothing: the reason of the step from which it follows, if any."""
    follows: Mapping[str, str] = event.get("follows") or {}
    return str(follows.get("reason") or event.get("reason", ""))


def loss_in_words(event: Mapping[str, Any]) -> str:
    """Return why a site gave nothing, and of which earlier step that is."""
    return _from(reason_of(event), str((event.get("follows") or {}).get("step", "")))


def _from(reason: str, step: str) -> str:
    said = reason_in_words(reason)
    return f"follows from {step}, where the site gave nothing: {said}" if step else said


def _parts(why: str) -> list[str]:
    return why.removeprefix(_TOO_FEW).split(", ") if why.startswith(_TOO_FEW) else []


def part_in_words(part: str) -> str:
    """Return what a part of a step is about."""
    kind, _, site = part.partition(".")
    if site:
        return f"{site} alone"
    return _PARTS.get(kind, part.replace("_", " "))


def part_title(part: str, roster: Roster) -> str:
    """Return the heading of a part's column."""
    kind, _, site = part.partition(".")
    if site and kind != "site":
        return f"{site} alone"
    if site:
        return f"{site} (external)" if site in roster.external else site
    if part == "external" and len(roster.external) == 1:
        return f"External: {roster.external[0]}"
    titles = {"development": "Development", "external": "External", "all": "All sites"}
    return titles.get(part, "Pooled" if part == POOLED else part)


def sites_in_words(part: str, n: int) -> str:
    """Return the sites of a part, as in "the 4 developing sites" or "the external site"."""
    kind = {"development": "developing ", "external": "external "}.get(part, "")
    return f"the {kind}site" if n == 1 else f"the {n} {kind}sites"


def correction_words(how: str) -> str:
    """Return the name of a correction for several tests."""
    return _CORRECTIONS.get(how, how)


def adjusted_heading(how: str) -> str:
    """Return the heading of p values that are corrected for several tests."""
    return f"p adjusted ({correction_words(how)})"


def by_cause(said: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return for each cause those of which it is said, so that it is said once.

    Args:
        said: names, each with a cause.
    """
    found: dict[str, list[str]] = {}
    for name, why in said:
        found.setdefault(why, []).append(name)
    return found


def some(names: Sequence[str], most: int = 6) -> str:
    """Return the first of some names, and how many more there are."""
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left} more" if left > 0 else "")


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Return names as a sentence lists them."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
