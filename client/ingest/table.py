"""Write sites' folders from one table of several centres: a row a case, a column the centre.

Names become such as a study can use: "Stage IA (i-)" is stage_ia_i, "TCGA-DU" tcga_du.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from client.ingest.cohort_csv import Row, Sheet, read_sheet, write_sheet
from client.ingest.drawn import Drawn
from common.cohort import CASE_ID, PATIENT_ID, SPLIT, SPLITS, Name
from common.errors import ConfigError, Finding
from common.settings import nearest

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_ANY = "*"
_NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True, slots=True)
class Roles:
    """Columns of the table that say whose a row is, under the table's own names.

    Attributes:
        site: the centre, each of whose values becomes a folder; of several columns, such
            as centre and test set, each combination.
        patient: the patient; several rows of one are its cases.
        split: train, validation or test; "" where there is none.
        only: "column=text": rows with this text, by the table's own names; others are
            passed over.
    """

    site: tuple[str, ...]
    patient: str
    split: str = ""
    only: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """Return the columns."""
        return tuple(name for name in (*self.site, self.patient, self.split) if name)

    def centre(self, cells: Mapping[str, str]) -> str:
        """Return whose a row is, as the table calls it."""
        return " ".join(cells[column] for column in self.site)


@dataclass(frozen=True, slots=True)
class Report:
    """What an import wrote.

    Attributes:
        folders: of each site.
        counts: cases by site and split, "" where a case has none.
    """

    folders: Mapping[str, Path]
    counts: Mapping[str, Mapping[str, int]]

    def __str__(self) -> str:
        return "\n".join(
            f"{site}: " + ", ".join(f"{n} {split or 'cases'}" for split, n in splits.items())
            for site, splits in self.counts.items()
        )


def import_table(
    table: Path,
    out_dir: Path,
    roles: Roles,
    *,
    renames: Sequence[str] = (),
    recodes: Sequence[str] = (),
    drawn: Drawn | None = None,
) -> Report:
    """Write one folder a site with cohort.csv.

    Every column is taken along but that of the site. An empty `split` stays empty.

    Args:
        table: CSV with a heading; commas, semicolons or tabs.
        out_dir: where the sites' folders go, each by the site's name.
        roles: which column is what.
        renames: "own=study", names of columns.
        recodes: "column:old=new", texts of cells; an empty new one means missing, the
            old one * every text not named. The column goes by the table's own name.
            Several centres may become one site.
        drawn: images and masks of the rows.

    Raises:
        ConfigError: with every mistake found; nothing has been written.
    """
    file = str(table)
    sheet = read_sheet(table)
    findings = [replace(finding, file=file) for finding in sheet.findings]
    names, wrong = _names(sheet.columns, roles, renames, file)
    texts, unknown = _texts(sheet, recodes, file)
    findings += [*wrong, *unknown, *_absent(sheet, roles, file), *_wrong_only(sheet, roles, file)]
    findings += [*drawn.problems(sheet.columns, file)] if drawn else []
    if findings:
        raise ConfigError(findings)
    kept = [row for row in sheet.rows if _wanted(row, roles)]
    rows = [Row(row.line, _recoded(row, texts, sheet.decimal_comma)) for row in kept]
    findings = [*_wrong_rows(rows, roles, file), *_wrong_sites(rows, roles, file)]
    if findings:
        raise ConfigError(findings)
    files = {row.line: row.cells for row in sheet.rows} if drawn else {}
    return _write(rows, roles, names, out_dir, Files(drawn, files) if drawn else None)


@dataclass(frozen=True, slots=True)
class Files:
    """Images and masks, and the rows as the table has them, by line, to fill the patterns."""

    drawn: Drawn
    rows: Mapping[int, Mapping[str, str]]


def study_name(text: str) -> str:
    """Return a text as a name for a study: a-z, 0-9 and single underscores."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")


def _names(
    columns: Sequence[str], roles: Roles, renames: Sequence[str], file: str
) -> tuple[dict[str, str], list[Finding]]:
    """Return the study's name of every column that is taken along."""
    given: dict[str, str] = {}
    findings: list[Finding] = []
    for text in renames:
        own, equals, new = text.partition("=")
        if not equals or own not in columns or own in roles.named:
            findings.append(Finding(file, 1, "--rename", _why_not_renamed(text, columns, roles)))
        given[own] = new
    names = {c: given.get(c, study_name(c)) for c in columns if c not in roles.named}
    findings += [Finding(file, 1, own, f"{m}; --rename it") for own, m in _not_names(names)]
    for name, n in Counter(names.values()).items():
        if n > 1:
            both = ", ".join(f'"{own}"' for own, new in names.items() if new == name)
            findings.append(Finding(file, 1, name, f"{both} are all called so; --rename them"))
    return names, findings


def _why_not_renamed(text: str, columns: Sequence[str], roles: Roles) -> str:
    own, equals, _ = text.partition("=")
    if not equals:
        return f'expected own=study, got "{text}"'
    if own in roles.named:
        return f'"{own}" is site, patient or split and keeps its name'
    return f'no column "{own}"{nearest(own, list(columns))}'


def _not_names(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what cannot be a name in a study, and why."""
    for own, name in names.items():
        try:
            _NAME.validate_python(name)
        except ValidationError as error:
            yield own, error.errors()[0]["msg"].removeprefix("Value error, ")


def _texts(
    sheet: Sheet, recodes: Sequence[str], file: str
) -> tuple[dict[str, dict[str, str]], list[Finding]]:
    """Return the new text of each old one, by column."""
    texts: dict[str, dict[str, str]] = {}
    findings: list[Finding] = []
    for text in recodes:
        column, colon, change = text.partition(":")
        old, equals, new = change.rpartition("=")
        why = ""
        if not colon or not equals:
            why = f'expected column:old=new, got "{text}"'
        elif column not in sheet.columns:
            why = f'no column "{column}"{nearest(column, list(sheet.columns))}'
        elif old in texts.get(column, {}):
            why = f'"{column}:{old}" is recoded twice'
        else:
            here = {_ANY, *(row.cells[column] for row in sheet.rows)}
            why = "" if old in here else f'"{column}" is never "{old}"{nearest(old, sorted(here))}'
            texts.setdefault(column, {})[old] = new
        if why:
            findings.append(Finding(file, None, "--recode", why))
    return texts, findings


def _absent(sheet: Sheet, roles: Roles, file: str) -> Iterator[Finding]:
    known = list(sheet.columns)
    options = [*(("--site", column) for column in roles.site), ("--patient", roles.patient)]
    for option, column in (*options, ("--split", roles.split)):
        if column and column not in known and known:
            yield Finding(file, 1, option, f'no column "{column}"{nearest(column, known)}')
    if known and not sheet.rows:
        yield Finding(file, None, "", "the table has no rows")
    if len(set(roles.named)) < len(roles.named):
        yield Finding(file, 1, "", "site, patient and split: expected distinct columns")


def _wrong_only(sheet: Sheet, roles: Roles, file: str) -> Iterator[Finding]:
    for text in roles.only:
        column, equals, _ = text.partition("=")
        if not equals or column not in sheet.columns:
            tip = nearest(column, list(sheet.columns))
            yield Finding(file, 1, "--only", f'expected column=text, got "{text}"{tip}')


def _wanted(row: Row, roles: Roles) -> bool:
    pairs = (text.partition("=") for text in roles.only)
    return all(row.cells[column] == text for column, _, text in pairs)


def _recoded(
    row: Row, texts: Mapping[str, Mapping[str, str]], decimal_comma: bool
) -> dict[str, str]:
    cells: dict[str, str] = {}
    for column, cell in row.cells.items():
        of = texts.get(column, {})
        text = of.get(cell, of.get(_ANY, cell))
        point = decimal_comma and _DECIMAL_COMMA.fullmatch(text)
        cells[column] = text.replace(",", ".") if point else text
    return cells


def _wrong_rows(rows: Sequence[Row], roles: Roles, file: str) -> Iterator[Finding]:
    """Yield rows of nobody, unknown splits, and patients who are divided."""
    first: dict[str, tuple[str, str, int]] = {}
    for row in rows:
        site, patient = roles.centre(row.cells), row.cells[roles.patient]
        for column in (*roles.site, roles.patient):
            if not row.cells[column]:
                yield Finding(file, row.line, column, "the cell is empty")
        split = _split(row, roles)
        if split and split not in SPLITS:
            text = f'expected train, validation or test, got "{split}"; --recode it'
            yield Finding(file, row.line, roles.split, text)
        was_site, was_split, line = first.setdefault(patient, (site, split, row.line))
        if patient and was_site != site:
            text = f'patient "{patient}" is at "{was_site}" (row {line}) and at "{site}"'
            yield Finding(file, row.line, roles.site[0], text)
        elif patient and was_split != split:
            text = f'patient "{patient}" is in "{was_split}" (row {line}) and in "{split}"'
            yield Finding(file, row.line, roles.split, text)


def _wrong_sites(rows: Sequence[Row], roles: Roles, file: str) -> Iterator[Finding]:
    """Yield centres that cannot be names of sites, or would share one in silence."""
    centres = dict.fromkeys(roles.centre(row.cells) for row in rows)
    names = {own: study_name(own) for own in centres if own.strip()}
    for own, why in _not_names(names):
        yield Finding(file, None, roles.site[0], f'"{own}": {why}; --recode it')
    for name, n in Counter(names.values()).items():
        if n > 1:
            both = ", ".join(f'"{own}"' for own, new in names.items() if new == name)
            yield Finding(file, None, roles.site[0], f'{both} all become "{name}"; --recode them')


def _split(row: Row, roles: Roles) -> str:
    return row.cells[roles.split].casefold() if roles.split else ""


def _write(
    rows: Sequence[Row],
    roles: Roles,
    names: Mapping[str, str],
    out_dir: Path,
    files: Files | None = None,
) -> Report:
    pictures = tuple(files.drawn.patterns) if files else ()
    heading = (CASE_ID, PATIENT_ID, *([SPLIT] if roles.split else []), *pictures, *names.values())
    lines: dict[str, list[dict[str, str]]] = {}
    counts: dict[str, Counter[str]] = {}
    seen: Counter[str] = Counter()
    for row in rows:
        site, patient = study_name(roles.centre(row.cells)), row.cells[roles.patient]
        seen[patient] += 1
        case = patient if seen[patient] == 1 else f"{patient}-{seen[patient]}"
        known = {CASE_ID: case, PATIENT_ID: patient}
        if roles.split:
            known[SPLIT] = _split(row, roles)
        cells = {new: row.cells[own] for own, new in names.items()}
        if files:
            cells |= files.drawn.cells(files.rows[row.line], out_dir / site)
        lines.setdefault(site, []).append(known | cells)
        counts.setdefault(site, Counter())[_split(row, roles)] += 1
    for site, sheet in lines.items():
        write_sheet(out_dir / site, heading, sheet)
    return Report({site: out_dir / site for site in lines}, counts)
