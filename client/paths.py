"""Where files that cohort.csv names may lie: in the site's folder, or where it says so.

A table that comes from somewhere else could name any file of the machine, by "..", an
absolute path or a symbolic link. None is opened that does not lie, with every link
followed, in the cohort's own folder or one that `site.yaml` opens.
"""

import os
from collections.abc import Sequence
from pathlib import Path


class Reach:
    """Tells which files may be opened."""

    def __init__(self, folder: Path, further: Sequence[Path] = ()) -> None:
        """Begin with the cohort's folder and those the hospital opens besides."""
        self._roots = tuple(os.path.realpath(root) + os.sep for root in (folder, *further))
        self._parents: dict[str, str] = {}

    def holds(self, path: Path) -> bool:
        """Tell whether a file, or a folder with every file in it, lies inside."""
        try:
            if not self._inside(path):
                return False
            if path.is_dir():
                with os.scandir(path) as entries:
                    links = [Path(entry.path) for entry in entries if entry.is_symlink()]
                return all(self._inside(link) for link in links)
        except (OSError, ValueError):  # a name no file can have
            return False
        return True

    def _inside(self, path: Path) -> bool:
        if path.is_symlink() or path.name in ("", ".."):
            real = os.path.realpath(path)
        else:
            parent = str(path.parent)
            if parent not in self._parents:
                self._parents[parent] = os.path.realpath(parent)
            real = f"{self._parents[parent]}{os.sep}{path.name}"
        return any((real + os.sep).startswith(root) for root in self._roots)
