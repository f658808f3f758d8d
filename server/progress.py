"""Events of a run, told to whoever listens: the terminal, a JSON stream, nobody."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Listener = Callable[[Mapping[str, Any]], None]

_listeners: list[Listener] = []


def tell(event: Mapping[str, Any]) -> None:
    """Tell every listener an event, in the order they came."""
    for listener in list(_listeners):
        listener(event)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` events while the context lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
