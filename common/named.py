"""Which images and masks a step names, and where: told by the types of its fields.

A field of type `ImageRef` names an image and one of type `MaskRef` a mask, however deep in
the settings it lies. So a new kind of step or task has its names checked without a word.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from common.cohort import Sort
from common.salvage import Path


@dataclass(frozen=True, slots=True)
class Named:
    """A name in a step's settings.

    Attributes:
        at: path of the field, seen from the step.
        name: as it stands there.
        sort: "image" or "mask", what the field is for.
    """

    at: Path
    name: str
    sort: str


def names_in(settings: BaseModel, at: Path = ()) -> Iterator[Named]:
    """Yield every image and mask that settings name, in their order."""
    for field, info in type(settings).model_fields.items():
        value = getattr(settings, field)
        yield from _names(value, info.annotation, info.metadata, (*at, field))


def named_twice(named: Sequence[Named]) -> Iterator[tuple[Path, str]]:
    """Yield names that stand in one list, or pair, a second time."""
    seen: set[tuple[Path, str]] = set()
    for one in named:
        place = (one.at[:-1], one.name)
        if place in seen and isinstance(one.at[-1], int):
            yield one.at, f'the {one.sort} "{one.name}" stands here twice'
        seen.add(place)


def _names(value: Any, kind: Any, marks: Sequence[Any], at: Path) -> Iterator[Named]:
    """Yield the names in a value of a type; `marks` are what `Annotated` says of it."""
    if isinstance(value, BaseModel):
        yield from names_in(value, at)
        return
    sort = next((mark.word for mark in marks if isinstance(mark, Sort)), "")
    if sort and isinstance(value, str):
        yield Named(at, value, sort)
        return
    for item, inner, below in _parts(value, kind):
        plain, said = _plain(inner)
        yield from _names(item, plain, said, (*at, *below))


def _parts(value: Any, kind: Any) -> Iterator[tuple[Any, Any, Path]]:
    """Yield what a value consists of, the type of each, and where it lies in it."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        yield from ((value, one, ()) for one in inner)
    elif origin is tuple and isinstance(value, tuple):
        kinds = repeat(inner[0]) if inner[-1] is Ellipsis else inner
        pairs = enumerate(zip(value, kinds, strict=False))
        yield from ((item, one, (i,)) for i, (item, one) in pairs)
    elif origin is dict and isinstance(value, dict):
        yield from ((key, inner[0], (key,)) for key in value)
        yield from ((item, inner[1], (key,)) for key, item in value.items())


def _plain(kind: Any) -> tuple[Any, Sequence[Any]]:
    """Return a type without what `Annotated` says of it, and that."""
    if get_origin(kind) is Annotated:
        plain, *said = get_args(kind)
        return plain, said
    return kind, ()
