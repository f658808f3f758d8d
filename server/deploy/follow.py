"""Read a journal while another process writes it: only whole lines, and nothing is changed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Follower:
    """Reads what has been added to a journal since the last look.

    Attributes:
        path: `journal.jsonl`; it may not exist yet.
        position: how many bytes have been read.
    """

    path: Path
    position: int = 0

    def news(self) -> list[dict[str, Any]]:
        """Return the events written since the last call."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.position)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.position += len(whole)
        return [json.loads(line) for line in whole.splitlines()]
