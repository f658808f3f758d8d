"""Read a YAML text into a pydantic model and report every mistake at once.

Mistakes carry the file, the line, the path of the setting and, for an unknown
key, the nearest known one.
"""

import difflib
import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict
from pydantic_core import ErrorDetails

from common.errors import ConfigError, Finding
from common.salvage import Mistake, Path, Salvaged, salvage

M = TypeVar("M", bound=BaseModel)


class Frozen(BaseModel):
    """A setting's model: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# libyaml's parser where PyYAML has it: a study of 800 columns in 0.1 s instead of 1 s.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeys(_Loader):  # type: ignore[misc]  # one of two classes of the same form
    """YAML keeps the last of two equal keys in silence; here that is a mistake.

    Only true and false are booleans: YAML 1.1 would read the key "on" as True and
    the level "no" as False.
    """


_BOOL = "tag:yaml.org,2002:bool"
_UniqueKeys.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_UniqueKeys.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|false)$"), list("tf"))


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f'the key "{key}" stands here twice', key_node.start_mark
            )
        seen.add(key)
    mapping: dict[Hashable, Any] = loader.construct_mapping(node, deep=True)
    return mapping


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse(model: type[M], text: str, file: str) -> M:
    """Return `text` as a `model`.

    Args:
        model: the pydantic model the file must fit.
        text: YAML.
        file: its name, for messages only.

    Raises:
        ConfigError: with every mistake found.
    """
    data, lines = read_yaml(text, file)
    found = salvage(model, data, lines)
    if found.mistakes or found.model is None:
        raise ConfigError(findings_of(found, model, lines, file))
    return found.model


def findings_of(
    found: Salvaged[M], model: type[M], lines: Mapping[Path, int], file: str
) -> list[Finding]:
    """Return the mistakes of a file with line and path, in the order of the file."""
    findings = [_finding(mistake, model, lines, file) for mistake in found.mistakes]
    return sorted(findings, key=lambda f: f.line or 0)


def read_yaml(text: str, file: str) -> tuple[Any, dict[Path, int]]:
    """Return the data of a YAML text and the line of every path in it.

    Raises:
        ConfigError: the text is no YAML.
    """
    try:
        root, data = _loaded(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError([Finding(file, line, "", f"not readable as YAML: {problem}")]) from None
    return data, dict(_lines(root, ()))


def _loaded(text: str) -> tuple[yaml.Node | None, Any]:
    loader = _UniqueKeys(text)
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _lines(node: yaml.Node | None, path: Path) -> Iterator[tuple[Path, int]]:
    if node is None:
        return
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            child = (*path, key.value)
            yield from _lines(value, child)
            yield child, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _lines(value, (*path, i))


def _finding(
    mistake: Mistake, model: type[BaseModel], lines: Mapping[Path, int], file: str
) -> Finding:
    path = mistake.path
    dotted = ".".join(str(part) for part in path)
    return Finding(file, line_of(path, lines), dotted, _message(mistake.error, model))


def line_of(path: Path, lines: Mapping[Path, int]) -> int | None:
    """Return the line of a path, or of the nearest one above it that the file has."""
    return next((lines[path[:i]] for i in range(len(path), -1, -1) if path[:i] in lines), None)


def _message(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(str(error["loc"][-1]), model)
    if kind == "missing":
        return "missing, but required"
    if kind == "union_tag_not_found":
        return (
            f'missing "kind"; known kinds: {error["ctx"]["expected_tags"]}'
            if "ctx" in error and "expected_tags" in error["ctx"]
            else 'missing "kind"'
        )
    if kind == "union_tag_invalid":
        return _unknown_kind(error)
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return message
    return f"{message[:1].lower()}{message[1:]}, got {error['input']!r}"


def _unknown_key(key: str, model: type[BaseModel]) -> str:
    near = difflib.get_close_matches(key, known_keys(model), n=1)
    return "unknown key" + (f'; did you mean "{near[0]}"?' if near else "")


def _unknown_kind(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    got, known = str(context.get("tag")), str(context.get("expected_tags", ""))
    names = [name.strip(" '") for name in known.split(",")]
    near = difflib.get_close_matches(got, names, n=1)
    tip = f'; did you mean "{near[0]}"?' if near else ""
    return f'unknown kind "{got}"{tip} (known: {", ".join(names)})'


def known_keys(model: type[BaseModel]) -> list[str]:
    """Return every property name in the model's JSON Schema, nested ones too."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return sorted({key for part in parts for key in part.get("properties", {})})


def nearest(name: str, known: list[str]) -> str:
    """Return ' (did you mean "x"?)' or ' (known: ...)' for an unknown name."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f' (did you mean "{near[0]}"?)'
    return f" (known: {', '.join(known) or 'none'})"
