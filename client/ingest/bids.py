"""Write a site's folder from a BIDS data set (Gorgolewski et al., Sci Data 3:160044, 2016).

A case is a session, or a subject without sessions: `sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz`.
Masks lie below `derivatives/`, in any pipeline's folder. `participants.tsv` gives the columns.
Images stay where they are.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from client.ingest.cohort_csv import write_sheet
from client.ingest.drawn import relative
from common.cohort import CASE_ID, PATIENT_ID
from common.errors import ConfigError, Finding

SESSION = "session"
_ENDINGS = (".nii.gz", ".nii")
_MISSING = ("n/a", "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for in each session.

    Attributes:
        images: by name, entities and suffix, such as "T1w" or "acq-post_T1w".
        masks: by name, the same, below derivatives: "label-tumour_mask".
    """

    images: Mapping[str, str]
    masks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Session:
    """One examination: subject and session as BIDS labels them, "" without a session."""

    subject: str
    session: str

    @property
    def case(self) -> str:
        """Return the name of the case."""
        return f"{self.subject}_{self.session}" if self.session else self.subject

    def folder(self, root: Path) -> Path:
        """Return its folder below a root."""
        return root / self.subject / self.session if self.session else root / self.subject


def import_bids(root: Path, out: Path, plan: Wanted) -> dict[str, int]:
    """Write a site's folder with cohort.csv; return how many cases have each image and mask.

    Raises:
        ConfigError: with every mistake found.
    """
    sessions = _sessions(root)
    if not sessions:
        raise ConfigError([Finding(str(root), None, "", "holds no folder sub-*")])
    people, columns = _participants(root / "participants.tsv")
    findings: list[Finding] = []
    rows = []
    for one in sessions:
        row = {CASE_ID: one.case, PATIENT_ID: one.subject, SESSION: one.session}
        found = _files(root, one, plan, findings)
        cells = {name: relative(path, out) for name, path in found.items()}
        rows.append(row | people.get(one.subject, {}) | cells)
    queries = {**plan.images, **plan.masks}
    counts = {name: sum(name in row for row in rows) for name in queries}
    for name, n in counts.items():
        if not (n or findings):
            findings.append(_finding("command line", name, f'no file fits "{queries[name]}"'))
    if findings:
        raise ConfigError(findings)
    out.mkdir(parents=True, exist_ok=True)
    session = (SESSION,) if any(one.session for one in sessions) else ()
    own = (CASE_ID, PATIENT_ID, *session, *columns, *queries)
    write_sheet(out, own, [{name: row.get(name, "") for name in own} for row in rows])
    return counts


def _files(root: Path, one: Session, plan: Wanted, findings: list[Finding]) -> dict[str, Path]:
    """Return the files of a session; note where several fit."""
    pipelines = sorted(path for path in (root / "derivatives").glob("*") if path.is_dir())
    files = {}
    for wanted, roots in ((plan.images, [root]), (plan.masks, pipelines)):
        for name, query in wanted.items():
            found = [path for top in roots for path in _fitting(one.folder(top), query)]
            if len(found) > 1:
                names = ", ".join(path.name for path in found[:3])
                why = f'{len(found)} files fit "{query}": {names}; name an entity of only one'
                findings.append(_finding(one.case, name, why))
            if found:
                files[name] = found[0]
    return files


def _finding(file: str, name: str, why: str) -> Finding:
    return Finding(file, None, name, why)


def _sessions(root: Path) -> list[Session]:
    found = []
    for subject in sorted(path for path in root.glob("sub-*") if path.is_dir()):
        within = sorted(path.name for path in subject.glob("ses-*") if path.is_dir())
        found += [Session(subject.name, session) for session in within or [""]]
    return found


def _fitting(folder: Path, query: str) -> list[Path]:
    """Return the images of a session with a suffix and entities; those with no others first.

    Where one file has just the entities asked for, others that have more are left out:
    "T1w" means `sub-01_T1w`, not also `sub-01_acq-post_T1w`.
    """
    *entities, suffix = query.split("_")
    found = []
    for path in sorted(folder.rglob(f"*_{suffix}.nii*")):
        if not path.name.endswith(_ENDINGS):
            continue
        own = [p for p in path.name.split(".")[0].split("_")[:-1] if p[:4] not in ("sub-", "ses-")]
        if set(entities) <= set(own):
            found.append((len(own) - len(entities), path))
    fewest = min((n for n, _ in found), default=0)
    return [path for n, path in found if n == fewest]


def _participants(path: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return the columns of each subject, without what is missing, and their names."""
    if not path.is_file():
        return {}, []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        columns = [name for name in reader.fieldnames or () if name != "participant_id"]
        people = {
            row["participant_id"]: {c: row[c] for c in columns if row[c] not in _MISSING}
            for row in reader
        }
    return people, columns
