"""What a check found in a cohort, in words for the site's own people."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from client.cases import CaseProblem, Severity
from client.check import Checked
from client.ingest.cohort_csv import FILE, read_sheet
from common.errors import Finding
from common.flow import Code
from common.radiomics.deep_features import DeepFeatures
from common.radiomics.extract import Extract
from common.settings import nearest
from common.study import Study
from common.tasks.train import Train

_SHOWN = 3  # cases that a warning about several names; mistakes with a line of their own
_ROWS = 20  # rows that a line about many mistakes of a column names


def in_words(study: Study, folder: Path, checked: Checked) -> Iterator[tuple[str, bool]]:
    """Yield every problem of single cases and whether it is a warning.

    Equal warnings of several cases are one line, and so are mistakes of a column that many
    cases have, with the steps that read it. A single slice is no problem of an image that no
    step reads in three dimensions.
    """
    file = folder / FILE
    alike: dict[tuple[Code, str, str], list[CaseProblem]] = {}
    wrong: dict[tuple[Code, str], list[CaseProblem]] = {}
    volumes = {name for step in study.bound.values() for name in _read_in_3d(step)}
    for problem in checked.problems:
        if problem.severity is Severity.ERROR:
            wrong.setdefault((problem.code, problem.column), []).append(problem)
        elif problem.code is not Code.IMAGE_SINGLE_SLICE or problem.column in volumes:
            kind = problem.text.partition(":")[0]
            alike.setdefault((problem.code, problem.column, kind), []).append(problem)
    for problems in wrong.values():
        few = len(problems) <= _SHOWN
        texts = map(str, problems) if few else (_of_column(study, problems),)
        yield from ((f"{file}: {text}", False) for text in texts)
    for problems in alike.values():
        yield f"{file}: {_together(problems)}", True


def _together(problems: list[CaseProblem]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    first = problems[0]
    names = ", ".join(problem.case_id for problem in problems[:_SHOWN])
    more = ", ..." if len(problems) > _SHOWN else ""
    same = len({problem.text for problem in problems}) == 1
    text = first.text if same else first.text.partition(":")[0]
    what = f'"{first.column}": ' if first.column else ""
    return f"{len(problems)} cases: {what}{text} ({names}{more})"


def _of_column(study: Study, problems: list[CaseProblem]) -> str:
    """Return many mistakes of one column as one line, with the steps that read it."""
    column = problems[0].column
    texts = list(dict.fromkeys(problem.text for problem in problems))
    said = "; ".join(texts[:_SHOWN])
    if len(texts) > _SHOWN:
        said += f"; and {len(texts) - _SHOWN} more like these"
    rows = ", ".join(str(problem.row) for problem in problems[:_ROWS])
    if len(problems) > _ROWS:
        rows += f" and {len(problems) - _ROWS} more"
    what = f'"{column}": ' if column else ""
    text = f"{len(problems)} cases: {what}{said} (rows {rows})"
    readers = [name for name, step in study.steps.items() if column in _read_by(study, name, step)]
    return f"{text}; read by steps {_some(readers)}" if readers else text


def _read_by(study: Study, name: str, step: Any) -> tuple[str, ...]:
    bound = study.bound.get(name, step)
    return tuple(bound.columns()) if hasattr(bound, "columns") else ()


def _some(names: Sequence[str]) -> str:
    left = len(names) - 2 * _SHOWN
    return ", ".join(names[: 2 * _SHOWN]) + (f" and {left} more" if left > 0 else "")


def _read_in_3d(step: Any) -> tuple[str, ...]:
    """Return the images that a step takes for volumes."""
    if isinstance(step, Train):
        return step.images() if getattr(step.task, "dimensions", 3) == 3 else ()
    if isinstance(step, Extract):
        settings = {i: profile.images().values() for i, profile in step.read().items() if i}
        return tuple(i for i, of in settings.items() if not all(s.force2d for s in of))
    return step.of if isinstance(step, DeepFeatures) else ()


def strange_renames(renames: Mapping[str, str], folders: Sequence[Path]) -> dict[str, str]:
    """Return what is wrong with a site's own names of columns: those no table of it has.

    Args:
        renames: the study's name of a column by the site's own.
        folders: of the site, with cohort.csv; a table that cannot be read has mistakes itself.
    """
    tables = [read_sheet(folder / FILE).columns for folder in folders]
    known = {name for columns in tables for name in columns}
    spare = sorted(known - set(renames))
    return {
        own: f"no such column in the site's {FILE}{nearest(own, spare)}"
        for own in renames
        if own not in known and all(tables)
    }


def placed(finding: Finding, folder: Path) -> str:
    """Return a finding with the folder of its file."""
    return str(Finding(str(folder / finding.file), finding.line, finding.path, finding.message))
