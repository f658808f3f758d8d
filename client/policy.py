"""The hospital's rules on what may be asked: study, columns, sites. They only refuse."""

from collections.abc import Iterable
from functools import lru_cache

from client.site import Site
from common.choices import Choices, NotAChoice
from common.errors import Reason, Refused
from common.sites import PolicySettings
from common.study import Study, read_study, study_hash


def approved_study(site: Site, sha256: str) -> Study:
    """Return this site's own copy of a study it has approved.

    Raises:
        Refused: STUDY_NOT_APPROVED.
    """
    if sha256 not in site.policy.approved_studies:
        raise Refused(Reason.STUDY_NOT_APPROVED, f"study {sha256} is not in the policy")
    path = site.room("studies") / f"{sha256}.yaml"
    if not path.exists():
        raise Refused(Reason.STUDY_NOT_APPROVED, f"no copy of study {sha256} at this site")
    text = path.read_text(encoding="utf-8")
    if study_hash(text) != sha256:
        raise Refused(Reason.STUDY_NOT_APPROVED, f"the copy of study {sha256} was changed")
    return _read(text, path.name)


@lru_cache(maxsize=8)
def _read(text: str, file: str) -> Study:
    """Read a study once for all asks of a process: it is its text, and never changes."""
    return read_study(text, file, again=True)


def narrowed(study: Study, chosen: Choices) -> Study:
    """Return the study where steps have chosen columns, as the coordinator says.

    Raises:
        Refused: MALFORMED_ASK: a step of this study could not have chosen them.
    """
    try:
        return study.narrowed(chosen)
    except NotAChoice as error:
        raise Refused(Reason.MALFORMED_ASK, str(error)) from None


def check_columns(policy: PolicySettings, columns: Iterable[str]) -> None:
    """Check that a study may read these columns; what a step made itself it may.

    Raises:
        Refused: COLUMN_NOT_ALLOWED.
    """
    for column in columns:
        if not policy.opens(column):
            raise Refused(Reason.COLUMN_NOT_ALLOWED, f'column "{column}" is not allowed')


def check_group(site: Site, group: tuple[str, ...]) -> None:
    """Check that a sum over these sites may be had.

    Raises:
        Refused: TOO_FEW_SITES, PER_SITE_NOT_ALLOWED or ROSTER_MISMATCH.
    """
    if site.name not in group or len(set(group)) < len(group):
        raise Refused(Reason.ROSTER_MISMATCH, f"not a group this site belongs to: {group}")
    if len(group) == 1:
        if not site.policy.per_site:
            raise Refused(Reason.PER_SITE_NOT_ALLOWED, "the policy keeps this site's own sums")
    elif len(group) < site.policy.fewest_sites:
        raise Refused(
            Reason.TOO_FEW_SITES, f"{len(group)} sites, policy: {site.policy.fewest_sites}"
        )
