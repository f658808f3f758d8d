"""Build the official pyradiomics 3.0.1 with its C extensions, in one command.

Its release cannot be built on a fresh machine: setup.py imports numpy without
declaring it, and calls two functions that Python 3.12 took out of configparser.
This PEP 517 back end has numpy as a declared build requirement, restores the two
names while the release's own setup.py runs, and hands its wheel on unchanged.
The release is taken from the package index and checked against its hash.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

REQUIREMENT = (
    "pyradiomics==3.0.1 --hash=sha256:"
    "47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5\n"
)
RESTORED = """\
import configparser
if not hasattr(configparser, "SafeConfigParser"):
    configparser.SafeConfigParser = configparser.ConfigParser
    configparser.ConfigParser.readfp = configparser.ConfigParser.read_file
"""


def build_wheel(
    wheel_directory: str,
    config_settings: Mapping[str, object] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the release's wheel into a folder and return its file name.

    Raises:
        RuntimeError: pip failed; its output says why.
    """
    with tempfile.TemporaryDirectory() as temporary:
        start, built = Path(temporary, "start"), Path(temporary, "built")
        start.mkdir()
        Path(start, "sitecustomize.py").write_text(RESTORED)
        Path(start, "requirements.txt").write_text(REQUIREMENT)
        command = [sys.executable, "-m", "pip", "wheel"]
        command += ["--no-build-isolation", "--no-deps", "--no-binary", "pyradiomics"]
        command += ["--wheel-dir", str(built), "-r", str(start / "requirements.txt")]
        # The isolated environment is known to this process only by its sys.path.
        path = os.pathsep.join([str(start), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": path}
        if subprocess.run(command, env=environment, check=False).returncode:
            raise RuntimeError("pyradiomics 3.0.1 did not build; see pip's lines above")
        (wheel,) = built.glob("pyradiomics-3.0.1-*.whl")
        Path(wheel_directory, wheel.name).write_bytes(wheel.read_bytes())
        return wheel.name


def build_sdist(sdist_directory: str, config_settings: Mapping[str, object] | None = None) -> str:
    """Refuse: there is nothing here to distribute."""
    raise NotImplementedError("expected build_wheel, got build_sdist")
