"""What ARCHITECTURE.md promises about the tree, checked on its source.

Only the last test imports the product, and it does so in a process of its own.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("common", "client", "server")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

FORBIDDEN_IMPORTS = {
    "common": {"client", "server"},
    "client": {"server"},
    "server": {"client"},
}
MAY_IMPORT_FLWR = (
    "common/wire.py",
    "client/app.py",
    "client/joining/fleet.py",
    "server/app.py",
    "server/collect.py",
    "server/simulate*.py",
    "server/local_grid.py",
    "server/workers.py",
    "server/line.py",
    "server/deploy/*",
)
MAY_PRINT = ("server/cli.py", "client/cli.py")
UNSAFE_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "shelve"}
NAMES_THAT_SAY_NOTHING = {"util", "utils", "helper", "helpers", "misc"}

HEAVY = ("torch", "monai", "radiomics", "SimpleITK", "opacus", "ray")
# Where the modules stand that answer a statistics ask. A new process answers each
# message, so whatever one of them imports is paid for in every round.
LIGHT = (
    "client/app.py",
    "client/gate.py",
    "client/policy.py",
    "client/disclosure.py",
    "client/audit.py",
    "client/masking.py",
    "client/tables.py",
    "common/*.py",
    "common/analyses/*.py",
)

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def sources(*tops: str) -> list[Path]:
    return sorted(
        path
        for top in tops
        for path in (ROOT / top).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def parsed(*tops: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sources(*tops):
        yield path.relative_to(ROOT), ast.parse(path.read_text("utf-8"), str(path))


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Give line and full name of every module that is imported, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "."


def calls(tree: ast.Module) -> Iterator[tuple[int, str, ast.Call]]:
    """Give line and dotted name of every call, as written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func), node


def matches(path: Path, patterns: Iterable[str]) -> bool:
    return any(path.match(pattern) for pattern in patterns)


def report(offenders: list[str]) -> None:
    if offenders:
        pytest.fail("\n".join(["", *offenders]), pytrace=False)


def test_dependencies_point_inwards() -> None:
    report(
        [
            f"{path}:{line}: {path.parts[0]} imports {name}"
            for path, tree in parsed(*PACKAGES)
            for line, name in imports(tree)
            if name.split(".")[0] in FORBIDDEN_IMPORTS[path.parts[0]]
        ]
    )


def test_flower_is_known_only_at_the_edges() -> None:
    report(
        [
            f"{path}:{line}: imports {name}"
            for path, tree in parsed(*PACKAGES)
            for line, name in imports(tree)
            if name.split(".")[0] == "flwr" and not matches(path, MAY_IMPORT_FLWR)
        ]
    )


def test_files_and_functions_stay_small() -> None:
    offenders = []
    for path, tree in parsed(*PACKAGES, "scripts", "tests"):
        n_lines = len((ROOT / path).read_text("utf-8").splitlines())
        if n_lines > MAX_FILE_LINES:
            offenders.append(f"{path}: {n_lines} lines, at most {MAX_FILE_LINES}")
        for node in ast.walk(tree):
            if not isinstance(node, FUNCTION):
                continue
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                offenders.append(
                    f"{path}:{node.lineno}: {node.name} has {length} lines, "
                    f"at most {MAX_FUNCTION_LINES}"
                )
    report(offenders)


def test_names_say_what_is_inside() -> None:
    report(
        [
            f"{path.relative_to(ROOT)}: a name that says nothing"
            for path in sources(*PACKAGES, "scripts", "tests")
            if NAMES_THAT_SAY_NOTHING & set(path.relative_to(ROOT).with_suffix("").parts)
        ]
    )


def test_nothing_that_is_read_can_run_code() -> None:
    offenders = []
    for path, tree in parsed(*PACKAGES, "scripts"):
        offenders += [
            f"{path}:{line}: imports {name}"
            for line, name in imports(tree)
            if name.split(".")[0] in UNSAFE_MODULES
        ]
        offenders += [
            f"{path}:{line}: calls {name}, which may unpickle"
            for line, name, call in calls(tree)
            if name == "torch.load" or allows_pickle(call)
        ]
    report(offenders)


def allows_pickle(call: ast.Call) -> bool:
    return any(
        keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False"
        for keyword in call.keywords
    )


def test_only_the_command_line_prints() -> None:
    report(
        [
            f"{path}:{line}: print"
            for path, tree in parsed(*PACKAGES)
            for line, name, _ in calls(tree)
            if name == "print" and not matches(path, MAY_PRINT)
        ]
    )


def test_a_bundle_carries_only_code() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    app = project["tool"]["flwr"]["app"]
    assert app["fab-include"] == [f"{top}/**/*.py" for top in PACKAGES]
    assert "federations" not in project["tool"]["flwr"]


def test_a_statistics_ask_imports_nothing_heavy() -> None:
    paths = sorted(path for pattern in LIGHT for path in ROOT.glob(pattern))
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in paths
    ]
    if not names:
        pytest.skip("there is no product here yet")
    program = (
        "import importlib, sys\n"
        f"names, heavy = {names!r}, set({HEAVY!r})\n"
        "for name in names:\n"
        "    importlib.import_module(name)\n"
        "    for found in sorted(heavy & set(sys.modules)):\n"
        "        print(f'{name}: importing it brings {found}')\n"
        "        heavy.discard(found)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report(done.stdout.splitlines())
