"""Image and mask files found by patterns such as t1=images/{patient}_T1.nii.gz."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from client.ingest.cohort_csv import write_sheet
from common.cohort import CASE_ID, PATIENT_ID, MaskName
from common.errors import ConfigError, Finding
from common.settings import nearest

_NAME: TypeAdapter[str] = TypeAdapter(MaskName)
_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Drawn:
    """Where the images and masks of a row are.

    Attributes:
        root: folder that the patterns are relative to.
        patterns: by the study's name of an image or mask; `{column}` stands for a cell.
    """

    root: Path
    patterns: Mapping[str, str]

    def cells(self, row: Mapping[str, str], folder: Path) -> dict[str, str]:
        """Return the paths of a row's files, relative to a site's folder; "" where missing."""
        found = {}
        for name, pattern in self.patterns.items():
            path = self.root / pattern.format_map(row)
            there = path.exists()
            found[name] = relative(path, folder) if there else ""
        return found

    def problems(self, columns: Sequence[str], file: str) -> Iterator[Finding]:
        """Yield patterns with columns that the table has not."""
        for name, pattern in self.patterns.items():
            for column in _BRACES.findall(pattern):
                if column not in columns:
                    tip = nearest(column, list(columns))
                    yield Finding(file, 1, name, f'no column "{column}"{tip}')


def read_patterns(root: Path, texts: Sequence[str]) -> Drawn:
    """Return the patterns in texts "name=pattern".

    Raises:
        ConfigError: with every mistake found.
    """
    return Drawn(root, read_pairs("--file", texts))


def read_pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Return pattern by name, from texts "name=pattern" of a command's option.

    Raises:
        ConfigError: with every mistake found.
    """
    patterns: dict[str, str] = {}
    findings = []
    for text in texts:
        name, equals, pattern = text.partition("=")
        why = "" if equals and pattern else f'expected name=pattern, got "{text}"'
        why = why or _not_a_name(name) or (f'"{name}" is named twice' if name in patterns else "")
        if why:
            findings.append(Finding("command line", None, option, why))
        patterns[name] = pattern
    if findings:
        raise ConfigError(findings)
    return patterns


def import_files(drawn: Drawn, out_dir: Path) -> dict[str, int]:
    """Write one folder a site with cohort.csv from files alone, without a table.

    The braces of the first pattern name the case, `{case}`, and, where they are there,
    `{patient}` and `{site}`; without the latter all is one site, named like `out_dir`.

    Args:
        drawn: the patterns; a case is what the first one finds.
        out_dir: where the sites' folders go.

    Returns:
        Cases of each site.

    Raises:
        ConfigError: the pattern has no `{case}`, or finds nothing.
    """
    first = next(iter(drawn.patterns.values()))
    rows = rows_found(drawn.root, drawn.patterns) if "{case}" in first else []
    if not rows:
        why = "finds no file" if "{case}" in first else "has no {case}"
        raise ConfigError([Finding("command line", None, "--file", f'"{first}" {why}')])
    wrong = [*drawn.problems([*rows[0]], "command line")]
    if wrong:
        raise ConfigError(wrong)
    sites: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        folder = out_dir / row["site"] if "site" in row else out_dir
        cells = {CASE_ID: row["case"], PATIENT_ID: row.get("patient", row["case"])}
        sites.setdefault(folder.name, []).append(cells | drawn.cells(row, folder))
    for name, lines in sites.items():
        folder = out_dir / name if "site" in rows[0] else out_dir
        folder.mkdir(parents=True, exist_ok=True)
        write_sheet(folder, (CASE_ID, PATIENT_ID, *drawn.patterns), lines)
    return {name: len(lines) for name, lines in sites.items()}


def rows_found(root: Path, patterns: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a row for each file that fits the first pattern, as there is no table.

    Args:
        root: folder of the patterns.
        patterns: the first one tells which texts stand in its braces.
    """
    first = next(iter(patterns.values()))
    parts = _BRACES.split(first)
    shape = "".join(
        re.escape(part) if i % 2 == 0 else f"(?P<{part}>[^/]+)" for i, part in enumerate(parts)
    )
    glob = _BRACES.sub("*", first)
    names = sorted(path.relative_to(root).as_posix() for path in root.glob(glob))
    found = (re.fullmatch(shape, name) for name in names)
    return [match.groupdict() for match in found if match]


def _not_a_name(name: str) -> str:
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return ""


def relative(path: Path, folder: Path) -> str:
    """Return a path as a site's cohort.csv names it: relative to its folder."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
