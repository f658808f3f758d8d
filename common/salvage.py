"""Take away what is wrong with a file and look at the rest: so every mistake shows at once.

A model's own checks, and the names one part uses of another, can only be looked at where
the parts are well formed. One wrong key would hide them all. So what is wrong is taken
away, and what is left is validated again; complaints that only come of the taking away
are not told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

Path = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)

_PASSES = 20
_SEVERAL = "several_problems"
_PLACEHOLDERS: Mapping[str, Any] = {"string": "unnamed", "array": []}
_NUMBER, _WHOLE = "a number", "a whole number"
# What a value should have been, by the beginning of pydantic's word for that it is not.
_KINDS = {
    "int_": _WHOLE,
    "float_": _NUMBER,
    "bool_": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
}


@dataclass(frozen=True)
class Mistake:
    """One complaint of pydantic, and the path of the setting it is about."""

    path: Path
    error: ErrorDetails


@dataclass(frozen=True)
class Salvaged(Generic[M]):
    """What is left of a file.

    Attributes:
        model: the file without what is wrong, or None where nothing can be made of it.
        mistakes: everything that is wrong.
        gone: paths that were taken away; what is said about them is in doubt.
    """

    model: M | None
    mistakes: tuple[Mistake, ...]
    gone: frozenset[Path]

    def doubts(self, *path: str | int) -> bool:
        """Tell whether a path was taken away, or something above it."""
        return any(path[: len(gone)] == gone for gone in self.gone)

    def touched(self, *path: str | int) -> bool:
        """Tell whether a path was taken away, or anything above or below it."""
        return self.doubts(*path) or any(gone[: len(path)] == path for gone in self.gone)


def refuse_all(problems: Iterable[tuple[Path, str]]) -> None:
    """Raise, from a model's own check, one complaint for each problem; none for none.

    Args:
        problems: path of the setting, seen from the model, and what is wrong with it.
    """
    found = list(problems)
    if found:
        _raise(found)


def _raise(found: Sequence[tuple[Path, str]]) -> NoReturn:
    text = "; ".join(message for _, message in found)
    raise PydanticCustomError(_SEVERAL, "{text}", {"text": text, "problems": found})


def salvage(model: type[M], data: Any, known: Iterable[Path]) -> Salvaged[M]:
    """Return what can be made of a file's data, and every mistake in it.

    Args:
        model: what it should be.
        data: as read from YAML; not changed.
        known: every path that the file has.
    """
    rest, paths = deepcopy(data), frozenset(known)
    mistakes: list[Mistake] = []
    gone: set[Path] = set()
    for _ in range(_PASSES):
        try:
            return Salvaged(model.model_validate(rest), tuple(mistakes), frozenset(gone))
        except ValidationError as error:
            found = list(_told_once(m for e in error.errors() for m in _mistakes(e, paths)))
        mistakes += [m for m in found if not _follows(m, gone) and not _counts_wrong(m, found)]
        before = len(gone)
        for mistake in sorted(found, key=_backwards, reverse=True):
            gone |= _take(rest, mistake, model, gone)
        if len(gone) == before:
            break
    return Salvaged(None, tuple(mistakes), frozenset(gone))


def _mistakes(error: ErrorDetails, paths: frozenset[Path]) -> Iterable[Mistake]:
    at = _place(error, paths)
    if error["type"] != _SEVERAL:
        return [Mistake(at, error)]
    problems: Sequence[tuple[Path, str]] = error["ctx"]["problems"]
    return [
        Mistake((*at, *path), {**error, "msg": text, "type": "value_error"})
        for path, text in problems
    ]


def _place(error: ErrorDetails, paths: frozenset[Path]) -> Path:
    """Drop pydantic's own words, such as the branches of unions, from a location."""
    path: Path = ()
    for i, part in enumerate(error["loc"]):
        named = next((p for p in (part, str(part)) if (*path, p) in paths), None)
        if named is None and error["type"] == "missing" and i == len(error["loc"]) - 1:
            named = part
        path = path if named is None else (*path, named)
    return path


def _told_once(found: Iterable[Mistake]) -> Iterator[Mistake]:
    """Yield mistakes, those of one value that fits no branch of its union as one."""
    places: dict[Path, list[Mistake]] = {}
    for mistake in found:
        places.setdefault(mistake.path, []).append(mistake)
    for path, here in places.items():
        words = [_wanted(mistake.error) for mistake in here]
        if len(here) > 1 and all(words):
            kinds = [w for w in dict.fromkeys(words) if w != _WHOLE or _NUMBER not in words]
            message = f"Expected {' or '.join(kinds)}"
            yield Mistake(path, {**here[0].error, "type": "no_branch_fits", "msg": message})
        else:
            yield from {mistake.error["msg"]: mistake for mistake in here}.values()


def _wanted(error: ErrorDetails) -> str:
    """Return what a branch of a union wants in place of what stands there, or ""."""
    if error["type"] == "literal_error":
        return str(error["ctx"]["expected"])
    return next((w for start, w in _KINDS.items() if error["type"].startswith(start)), "")


def _follows(mistake: Mistake, gone: set[Path]) -> bool:
    """Tell whether a complaint may only come of what was taken away."""
    kind, path = mistake.error["type"], mistake.path
    if any(path[: len(g)] == g for g in gone):
        return True
    below = [g for g in gone if g[: len(path)] == path]
    # Of a list that lost an item neither its length nor what it is can be judged.
    if any(_field(g) == _field(path) and g != path for g in below or _beside(path, gone)):
        return True
    if kind in ("missing", "too_short"):
        return bool(below)
    own = kind == "value_error" or kind.startswith("model_")
    return own and any(len(_field(g)) == len(path) + 1 for g in below)


def _beside(path: Path, gone: set[Path]) -> list[Path]:
    """Return what was taken away of the list that a path is an item of."""
    item = bool(path) and isinstance(path[-1], int)
    return [g for g in gone if item and len(g) == len(path) and g[:-1] == path[:-1]]


def _counts_wrong(mistake: Mistake, found: Iterable[Mistake]) -> bool:
    """Tell whether a list is only too short, or no list, as its wrong items do not count."""
    path = mistake.path
    below = (m.path for m in found if len(m.path) > len(path) and m.path[: len(path)] == path)
    return mistake.error["type"] in ("too_short", "literal_error") and any(below)


def _field(path: Path) -> Path:
    """Return the path of the setting that a path, or the item of a list, belongs to."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return path


def _backwards(mistake: Mistake) -> list[str]:
    """Return a key of order by which items of a list are deleted from the last one on."""
    return [str(part).zfill(9) for part in mistake.path]


def _take(rest: Any, mistake: Mistake, model: type[BaseModel], gone: set[Path]) -> set[Path]:
    """Take away what a mistake is about; return its path, or nothing where it cannot be."""
    path = mistake.path
    if mistake.error["type"] == "missing":
        if len(path) == 1 and isinstance(rest, dict):
            schema = model.model_json_schema()["properties"].get(path[0], {})
            rest[path[0]] = _PLACEHOLDERS.get(schema.get("type", ""), {})
            return {path}
        path = path[:-1]
    if any(path[: len(g)] == g for g in gone):
        return set()
    for end in range(len(path), 0, -1):
        if _delete(rest, path[:end]):
            return {path[:end]}
    return set()


def _delete(rest: Any, path: Path) -> bool:
    """Delete a key of a mapping or an item of a list; tell whether there was one."""
    for part in path[:-1]:
        rest = _child(rest, part)
    last = path[-1]
    if isinstance(rest, dict):
        key = next((k for k in rest if str(k) == str(last)), None)
        return key is not None and rest.pop(key, rest) is not rest
    if isinstance(rest, list) and isinstance(last, int) and last < len(rest):
        del rest[last]
        return True
    return False


def _child(node: Any, part: str | int) -> Any:
    if isinstance(node, dict):
        return next((v for k, v in node.items() if str(k) == str(part)), None)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return None
