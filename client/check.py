"""Check a site's cohort against a study's contract, and say everything that is wrong.

Mistakes of the file as a whole are findings: the study cannot run. Everything else is a
problem of one case, which is left out and counted, or kept with a warning. Texts are
for the site's own people; only the counts of the flow may leave a site.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path

from client.cases import Case, CaseProblem, Flow, Severity
from client.check_images import look_inside
from client.ingest.cohort_csv import FILE, Row, Sheet, read_sheet
from client.ingest.values import read_value
from client.paths import Reach
from common.cohort import CASE_ID, MISSING, PATIENT_ID, RESERVED, SPLIT, SPLITS, Cohort
from common.errors import Finding
from common.flow import Code
from common.settings import nearest

SESSION = "session"

_Remark = tuple[str, Code, str]  # column, what is the matter, the same for people


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a check.

    Attributes:
        cases: that fit the contract, in the order of case_id.
        findings: mistakes with which the study cannot run; `cases` is then not to be
            used.
        warnings: what somebody should look at, about the file as a whole.
        problems: of single cases, in the order of the file.
        flow: counts.
    """

    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    problems: tuple[CaseProblem, ...]
    flow: Flow


@dataclass(frozen=True, slots=True)
class _Read:
    """A row with what was found in it."""

    row: Row
    case: Case
    problems: tuple[CaseProblem, ...]


def check(
    contract: Cohort,
    folder: Path,
    *,
    renames: Mapping[str, str] | None = None,
    further: Sequence[Path] = (),
    deep: bool = True,
    cache: Path | None = None,
) -> Checked:
    """Return the cases of a folder that fit a contract, and all that does not fit.

    Args:
        contract: what the study expects.
        folder: of the site, with cohort.csv.
        renames: the study's name of a column by the site's own.
        further: folders besides this one in which its files may lie.
        deep: whether to open images and masks; else they only have to exist.
        cache: folder to remember what was in the images, or None.
    """
    sheet = read_sheet(folder / FILE, renames)
    if not sheet.columns:
        return Checked((), sheet.findings, (), (), _flow([], [], []))
    absent, warnings = _absent_columns(contract, sheet)
    read = [_read(contract, folder, sheet, row) for row in sheet.rows]
    problems = [p for r in read for p in r.problems] + _patients_in_two_splits(read)
    strays = _strays(read, Reach(folder, further))
    if deep:
        inside = {r.row.line: r.case for r in read if r.row.line not in strays}
        problems += look_inside(contract, inside, cache)
    problems.sort(key=lambda problem: problem.row)
    excluded = {p.row for p in problems if p.severity is Severity.ERROR}
    kept = [r for r in read if r.row.line not in excluded]
    cases = tuple(sorted((r.case for r in kept), key=lambda case: case.case_id))
    findings = (*sheet.findings, *absent, *_identifiers(sheet), *_outside(strays))
    findings = findings or tuple(_nobody(cases, problems))
    flow = _flow(read, kept, problems)
    return Checked(() if findings else cases, findings, warnings, tuple(problems), flow)


def _absent_columns(
    contract: Cohort, sheet: Sheet
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return mistakes and warnings about columns that the heading lacks."""
    parts = (contract.images, contract.masks, contract.columns)
    wanted = {name: item.required for part in parts for name, item in part.items()}
    wanted |= {CASE_ID: True, PATIENT_ID: True}
    spare = [c for c in sheet.columns if c not in wanted and c not in RESERVED]
    none = " (the study names every column that the file has)"
    absent = [name for name in wanted if name not in sheet.columns]
    needed = tuple(
        Finding(FILE, 1, name, f"the column is missing{nearest(name, spare) if spare else none}")
        for name in absent
        if wanted[name]
    )
    text = "no such column; every case counts as missing"
    optional = tuple(
        Finding(FILE, 1, name, f"{text}{nearest(name, spare) if spare else none}")
        for name in absent
        if not wanted[name]
    )
    return needed, optional


def _identifiers(sheet: Sheet) -> Iterator[Finding]:
    """Yield what keeps rows from being told apart, or from being split."""
    first: dict[str, int] = {}
    for row in sheet.rows:
        case_id = row.cells.get(CASE_ID, "")
        if not case_id and CASE_ID in row.cells:
            yield Finding(FILE, row.line, CASE_ID, "expected a name, got an empty cell")
        elif case_id in first:
            text = f'"{case_id}" stands already in row {first[case_id]}'
            yield Finding(FILE, row.line, CASE_ID, text)
        elif case_id:
            first[case_id] = row.line
        split = row.cells.get(SPLIT, "").casefold()
        if split and split not in SPLITS:
            text = f'({case_id}) unknown split "{split}"{nearest(split, [*SPLITS])}'
            yield Finding(FILE, row.line, SPLIT, text)


def _read(contract: Cohort, folder: Path, sheet: Sheet, row: Row) -> _Read:
    """Return a row as a case, with the problems that need no image opened."""
    cells = row.cells
    values = {
        name: read_value(cells.get(name, ""), column, decimal_comma=sheet.decimal_comma)
        for name, column in contract.columns.items()
        if name in cells
    }
    drawn = (*contract.images, *contract.masks)
    paths = {name: _path(cells.get(name, ""), folder) for name in drawn}
    remarks = [
        *_patient_remarks(cells),
        *_file_remarks(contract, paths, cells),
        *((name, v.code, v.text) for name, v in values.items() if v.code),
    ]
    case = Case(
        case_id=cells.get(CASE_ID, ""),
        patient_id=cells.get(PATIENT_ID, ""),
        split=cells.get(SPLIT, "").casefold(),
        session=cells.get(SESSION, ""),
        images={n: p for n in contract.images if (p := paths[n]) is not None},
        masks={n: paths[n] for n in contract.masks},
        values={n: values[n].number if n in values else nan for n in contract.columns},
    )
    problems = tuple(
        CaseProblem(case.case_id, Severity.ERROR, code, text, row.line, name)
        for name, code, text in remarks
    )
    return _Read(row, case, problems)


def _path(cell: str, folder: Path) -> Path | None:
    return None if cell in MISSING else folder / cell


def _strays(read: Sequence[_Read], reach: Reach) -> dict[int, list[tuple[str, str]]]:
    """Return column and cell of every file out of reach, by the row's line."""
    strays: dict[int, list[tuple[str, str]]] = {}
    for r in read:
        for name, path in {**r.case.images, **r.case.masks}.items():
            if path is not None and not reach.holds(path):
                strays.setdefault(r.row.line, []).append((name, r.row.cells[name]))
    return strays


def _outside(strays: Mapping[int, Sequence[tuple[str, str]]]) -> Iterator[Finding]:
    """Yield one finding a column: its first file out of reach, and how many there are."""
    found: dict[str, list[tuple[int, str]]] = {}
    for line, names in strays.items():
        for name, cell in names:
            found.setdefault(name, []).append((line, cell))
    for name, cells in found.items():
        line, cell = cells[0]
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        text = (
            f'"{cell}"{more}: outside the site\'s folder; the site itself may open further ones: '
        )
        yield Finding(FILE, line, name, text + "further_folders: [...]")


def _patient_remarks(cells: Mapping[str, str]) -> Iterator[_Remark]:
    if cells.get(PATIENT_ID) == "":
        yield PATIENT_ID, Code.NO_PATIENT, "expected a pseudonym, got an empty cell"


def _file_remarks(
    contract: Cohort, paths: Mapping[str, Path | None], cells: Mapping[str, str]
) -> Iterator[_Remark]:
    """Yield what is the matter with the paths of a row."""
    for name, path in paths.items():
        is_image = name in contract.images
        code = Code.IMAGE_MISSING if is_image else Code.MASK_MISSING
        item = contract.images[name] if is_image else contract.masks[name]
        if path is not None and not _exists(path):
            yield name, code, f'no such file: "{cells[name]}"'
        elif path is None and item.required and name in cells:
            yield name, code, "no file is named, but the study requires it"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name no file can have
        return False


def _patients_in_two_splits(read: Sequence[_Read]) -> list[CaseProblem]:
    splits: dict[str, set[str]] = {}
    for r in read:
        if r.case.patient_id:
            splits.setdefault(r.case.patient_id, set()).add(r.case.split)
    return [
        CaseProblem(
            r.case.case_id,
            Severity.ERROR,
            Code.PATIENT_IN_TWO_SPLITS,
            f'patient "{r.case.patient_id}" is in '
            + " and in ".join(split or "none" for split in sorted(found)),
            r.row.line,
            SPLIT,
        )
        for r in read
        if len(found := splits.get(r.case.patient_id, set())) > 1
    ]


def _nobody(cases: Sequence[Case], problems: Sequence[CaseProblem]) -> Iterator[Finding]:
    """Yield a finding where no case is left."""
    if cases:
        return
    errors = Counter(p.code for p in problems if p.severity is Severity.ERROR)
    why = ", ".join(f"{code} ({n})" for code, n in errors.most_common(3))
    text = f"no case fits the study: {why}" if why else "no row below the heading"
    yield Finding(FILE, None, "", text)


def _flow(read: Sequence[_Read], kept: Sequence[_Read], problems: Sequence[CaseProblem]) -> Flow:
    first: dict[int, Code] = {}
    for problem in problems:
        if problem.severity is Severity.ERROR:
            first.setdefault(problem.row, problem.code)
    rows = {r.row.line for r in kept}
    warned = {(p.row, p.code) for p in problems if p.severity is Severity.WARNING and p.row in rows}
    return Flow(
        n_screened=len(read),
        n_included=len(kept),
        n_patients=len({r.case.patient_id for r in kept}),
        excluded=dict(Counter(first.values())),
        warned=dict(Counter(code for _, code in warned)),
        splits=dict(Counter(r.case.split for r in kept)),
    )
