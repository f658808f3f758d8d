"""The code that travels: a clean copy of it, from which Flower packs its bundle.

Flower would walk through the whole checkout, environment and runs included, and rewrites a
pyproject.toml it finds old-fashioned. Here it gets a copy with nothing else in it.
"""

import shutil
from pathlib import Path

PACKAGES = ("common", "client", "server")
ROOT = Path(__file__).resolve().parents[2]


def stage(folder: Path, root: Path = ROOT) -> Path:
    """Copy pyproject.toml and all Python files of the three packages; return the folder.

    Raises:
        FileNotFoundError: `root` is no checkout.
    """
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    shutil.copy2(root / "pyproject.toml", folder)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            target = folder / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    return folder
