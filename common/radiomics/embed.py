"""Put a PyRadiomics parameter file into a study, word for word, so that its hash covers it."""

from collections.abc import Sequence

from common.errors import ConfigError, Finding
from common.radiomics.profile import read_profile
from common.settings import read_yaml


def embed(study: str, step: str, parameters: str, *, file: str, parameter_file: str) -> str:
    """Return the text of a study with a parameter file as the profile of a step.

    The file stands there as it was written, comments and all; nothing else changes.

    Args:
        study: text of the study.
        step: name of its step of kind extract, written a setting a line, without a profile.
        parameters: text of the parameter file.
        file: the study's name, for messages.
        parameter_file: the other one's.

    Raises:
        ConfigError: the parameter file has mistakes, or the step cannot take it.
    """
    read_profile(parameters, parameter_file)
    _, lines = read_yaml(study, file)
    at = lines.get(("steps", step, "kind"))
    name = lines.get(("steps", step))
    if at is None or name is None:
        known = ", ".join(str(path[1]) for path in lines if len(path) == 2 and path[0] == "steps")
        text = f'no step "{step}" with a kind (known: {known})'
        raise ConfigError([Finding(file, None, f"steps.{step}", text)])
    if ("steps", step, "profile") in lines:
        here = lines["steps", step, "profile"]
        said = f"the step has a profile already: {_way_on(study.splitlines(), here)}"
        raise ConfigError([Finding(file, here, f"steps.{step}.profile", said)])
    rows = study.splitlines()
    line = rows[at - 1]
    indent = line[: len(line) - len(line.lstrip())]
    if at == name or not indent or line.lstrip().startswith("{"):
        said = "write this step a setting a line: a profile cannot go between { and }"
        raise ConfigError([Finding(file, name, f"steps.{step}", said)])
    body = [f"{indent}  {row}".rstrip() for row in parameters.expandtabs(2).splitlines()]
    return "\n".join([*rows[:at], f"{indent}profile: |", *body, *rows[at:]]) + "\n"


def _way_on(rows: Sequence[str], here: int) -> str:
    """Return what to take out so that a step has no profile.

    Args:
        rows: of the study.
        here: line of its profile, counted from 1.
    """
    if not rows[here - 1].lstrip().startswith("profile"):
        return "take `profile` out of this line, write the step a setting a line, and embed again"
    last = here
    for number, row in enumerate(rows[here:], start=here + 1):
        if row.strip():
            if not _is_deeper(row, rows[here - 1]):
                break
            last = number
    where = f"line {here}" if last == here else f"lines {here} to {last}"
    return f"take {where} out, and embed again"


def _is_deeper(row: str, than: str) -> bool:
    return len(row) - len(row.lstrip()) > len(than) - len(than.lstrip())
