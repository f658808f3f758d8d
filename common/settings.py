"""Read a YAML text into a pydantic model and report every mistake at once.

Mistakes carry the file, the line, the path of the setting and, for an unknown
key, the nearest known one.
"""

import difflib
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict
from pydantic_core import ErrorDetails

from common.errors import ConfigError, Finding
from common.salvage import Mistake, Path, Salvaged, salvage

M = TypeVar("M", bound=BaseModel)

_MOST_NAMES = 30  # in a message
_NEAR = 0.65  # how alike a name must be to be suggested; 0.6 takes "labels" for "largest"
_LONGEST = 60  # characters of a value in a message
_NO_MAPPING = {"dict_type", "model_type", "model_attributes_type", "dataclass_type"}
# What was expected, in place of pydantic's own words, by the beginning of its word for an error.
_EXPECTED = {
    **dict.fromkeys(_NO_MAPPING, "keys and values"),
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
    "string_pattern_mismatch": "text of the form {pattern}",
    "bool_": "true or false",
    "int_": "a whole number",
    "float_": "a number",
    "finite_number": "a finite number",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "literal_error": "{expected}",
}


class Frozen(BaseModel):
    """A setting's model: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# libyaml's parser where PyYAML has it: a study of 800 columns in 0.1 s instead of 1 s.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeys(_Loader):  # type: ignore[misc]  # one of two classes of the same form
    """YAML keeps the last of two equal keys in silence; here that is a mistake.

    Only true and false are booleans: YAML 1.1 would read the key "on" as True and
    the level "no" as False.

    Attributes:
        twice: line and key of every key that stands in its mapping already.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.twice: list[tuple[int, str]] = []


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
        if not isinstance(key, Hashable):
            continue  # told by construct_mapping, with its line
        if key in seen:
            loader.twice.append((key_node.start_mark.line + 1, str(key)))
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
    data, lines, twice = look_at_yaml(text, file)
    found = salvage(model, data, lines)
    if twice or found.mistakes or found.model is None:
        raise ConfigError(in_order([*twice, *findings_of(found, model, lines, file)]))
    return found.model


def problems_of(model: type[BaseModel], text: str) -> list[tuple[Path, str]]:
    """Return every mistake in a YAML text within a file, as path in the text and words."""
    try:
        data, lines, twice = look_at_yaml(text, "")
    except ConfigError as error:
        return [((), _within(finding)) for finding in error.findings]
    found = salvage(model, data, lines)
    own = [(one.path, _message(one.error, model)) for one in found.mistakes]
    return [*(((), _within(finding)) for finding in twice), *own]


def _within(finding: Finding) -> str:
    where = f"line {finding.line} of this text: " if finding.line else ""
    return where + finding.message


def decoded(data: bytes, file: str) -> str:
    """Return the text of a file that a user wrote, with the ends of lines that YAML has.

    Raises:
        ConfigError: it is not UTF-8.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError([Finding(file, line, "", "not UTF-8; save it as UTF-8")]) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def findings_of(
    found: Salvaged[M], model: type[M], lines: Mapping[Path, int], file: str
) -> list[Finding]:
    """Return the mistakes of a file with line and path, in the order of the file."""
    return in_order(_finding(mistake, model, lines, file) for mistake in found.mistakes)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order of their file."""
    return sorted(findings, key=lambda f: f.line or 0)


def read_yaml(text: str, file: str) -> tuple[Any, dict[Path, int]]:
    """Return the data of a YAML text and the line of every path in it.

    Raises:
        ConfigError: the text is no YAML, or a key stands in it twice.
    """
    data, lines, twice = look_at_yaml(text, file)
    if twice:
        raise ConfigError(twice)
    return data, lines


def look_at_yaml(text: str, file: str) -> tuple[Any, dict[Path, int], list[Finding]]:
    """Return the data of a YAML text, the line of every path, and keys that stand twice.

    Raises:
        ConfigError: the text is no YAML.
    """
    try:
        root, data, keys = _loaded(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = _tab(text, mark) or getattr(error, "problem", None) or str(error)
        raise ConfigError([Finding(file, line, "", f"not readable as YAML: {problem}")]) from None
    twice = [Finding(file, at, "", f'the key "{key}" stands here twice') for at, key in keys]
    return data, dict(_lines(root, ())), twice


def _tab(text: str, mark: Any) -> str:
    """Return the words for a tab where a line is cut into its parts; "" where it is none."""
    line = text.splitlines()[mark.line : mark.line + 1] if mark else []
    if line and "\t" in line[0][: len(line[0]) - len(line[0].lstrip())]:
        return "the line begins with a tab; indent by spaces"
    return ""


def _loaded(text: str) -> tuple[yaml.Node | None, Any, list[tuple[int, str]]]:
    loader = _UniqueKeys(text)
    try:
        root = loader.get_single_node()
        data = None if root is None else loader.construct_document(root)
        return root, data, loader.twice
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
    elif isinstance(node, yaml.ScalarNode) and node.style == "|":
        yield from _lines_within(node, path)


def _lines_within(text: yaml.ScalarNode, path: Path) -> Iterator[tuple[Path, int]]:
    """Yield the lines of a file that stands word for word in another, from behind its "|"."""
    try:
        root, _, _ = _loaded(text.value)
    except yaml.YAMLError:
        return
    before = text.start_mark.line + 1
    yield from (((*path, *at), before + line) for at, line in _lines(root, ()) if at)


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
        return _unknown_key(error["loc"], model)
    if kind == "missing":
        return _missing(error["loc"][-1] if error["loc"] else "")
    if kind == "union_tag_not_found":
        return f'missing "{_discriminator(error)}"'
    if kind == "union_tag_invalid":
        return _unknown_kind(error)
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return message
    expected = _expected(error)
    message = f"expected {expected}" if expected else f"{message[:1].lower()}{message[1:]}"
    got = _short(error["input"])
    quoted = kind == "string_type" and isinstance(error["input"], bool | int | float)
    return f"{message}, got {got}" + (f'; in quotes it is text: "{got}"' if quoted else "")


def _missing(last: str | int) -> str:
    if isinstance(last, int):  # of a list of so many items
        order = ("first", "second", "third")
        which = f"the {order[last]}" if last < len(order) else f"number {last + 1}"
        return f"expected one more item here: {which} is missing"
    return "missing, but required"


def _expected(error: ErrorDetails) -> str:
    """Return what a value should have been; "" where there are only pydantic's own words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long"):
        least, most = context.get("min_length"), context.get("max_length")
        n, bound = (least, "at least") if least is not None else (most, "at most")
        what = "character" if kind.startswith("string") else "item"
        return f"{bound} {n} {what}{'' if n == 1 else 's'}"
    words = next((w for start, w in _EXPECTED.items() if kind.startswith(start)), "")
    return words.format(**{k: f"{v:g}" if isinstance(v, float) else v for k, v in context.items()})


def _discriminator(error: ErrorDetails) -> str:
    return str(error.get("ctx", {}).get("discriminator", "kind")).strip("'")


def _short(value: Any) -> str:
    """Return a value as the file has it, cut where a message would be lost in it."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _unknown_key(at: Path, model: type[BaseModel]) -> str:
    key, place = str(at[-1]), at[:-1]
    near = closest(key, known_keys(model, place))
    if near:
        return f'unknown key; did you mean "{near}"?'
    return f"unknown key{_elsewhere(key, place, model)}"


def _elsewhere(key: str, place: Path, model: type[BaseModel]) -> str:
    """Return where a key belongs that stands a level too high or too low."""
    here = known_keys(model, place)
    below = [name for name in here if key in known_keys(model, (*place, name)) and key not in here]
    if below:
        return f"; it belongs below {' or '.join(f'`{name}`' for name in below[:3])}"
    for end in range(len(place) - 1, 0, -1):
        above, part = known_keys(model, place[:end]), str(place[end])
        if key in above and part in above:
            return f"; it belongs beside `{part}`, not in it"
    return ""


def _unknown_kind(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    got, known = str(context.get("tag")), str(context.get("expected_tags", ""))
    names = [name.strip(" '") for name in known.split(",")]
    near = closest(got, names)
    tip = f'; did you mean "{near}"?' if near else ""
    return f'unknown {_discriminator(error)} "{got}"{tip} (known: {", ".join(names)})'


def known_keys(model: type[BaseModel], at: Path = ()) -> list[str]:
    """Return the keys that a model may have at a location, as pydantic names it."""
    whole = _schema(model)
    here = _plain([whole], whole)
    for part in at:
        # A part that leads nowhere is a word of pydantic's own, such as the name of a model.
        here = _plain([s for one in here for s in _below(one, part)], whole) or here
    return sorted({key for one in here for key in one.get("properties", {})})


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _plain(schemas: Sequence[Any], whole: Mapping[str, Any]) -> list[Any]:
    """Return schemas with references followed; of one of several kinds, all of them."""
    plain: list[Any] = []
    for schema in schemas:
        if "$ref" in schema:
            schema = {**whole["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
            schema.pop("$ref")
        plain.append(schema)
        for several in ("anyOf", "oneOf", "allOf"):
            plain += _plain(schema.get(several, ()), whole)
    return plain


def _below(schema: Mapping[str, Any], part: str | int) -> Iterator[Any]:
    if isinstance(part, int):
        inner = [schema.get("items"), *schema.get("prefixItems", ())]
    else:
        kinds = schema.get("discriminator", {}).get("mapping", {})
        kind = [{"$ref": kinds[part]}] if part in kinds else []
        inner = [
            *kind,
            schema.get("properties", {}).get(part) or schema.get("additionalProperties"),
        ]
    yield from (one for one in inner if isinstance(one, dict))


def closest(name: str, known: Sequence[str]) -> str:
    """Return the name that is spelled nearly so; "" where none is."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)), "")


def nearest(name: str, known: list[str]) -> str:
    """Return ' (did you mean "x"?)' or ' (known: ...)' for an unknown name."""
    near = closest(name, known)
    if near:
        return f' (did you mean "{near}"?)'
    more = ["..."] if len(known) > _MOST_NAMES else []
    return f" (known: {', '.join([*known[:_MOST_NAMES], *more]) or 'none'})"
