"""The errors callers tell apart, and the only words a site says when it refuses.

Refused       a site will not answer; only its Reason ever leaves the site
ConfigError   a file the user wrote has mistakes; carries all of them
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a site did not answer. A fixed list: free text could name a patient."""

    STUDY_NOT_APPROVED = "study_not_approved"
    UNKNOWN_STEP = "unknown_step"
    NOT_MADE = "not_made"
    COLUMN_NOT_ALLOWED = "column_not_allowed"
    COHORT_TOO_SMALL = "cohort_too_small"
    CELL_TOO_SMALL = "cell_too_small"
    SELECTION_TOO_SMALL = "selection_too_small"
    MODEL_SATURATED = "model_saturated"
    TOO_MANY_NUMBERS = "too_many_numbers"
    DIFFERENCING = "differencing"
    COHORT_CHANGED = "cohort_changed"
    TOO_FEW_SITES = "too_few_sites"
    PER_SITE_NOT_ALLOWED = "per_site_not_allowed"
    ONLY_TOGETHER = "only_together"
    OWN_SUMS_FOLLOW = "own_sums_follow"
    NETWORK_NOT_SHARED = "network_not_shared"
    BUDGET_SPENT = "budget_spent"
    ROSTER_MISMATCH = "roster_mismatch"
    STALE_ASK = "stale_ask"
    WRONG_SHAPE = "wrong_shape"
    NOT_FINITE = "not_finite"
    OUT_OF_BOUND = "out_of_bound"
    COHORT_INVALID = "cohort_invalid"
    NO_CASES = "no_cases"
    OTHER_SOFTWARE = "other_software"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    AUDIT_BROKEN = "audit_broken"
    MALFORMED_ASK = "malformed_ask"
    STOPPED = "stopped"
    INTERNAL = "internal"
    # What the coordinator notes about a site that sent nothing usable.
    NO_REPLY = "no_reply"
    UNREACHABLE = "unreachable"
    CRASHED = "crashed"
    MALFORMED_REPLY = "malformed_reply"
    BAD_SIGNATURE = "bad_signature"


class Refused(Exception):
    """A site will not answer.

    Attributes:
        reason: the one word that leaves the site.
        detail: for the site's own log; never sent.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake in a file a user wrote, or in a cohort.

    Attributes:
        file: the file as the user named it.
        line: 1-based line, or None where the mistake has no line.
        path: dotted path of the setting, such as "steps.table1.columns".
        message: what was expected and what was found.
    """

    file: str
    line: int | None
    path: str
    message: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


def why_not_opened(error: OSError) -> str:
    """Return in words, without the file's name, why a file could not be opened."""
    known: dict[type[OSError], str] = {
        FileNotFoundError: "there is no such file; see its name and the folder you are in",
        IsADirectoryError: "is a folder, expected a file",
        NotADirectoryError: "lies in a file, not in a folder",
        PermissionError: "this user may not open it",
    }
    by_number = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "this user may store no more here (quota)",
        errno.EROFS: "can only be read, the disk it is on is mounted read-only",
    }
    said = error.strerror or str(error)
    return known.get(type(error)) or by_number.get(error.errno or 0, said)


class ConfigError(Exception):
    """A user's file has mistakes; `findings` holds every one of them."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = tuple(findings)
