"""When a site's cohort is the one that was read before: a digest of all it is made of.

Reading and checking a cohort with images takes longer than most sums over it, and each ask
needs it. So it is kept for as long as its table, its settings, and size, time and place of
every file that the table names stay the same; as `client.facts` does for what is in a file.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from threading import Lock

from client.ingest.cohort_csv import FILE, read_sheet
from client.site import Site
from common.cohort import MISSING, Cohort
from common.study import Study

_PATHS: dict[str, tuple[str, ...]] = {}
_MOST_TABLES = 64
_LOCK = Lock()


def mark_of(site: Site, study: Study) -> str:
    """Return a digest of all that a site's cohort for a study depends on."""
    sha = hashlib.sha256(study.cohort.model_dump_json().encode())
    further = [str(folder) for folder in site.further_folders]
    where = [str(site.workspace), further]
    about = [study.name, site.settings.columns, *where, _gaps(site, study)]
    sha.update(json.dumps(about).encode())
    for folder in site.cohorts:
        path = folder / FILE
        sha.update(json.dumps([str(folder), path.exists()]).encode())
        if path.exists():
            sha.update(path.read_bytes())
    if study.cohort.images or study.cohort.masks:
        for line in _files(_paths(sha.hexdigest(), site, study.cohort)):
            sha.update(line.encode(errors="surrogateescape"))
    return sha.hexdigest()


def _gaps(site: Site, study: Study) -> list[object]:
    """Return what decides on patients of rare gaps."""
    least = site.policy.smallest_gap
    return [least, *(step.cases.where for step in study.bound.values())] if least > 1 else []


def _paths(table: str, site: Site, contract: Cohort) -> tuple[str, ...]:
    """Return every image and mask that the tables name, in their order."""
    if table not in _PATHS:
        while len(_PATHS) >= _MOST_TABLES:
            del _PATHS[next(iter(_PATHS))]
        _PATHS[table] = tuple(
            os.path.join(folder, cell)  # noqa: PTH118  (a thousand of them each ask)
            for folder in site.cohorts
            for row in read_sheet(folder / FILE, site.settings.columns).rows
            for name in (*contract.images, *contract.masks)
            if (cell := row.cells.get(name, "")) not in MISSING
        )
    return _PATHS[table]


def _files(paths: Iterable[str]) -> Iterator[str]:
    """Yield size, time and place of each file, and of each file of a DICOM folder."""
    parents: dict[str, str] = {}
    for path in paths:
        parent = os.path.dirname(path)  # noqa: PTH120
        if parent not in parents:
            parents[parent] = os.path.realpath(parent)
            yield f"{parents[parent]}\n"
        yield _file(path)


def _file(path: str) -> str:
    try:
        found = os.lstat(path)
        link = os.path.realpath(path) if stat.S_ISLNK(found.st_mode) else ""
        found = os.stat(path) if link else found  # noqa: PTH116
        if not stat.S_ISDIR(found.st_mode):
            return f"{path} {link} {_of(found)}\n"
        with os.scandir(path) as entries:
            inside = sorted(
                (e.name, e.is_symlink() and os.path.realpath(e.path), _of(e.stat()))
                for e in entries
            )
    except (OSError, ValueError):  # not there, or a name no file can have
        return f"{path} -\n"
    return f"{path} {link} {inside}\n"


def _of(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"
