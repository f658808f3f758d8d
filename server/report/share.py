"""How much of a training's rounds is not the sites' work on their own cases.

A round takes at least as long as its slowest site works, and where one machine plays
several sites, as long as their work together takes on its workers. What is above that is
the price of doing it together: waking up, masking, sending, adding, checkpoints. As the
workers are never quite evenly busy, the share is an upper bound.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from common.tasks.train import Train
from server.report.record import Record, RoundLine


@dataclass(frozen=True)
class Share:
    """The rounds of one training step.

    Attributes:
        step: its name.
        n_rounds: that were timed.
        seconds: median of a round.
        work_s: median of the time a round takes for local work alone.
        share: median share of a round that is no local work, from 0 to 1.
    """

    step: str
    n_rounds: int
    seconds: float
    work_s: float
    share: float

    def __str__(self) -> str:
        of = f"{self.n_rounds} rounds, median {self.seconds:.3g} s"
        return f"{self.step}: {of}, {100 * self.share:.1f} % of it not local training"


def shares(record: Record) -> Iterator[Share]:
    """Yield the share of every training step whose rounds were timed."""
    for name, step in record.run.study.bound.items():
        if not isinstance(step, Train):
            continue
        timed = [t for line in record.rounds if (t := _timed(record, line, name)) is not None]
        if timed:
            yield Share(
                name,
                len(timed),
                median(seconds for seconds, _ in timed),
                median(work for _, work in timed),
                median(max(0.0, 1 - work / seconds) for seconds, work in timed),
            )


def _timed(record: Record, line: RoundLine, step: str) -> tuple[float, float] | None:
    """Return seconds of a round of this training and of its work alone, if it was timed."""
    mine = any(problem.partition("/")[0] == step for problem in line.problems)
    if not mine or not line.seconds or not line.work_s:
        return None
    together = sum(line.work_s.values()) / (line.at_once or _at_once(record))
    return line.seconds, max(*line.work_s.values(), together)


def _at_once(record: Record) -> int:
    """Return how many sites could work at the same time, where the journal does not say."""
    if record.run.about.get("simulated"):
        return record.run.roster.simulation.workers
    return len(record.run.roster.sites)
