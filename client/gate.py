"""The one way out of a site: only this file makes a reply.

policy - schema - disclosure - ledger - audit line on disk - mask - send. It fails closed: whatever
goes wrong becomes a bare Reason; texts, paths and patients stay in the site's own log.
"""

import errno
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client import audit, masking
from client.beside import with_counts_beside
from client.between import check_between
from client.cohorts import SiteCohort, load_cohort
from client.derived import made_at
from client.disclosure import (
    check_by_site,
    check_cohort,
    check_keepers,
    check_saturation,
    check_selection,
    check_sums,
    in_clear,
)
from client.files import boot, overwrite
from client.fold_sizes import check_folds
from client.ledger import Ledger, freeze, release_of
from client.policy import approved_study, check_columns, check_group, narrowed
from client.selections import Rows
from client.site import Site
from client.steps import Work, find_work
from client.tables import Source, make_table, require
from common.analyses.analysis import APPLY
from common.codec import Malformed
from common.errors import Reason, Refused
from common.messages import Packet, Posed, Replies, Reply, Round
from common.privacy.encoding import Words, encode, layout
from common.sums import Schema, conform

log = logging.getLogger(__name__)


def safely(make: Callable[[], Packet]) -> Packet:
    """Return the packet `make` returns, or, whatever it raises, one with a bare reason."""
    try:
        return make()
    except Exception as error:
        reason, detail = _reason(error)
        log.warning("%s: %s", reason, detail, exc_info=error)
        return Packet({"failed": str(reason)})


def answer(site: Site, message: Round) -> Replies:
    """Return this site's replies to every ask of a round; never raises."""
    turn = _Turn(_broken(site))
    replies = tuple(_answer_one(site, message, posed, turn) for posed in message.asks)
    return Replies(site.name, replies, turn.seconds)


@dataclass
class _Turn:
    """What all answers of a round share.

    Attributes:
        broken: what is wrong with the log, if anything is.
        seconds: spent on the site's own cases.
    """

    broken: Exception | None
    seconds: float = 0.0

    def check_log(self) -> None:
        """Raise what is wrong with the log: with a line changed anywhere nothing leaves."""
        if self.broken is not None:
            raise self.broken


def _broken(site: Site) -> Exception | None:
    """Return what is wrong with the log.

    Once a round: it is all of a log that grows for years, and every line written since
    holds the one before it.
    """
    try:
        audit.check(site.workspace / "audit.jsonl")
    except (audit.AuditBroken, OSError) as error:
        return error
    return None


def _answer_one(site: Site, message: Round, posed: Posed, turn: _Turn) -> Reply:
    try:
        return _release(site, message, posed, turn)
    except Exception as error:
        reason, detail = _reason(error)
        log.warning("%s %s: %s", posed.problem, reason, detail, exc_info=error)
        _record_refusal(site, message, posed, reason, detail)
        return Reply(posed.problem, reason=reason)


def _reason(error: Exception) -> tuple[Reason, str]:
    if isinstance(error, Refused):
        return error.reason, error.detail
    if isinstance(error, Malformed):
        return Reason.MALFORMED_ASK, str(error)
    if isinstance(error, audit.AuditBroken):
        return Reason.AUDIT_BROKEN, str(error)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return Reason.OUT_OF_MEMORY, str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Reason.DISK_FULL, str(error)
    return Reason.INTERNAL, f"{type(error).__name__}: {error}"


def _release(site: Site, message: Round, posed: Posed, turn: _Turn) -> Reply:
    turn.check_log()
    whole = approved_study(site, message.hello.study)
    masking.check_members(site, message)
    check_group(site, posed.group)
    if posed.step not in whole.bound:
        raise Refused(Reason.UNKNOWN_STEP, f'the study has no step "{posed.step}"')
    check_by_site(site.policy, whole, posed)
    study = narrowed(whole, posed.ask.chosen)
    step = study.bound[posed.step]
    check_columns(site.policy, step.columns())
    cohort = load_cohort(site, study)
    check_cohort(site.policy, cohort.n_patients)
    check_keepers(site, whole, cohort.cases, message, posed)
    made = made_at(site, whole, message.hello.run, cohort.cases)
    rows = Rows(whole, cohort.cases, made, in_clear(whole, posed))
    _check_cases(site, rows, message, posed, cohort)
    check_saturation(site.policy, study, cases=cohort.cases, posed=posed)
    frozen = freeze(site, study, message.hello.study, cohort)
    work = with_counts_beside(find_work(site, study, cohort, message, posed), rows, posed)
    ledger = Ledger.open(site, message.hello.study)
    check_between(site, ledger, whole, cases=cohort.cases, message=message, posed=posed)
    knowable = len(whole.bound[posed.step].columns())
    release = release_of(step, message, posed, work, knowable)
    spent = ledger.check(site.policy, message, posed, release, cohort.n_patients)
    account = work.account()
    words = _words(site, message, posed, work, turn)
    ledger.note(message, posed, release)
    about = {"cohort": frozen, "spent": round(spent, 1), "alone": work.alone, **account}
    _record_release(site, message, posed, work.schema, about)
    return masking.seal(site, message, posed, words, work.schema)


def _check_cases(site: Site, rows: Rows, message: Round, posed: Posed, cohort: SiteCohort) -> None:
    """Check a step's cases and folds: the same for every round of a step that sums alike."""
    whole, made, alone = rows.study, rows.made, rows.alone
    applies = posed.ask.phase == APPLY
    about = (message.hello.study, posed.step, len(posed.group), alone, applies)
    judged = (site.policy, *about, made.digest())
    if judged not in cohort.known:
        try:
            check_selection(site.policy, whole, cases=cohort.cases, posed=posed, made=made)
        except Refused:
            columns = whole.bound[posed.step].columns()
            source = Source(site, whole, message.hello.run)
            # What it reads may be missing as its formula was refused: then that is the reason.
            require(make_table(source, cohort.cases, columns, alone=alone), columns)
            raise
        check_folds(site.policy, whole, cohort.cases, posed, alone=alone)
        cohort.known[judged] = True


def _words(site: Site, message: Round, posed: Posed, work: Work, turn: _Turn) -> Words:
    """Return the encoded sums: those kept of this very ask, or fresh ones, then kept."""
    alone = work.alone
    key = json.dumps(
        [message.hello.study, posed.step, posed.ask.digest(), alone, work.data, boot()]
    )
    name = hashlib.sha256(posed.problem.encode()).hexdigest()[:16]
    path = site.room("runs", message.hello.run, "sums") / f"{name}.bin"
    stamp = hashlib.sha256(key.encode()).digest()
    kept = _kept_words(path, stamp, layout(work.schema).n_words)
    if kept is not None:
        return kept
    begin = time.monotonic()
    sums = work.summarise()
    turn.seconds += time.monotonic() - begin
    conform(sums, work.schema)
    check_sums(site.policy, sums, work.schema, alone=alone)
    words = encode(sums, work.schema)
    overwrite(path, stamp, words.data.cast("B"))
    return words


def _kept_words(path: Path, stamp: bytes, n_words: int) -> Words | None:
    if not path.exists():
        return None
    with path.open("rb") as file:
        if file.read(len(stamp)) != stamp:
            return None
        words = np.fromfile(file, np.uint64)
    return words if words.size == n_words else None


def _record_release(
    site: Site, message: Round, posed: Posed, schema: Schema, about: Mapping[str, object]
) -> None:
    names = sorted(schema)
    audit.record(
        site.workspace / "audit.jsonl",
        event="release",
        **_where(message, posed),
        fields=names[:20],
        n_fields=len(names),
        n_values=sum(field.size for field in schema.values()),
        n_bytes=8 * layout(schema).n_words,
        masked=len(posed.group) > 1,
        **about,
    )


def _record_refusal(site: Site, message: Round, posed: Posed, reason: Reason, detail: str) -> None:
    """Note a refusal; it leaves the site even where the log takes no more lines."""
    try:
        audit.record(
            site.workspace / "audit.jsonl",
            event="refusal",
            **_where(message, posed),
            reason=str(reason),
            detail=detail[:2000],
        )
    except (OSError, audit.AuditBroken):
        log.exception("the audit log could not be written")


def _where(message: Round, posed: Posed) -> dict[str, object]:
    hello = message.hello
    return {
        "run": hello.run,
        "study": hello.study,
        "round": message.number,
        "attempt": message.attempt,
        "step": posed.step,
        "problem": posed.problem,
        "phase": posed.ask.phase,
        "ask": posed.ask.digest(),
        "sites": list(posed.group),
    }
