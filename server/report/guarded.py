"""A part of the page that cannot be made is left out alone: the rest of it stands."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from common.errors import ConfigError
from server.report.blocks import Block, Note
from server.report.record import Record

log = logging.getLogger(__name__)
T = TypeVar("T")


def guarded(record: Record, place: str, make: Callable[[], Iterable[T]]) -> list[T] | None:
    """Return what is made of a record; None where that raised, which the record remembers.

    Args:
        record: of the run, whose `unshown` takes the place up.
        place: the step or section, as the page and the command line name it.
        make: returns or yields the parts of it.
    """
    try:
        return list(make())
    except ConfigError:  # the run's own study or roster cannot be read: nothing can be shown
        raise
    except Exception:
        log.exception("%s cannot be shown in the report: a mistake of the report itself", place)
        if place not in record.unshown:
            record.unshown.append(place)
        return None


def unshown(place: str) -> Block:
    """Return what stands where a part of the page would be."""
    return Note(
        f"{place} cannot be shown here: a mistake of the report, not of the run. Its numbers are "
        "in answers.json; what went wrong is in the log of the command that wrote this page.",
        "bad",
    )
