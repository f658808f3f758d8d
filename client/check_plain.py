"""Check a site's cohort as far as that goes without a study, in words for its own people."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from client.check import Checked, check
from client.check_words import placed, strange_renames
from client.ingest.cohort_csv import FILE, Sheet, read_sheet
from client.site import Site
from common.cohort import MISSING, RESERVED, Cohort, Image

_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_NEEDS_STUDY = (
    "only with the study can be checked: which columns and images it needs, units, ranges and "
    "levels, labels and grids of masks, the voxels themselves: consortium site check SITE STUDY"
)


def check_plain(site: Site) -> Iterator[tuple[str, bool]]:
    """Yield what was found in a site's cohorts, and whether it is a mistake.

    Tables, identifiers and splits, and of each file that a table names whether it is there and
    within reach, and its header can be read.
    """
    for own, why in strange_renames(site.settings.columns, site.cohorts).items():
        yield f"columns.{own}: {why}", True
    for folder in site.cohorts:
        yield from _check_folder(site, folder)
    yield _NEEDS_STUDY, False


def _check_folder(site: Site, folder: Path) -> Iterator[tuple[str, bool]]:
    sheet = read_sheet(folder / FILE, site.settings.columns)
    named = _file_columns(sheet)
    contract = Cohort.model_construct(
        images={name: Image(modality="MR", required=False) for name in named}
    )
    renames, further = site.settings.columns, site.further_folders
    checked = check(contract, folder, renames=renames, further=further, deep=False)
    wrong = [*(placed(f, folder) for f in checked.findings)]
    wrong += [f"{folder / FILE}: {problem}" for problem in checked.problems]
    files = sorted({p for c in checked.cases for p in c.images.values()})
    wrong += [f"{path}: not readable: {why}" for path, why in _unreadable(files)]
    yield from ((text, True) for text in wrong)
    if not checked.findings:
        yield f"{folder / FILE}: {_counts(checked, named, len(files))}", False


def _counts(checked: Checked, named: Sequence[str], n_files: int) -> str:
    flow = checked.flow
    text = f"{flow.n_included} of {flow.n_screened} cases sound, {flow.n_patients} patients"
    if not named:
        return f"{text}; no column names files"
    return f"{text}; {n_files} files in {', '.join(named)}, their headers looked at"


def _file_columns(sheet: Sheet) -> tuple[str, ...]:
    """Return the columns that name files, as far as their cells show."""
    return tuple(
        name
        for name in sheet.columns
        if name not in RESERVED
        and any(_is_file(row.cells[name]) for row in sheet.rows if row.cells[name] not in MISSING)
    )


def _is_file(cell: str) -> bool:
    return "/" in cell.strip("/ ") or cell.lower().endswith(_ENDINGS)


def _unreadable(files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    if not files:
        return
    from client.imageio import header_problem  # heavy: a table needs none

    for path in files:
        problem = header_problem(path)
        if problem:
            yield path, problem
