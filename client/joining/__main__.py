"""Keep a site joined: `python -m client.joining SITE`, which imports little.

`consortium site join` does the same and says the same.
"""

import sys
from datetime import datetime
from pathlib import Path

from client.joining.connection import check_files
from client.joining.keep import Keeper
from client.joining.place import find_place
from common.errors import ConfigError, why_not_opened

LEFT, MISTAKE, REFUSED = 0, 1, 4


def keep_joined(path: Path) -> int:
    """Keep a site joined until told to stop; return an exit code."""
    try:
        place = find_place(path)
        check_files(place)
        Keeper(place, say).run()
    except KeyboardInterrupt:
        return LEFT
    except ConfigError as error:
        sys.stderr.write("".join(f"{finding}\n" for finding in error.findings))
        return MISTAKE
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    except OSError as error:
        sys.stderr.write(f"{error.filename or path}: {why_not_opened(error)}\n")
        return REFUSED
    return LEFT


def say(words: str) -> None:
    """Print what changed, and when."""
    sys.stdout.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(keep_joined(Path(sys.argv[1])))
