"""What a site remembers of a study: its cohort, whom it answered, how many numbers it gave.

One refusal rests on one reply, the rules here on all of them: a cohort that changes by a
patient between two asks (R6), the same sums over nearly the same sites (R1), an ask out
of turn, more numbers than a cohort should give (R5). The memory is hash-chained as the
audit log is, one file a study in the workspace, `ledger/`; a line is on the disk before
the reply is sent.

A site knows its own patients and how many sites are in a sum, nothing else. Where a rule
is about the patients of all of them, n, each site puts its own number times the sites:
the smallest site's product is at most n, so where all agree the rule holds for n.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any

from client import audit
from client.cases import Case
from client.cohorts import SiteCohort, select
from client.facts import Wanted, find_facts
from client.files import write_atomically
from client.site import Site
from client.steps import Work
from common.errors import Reason, Refused
from common.messages import Posed, Round
from common.nested import base_of
from common.sites import PolicySettings
from common.step import Step
from common.study import Study
from common.sums import COUNT_BOUND, Field

Marks = Mapping[str, str]
"""A digest of what is known of each patient, by a digest of who it is."""


@dataclass(frozen=True)
class Release:
    """What one ask would let out.

    Attributes:
        what: digest of what is asked, the same wherever and whenever it is asked again.
        step: of the study.
        numbers: how many sums of values, see `release_of`.
        knowable: how many numbers there are to know of a patient: the columns of the
            step, all those it could be narrowed to.
        guarded: there are counts in it that this site would not show alone.
        clear: this site's own sums go out, or follow from those that do.
        chosen: digest of the columns that earlier steps have chosen, "" without.
    """

    what: str
    step: str
    numbers: int
    knowable: int
    chosen: str = ""
    guarded: bool = False
    clear: bool = False


def release_of(step: Step, message: Round, posed: Posed, work: Work, knowable: int) -> Release:
    """Return what an ask would let out.

    Counts of patients are not among its numbers: how fine they may be is ruled by their
    declaration (R3), and they say which values occur, not who has them. A training has
    no columns: the weights of a network are more than there is to know of its patients,
    and no limit on their number would protect anybody.

    Args:
        step: its settings count, but not over which sites it is asked.
        message: columns that steps have made are other columns in another run.
        posed: the ask.
        work: what it comes to.
        knowable: columns of the step before any choice.
    """
    made = any("." in column for column in step.columns())
    settings = step.model_dump_json(exclude={"over"})
    words = [settings, posed.ask.digest(), work.data, message.hello.run if made else ""]
    numbers = sum(f.size for f in work.schema.values() if not _counts_patients(f))
    chosen = sorted((at, *of) for at, of in posed.ask.chosen.items())
    return Release(
        _digest(words),
        posed.step,
        numbers,
        knowable,
        chosen=_digest(chosen) if chosen else "",
        guarded=any(field.alone != "free" for field in work.schema.values()),
        clear=work.alone,
    )


def _counts_patients(field: Field) -> bool:
    return field.kind == "count" and field.bound <= COUNT_BOUND  # products of ranks exceed it


@dataclass(frozen=True)
class Ledger:
    """What was let out of one study, in any run.

    Attributes:
        path: the file; its lines have the form of an audit log's.
        entries: its lines when it was opened.
    """

    path: Path
    entries: tuple[Mapping[str, Any], ...]

    @classmethod
    def open(cls, site: Site, study: str) -> "Ledger":
        """Return the ledger of a study.

        Raises:
            AuditBroken: a line was changed: nothing leaves until a person has looked.
        """
        path = site.room("ledger") / f"{study}.jsonl"
        return cls(path, tuple(audit.entries(path)))

    def check(
        self, policy: PolicySettings, message: Round, posed: Posed, release: Release, n: int
    ) -> float:
        """Check that a release goes with those before it.

        Args:
            policy: the hospital's thresholds.
            message: the round.
            posed: the ask.
            release: what it would let out.
            n: patients of this site's cohort.

        Returns:
            Numbers let out of the study so far, a patient, with these.

        Raises:
            Refused: STALE_ASK, DIFFERENCING or TOO_MANY_NUMBERS.
        """
        self._check_turn(message, posed)
        self._check_choice(message, release)
        clear = release.clear or len(posed.group) == 1
        if not clear and (release.guarded or not policy.per_site):
            self._check_sites(policy.fewest_sites, message, posed, release.what)
        spent = self._spent(release, n if clear else n * len(posed.group), clear=clear)
        if release.numbers and spent > policy.most_numbers_per_patient:
            detail = f"{spent:.0f} numbers a patient, policy: {policy.most_numbers_per_patient:g}"
            raise Refused(Reason.TOO_MANY_NUMBERS, detail)
        return spent

    def note(self, message: Round, posed: Posed, release: Release) -> None:
        """Write down what is let out.

        Raises:
            OSError: it could not be written: then nothing may be sent.
        """
        audit.record(
            self.path,
            run=message.hello.run,
            session=message.hello.session,
            round=message.number,
            problem=posed.problem,
            ask=posed.ask.digest(),
            sites=list(posed.group),
            keeping=keeping(message, posed),
            **asdict(release),
        )

    def _check_turn(self, message: Round, posed: Posed) -> None:
        """Check that a new ask comes in its turn.

        Within a run, rounds and sessions go forward, and a round holds one ask of a
        problem. What was answered before may be asked again, as after a crash: it gives
        the same sums.
        """
        run = [e for e in self.entries if e["run"] == message.hello.run]
        asked = posed.ask.digest()
        if any(e["problem"] == posed.problem and e["ask"] == asked for e in run):
            return
        session = [e for e in run if e["session"] == message.hello.session]
        if session and run[-1]["session"] != message.hello.session:
            raise Refused(Reason.STALE_ASK, "a new ask of a session that has ended")
        for entry in session:
            same = entry["round"] == message.number and entry["problem"] == posed.problem
            if entry["round"] > message.number or same:
                detail = f"a new ask for round {message.number}, which has passed"
                raise Refused(Reason.STALE_ASK, detail)

    def _check_choice(self, message: Round, release: Release) -> None:
        """Check that a step reads one choice of columns in a run.

        An earlier step chooses once. Sums over many choices would be the sums of a model
        the study does not hold, such as every single column of a step that has all.
        """
        for entry in self.entries:
            same = (entry["run"], entry["step"]) == (message.hello.run, release.step)
            if same and entry.get("chosen", "") != release.chosen:
                detail = "a step that has read another choice of columns in this run"
                raise Refused(Reason.DIFFERENCING, detail)

    def _check_sites(self, fewest: int, message: Round, posed: Posed, what: str) -> None:
        """Check that the same sums are not had over two groups that differ by few sites (R1).

        Subtracting would show the sums of those few alone: each site guards its partners.
        Within a problem a group may only lose sites, as it does when a site fails; that
        a site has failed this one cannot know. A policy that lets this site's own numbers
        out is taken to be one of a consortium that shows them; but not cells and grids,
        which no site shows alone: a total over all sites beside that over the developing
        ones would show those of the external site.
        """
        group = set(posed.group)
        for entry in self.entries:
            before = set(entry["sites"])
            if (entry["run"], entry["what"]) != (message.hello.run, what) or len(before) == 1:
                continue
            if entry["problem"] != posed.problem:
                allowed = group == before or len(group ^ before) >= fewest
            else:
                allowed = group <= before or entry["session"] != message.hello.session
            if not allowed:
                detail = f"the same sums over {sorted(before)} and over {sorted(group)}"
                raise Refused(Reason.DIFFERENCING, detail)

    def _spent(self, release: Release, patients: int, *, clear: bool) -> float:
        """Return the numbers a patient that left, in clear or in masked sums, with these (R5).

        What was let out before counts once. A step counts for no more than there is to
        know: one number a patient and column; all it sums is made of those. Its refits
        without a fold read the same columns of the same patients, and count with it.
        """
        given = {e["what"]: e for e in self.entries if _was_clear(e) == clear}
        given[release.what] = asdict(release)
        of_step: dict[tuple[str, int], int] = defaultdict(int)
        for entry in given.values():
            of_step[base_of(entry["step"]), entry["knowable"]] += entry["numbers"]
        return sum(min(n / patients, knowable) for (_, knowable), n in of_step.items())


def keeping(message: Round, posed: Posed) -> list[str]:
    """Return who has not said, on joining, that its own sums may go out."""
    said = {name for name, joined in message.members.items() if joined.per_site}
    return [name for name in posed.group if name not in said]


def _was_clear(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("clear")) or len(entry["sites"]) == 1


def freeze(site: Site, study: Study, sha256: str, cohort: SiteCohort) -> str:
    """Return the digest of a cohort, which the first ask of a study freezes (R6).

    The cohort is case identifiers, patients, splits, values and the voxels of images and
    masks. A later one of the same study must be equal or, as a whole and in every
    selection of cases the study makes, differ from each earlier one by `smallest_cell`
    patients.

    Raises:
        Refused: COHORT_CHANGED.
    """
    if (study.name, sha256) in cohort.known:
        return str(cohort.known[study.name, sha256])
    digest = cohort.known[study.name, sha256] = _freeze(site, study, sha256, cohort)
    return digest


def _freeze(site: Site, study: Study, sha256: str, cohort: SiteCohort) -> str:
    rows = _rows(cohort.cases, site.room("cache", "check"))
    whole = _marks(cohort.cases, rows)
    digest = hashlib.sha256(json.dumps(sorted(whole.items())).encode()).hexdigest()
    folder = site.room("ledger", f"{sha256}.cohorts")
    path = folder / f"{digest}.json"
    if path.exists():
        return digest
    wanted = {repr(step.cases): step.cases for step in study.bound.values()}
    selected = [_marks(select(study, cohort.cases, one), rows) for one in wanted.values()]
    parts = [whole, *(part for part in selected if part != whole)]
    for known in sorted(folder.glob("*.json")):
        n = _fewest_different(json.loads(known.read_bytes()), parts)
        if n < site.policy.smallest_cell:
            detail = f"{n} patients differ from those frozen as {known.stem}: "
            detail += "take the old cohort, or approve a new version of the study"
            raise Refused(Reason.COHORT_CHANGED, detail)
    write_atomically(path, json.dumps(parts).encode(), mode=0o600)
    return digest


def _rows(cases: Iterable[Case], cache: Path) -> dict[str, str]:
    """Return the digest of each case, with the voxels of its files."""
    files = {case.case_id: list(_files(case)) for case in cases}
    found = find_facts((f for of in files.values() for _, f in of), cache)
    rows = {}
    for case in cases:
        voxels = [[name, found[file].digest] for name, file in files[case.case_id]]
        row = [case.case_id, case.split, sorted(case.values.items()), voxels]
        rows[case.case_id] = json.dumps(row)
    return rows


def _files(case: Case) -> Iterator[tuple[str, Wanted]]:
    for name, path in sorted(case.images.items()):
        if path.exists():
            yield name, ("image", path)
    for name, mask in sorted(case.masks.items()):
        if mask is not None and mask.exists():
            yield name, ("mask", mask)


def _marks(cases: Iterable[Case], rows: Mapping[str, str]) -> dict[str, str]:
    of_patient: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        of_patient[case.patient_id].append(rows[case.case_id])
    return {name_of_patient(p): _digest(sorted(of)) for p, of in of_patient.items()}


def name_of_patient(patient_id: str) -> str:
    """Return what a frozen cohort calls a patient: a digest."""
    return _digest([patient_id])


def _digest(words: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]


def _fewest_different(old: Iterable[Marks], new: Iterable[Marks]) -> float:
    """Return the fewest patients, above none, by which a new part differs from an old one."""
    new = list(new)
    differ = [sum(a.get(p) != b.get(p) for p in a.keys() | b.keys()) for a in old for b in new]
    return min((n for n in differ if n), default=inf)
