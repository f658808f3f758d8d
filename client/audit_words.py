"""A line of the audit log in words, for the hospital's own people."""

from collections.abc import Mapping
from typing import Any


def in_words(entry: Mapping[str, Any]) -> str:
    """Return what one audit entry says."""
    when = str(entry.get("time", ""))[:19].replace("T", " ")
    what = f"round {entry.get('round')}, {entry.get('problem')} ({entry.get('phase')})"
    if entry.get("event") == "release":
        return f"{when}  SENT     {what}: {_sent(entry)}{_private(entry)}"
    if entry.get("event") == "refusal":
        return f"{when}  REFUSED  {what}: {entry.get('reason')} - {entry.get('detail')}"
    if entry.get("event") == "approval":
        study, bundle = str(entry.get("study"))[:12], str(entry.get("bundle"))[:12]
        return f"{when}  LET IN   study {study} and code {bundle}"
    if entry.get("event") == "withdrawal":
        return f"{when}  LET OUT  study {str(entry.get('study'))[:12]}"
    return f"{when}  {entry.get('event')}"


def _sent(entry: Mapping[str, Any]) -> str:
    fields = ", ".join(entry.get("fields", [])[:6])
    more = int(entry.get("n_fields", 0)) - 6
    names = f"{fields} and {more} more" if more > 0 else fields
    others = len(entry.get("sites", [])) - 1
    how = f"masked, only the sum with {others} other sites can be read"
    if not entry.get("masked"):
        how = "IN CLEAR, as the policy allows this site's own sums"
    elif entry.get("alone"):
        how += "; with the fits without this site its own follow, as the policy allows"
    return f"{entry.get('n_values')} numbers ({names}), {entry.get('n_bytes')} bytes, {how}"


def _private(entry: Mapping[str, Any]) -> str:
    privacy, shapes = entry.get("privacy"), entry.get("shapes")
    if shapes:
        return (
            f"; with noise of its own, epsilon {shapes['epsilon']:g} over all its columns, "
            f"{shapes['total']:g} with those before"
        )
    if not privacy:
        return ""
    return f"; with noise, privacy spent so far: epsilon {privacy['epsilon']:g}"
