"""Work that kills its process, in a module that is quick to import."""

import os


def square_or_die(number: int) -> int:
    """Return the square of a number; 5 ends the process."""
    if number == 5:
        os._exit(9)
    return number**2
