"""The course of the run: who took part in which round, how long, how much."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from common.sites import POOLED
from server.report import charts
from server.report.blocks import Block, Figure, Note, Row, Section, Table
from server.report.numbers import NONE, is_number, plural, seconds, size, whole
from server.report.record import Record, RoundLine
from server.report.share import Share, shares

_NOT_ASKED, _ALL, _SOME, _NOTHING = range(4)
_WORDS = ("not asked", "gave all it was asked for", "gave a part", "gave nothing")
_COLOURS = ("#eef1f4", charts.BLUE, charts.SKY, charts.RED)
_SIGNS = ("", "", "/", "\N{MULTIPLICATION SIGN}")
_MOST_SIGNS = 60


def course(record: Record) -> Iterator[Section]:
    """Make the section about rounds."""
    rounds, roster = record.rounds, record.run.roster
    if not rounds:
        yield Section("rounds", "Rounds", [Note("No round has been asked yet.")])
        return
    sites = [*roster.developing, *roster.external]
    sites += sorted({s for line in rounds for s in line.asked} - set(sites))
    blocks: list[Block] = [_matrix(rounds, sites), _by_site(rounds, sites)]
    if any(is_number(line.seconds) for line in rounds):
        blocks.append(_costs(rounds))
    found = tuple(shares(record))
    if found:
        blocks.append(_shares(found))
    yield Section("rounds", "Rounds", blocks)


def _state(line: RoundLine, site: str) -> int:
    asked, lost = line.asked.get(site, set()), line.lost.get(site, {})
    if not asked:
        return _NOTHING if lost else _NOT_ASKED
    if not lost:
        return _ALL
    return _NOTHING if asked <= set(lost) else _SOME


def _matrix(rounds: Sequence[RoundLine], sites: list[str]) -> Figure:
    states = np.array([[_state(line, site) for line in rounds] for site in sites])

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        n = len(rounds)
        for i, row in enumerate(states):
            for start, length, state in _runs(row, merged=n > _MOST_SIGNS):
                axes.broken_barh(
                    [(start + 0.5, length)],
                    (i - 0.44, 0.88),
                    facecolor=_COLOURS[state],
                    edgecolor="white",
                    linewidth=0.8 if n <= _MOST_SIGNS else 0,
                )
        if n <= _MOST_SIGNS:
            for (i, j), state in np.ndenumerate(states):
                axes.text(j + 1, i, _SIGNS[state], ha="center", va="center", color="white", size=7)
        names = [f"{POOLED} (baseline)" if site == POOLED else site for site in sites]
        axes.set_yticks(range(len(sites)), names)
        axes.invert_yaxis()
        if n <= 20:
            axes.set_xticks(range(1, n + 1))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(0.5, max(n, 12) + 0.5)
        axes.set_xlabel("round", loc="left")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for state in sorted(set(states.ravel().tolist())):
            axes.scatter([], [], marker="s", s=45, color=_COLOURS[state], label=_WORDS[state])
        charts.below(canvas, [axes])

    n_lost = int((states >= _SOME).sum())
    return charts.draw(
        "participation",
        "Participation of each site in each round",
        f"{plural(len(rounds), 'round')}, {plural(len(sites), 'site')}; "
        f"{plural(n_lost, 'time')} a site gave less than it was asked for.",
        paint,
        height=0.75 + 0.24 * len(sites),
        caption="Participation by site and round. A site that gave a part refused some "
        "of the round's questions, or its reply to them could not be used.",
    )


def _runs(row: NDArray[np.int64], *, merged: bool) -> Iterator[tuple[int, int, int]]:
    """Return start, length and state of cells; equal neighbours in one where merged."""
    start = 0
    for i in range(1, len(row) + 1):
        if i == len(row) or not merged or row[i] != row[start]:
            yield start, i - start, int(row[start])
            start = i


def _by_site(rounds: Sequence[RoundLine], sites: list[str]) -> Table:
    rows = []
    for site in sites:
        states = [_state(line, site) for line in rounds]
        asked = sum(state != _NOT_ASKED for state in states)
        work = [line.work_s[site] for line in rounds if site in line.work_s]
        cells = [whole(asked), *(whole(states.count(s)) for s in (_ALL, _SOME, _NOTHING))]
        rows.append(Row(site, (*cells, seconds(sum(work)) if work else NONE)))
    head = ("Site", "Rounds asked", "Gave all", "Gave a part", "Gave nothing", "Own work")
    note = "Own work: seconds that the site spent on its own cases, over all rounds."
    return Table("Participation", head, tuple(rows), (note,))


def _costs(rounds: Sequence[RoundLine]) -> Table:
    columns: dict[str, tuple[Sequence[float | None], Callable[[object], str]]] = {
        "Time": ([line.seconds for line in rounds], seconds),
        "From the sites": ([line.bytes_up for line in rounds], size),
        "To the sites": ([line.bytes_down for line in rounds], size),
        "Slowest site's own work": (
            [max(line.work_s.values(), default=None) for line in rounds],
            seconds,
        ),
    }
    rows = []
    for name, (values, text) in columns.items():
        known = [float(v) for v in values if v is not None]
        if known:
            found = (np.median(known), max(known), sum(known))
            rows.append(Row(name, tuple(text(float(f)) for f in found)))
    head = ("A round", "Median", "Largest", "All rounds")
    return Table("What the rounds cost", head, tuple(rows))


def _shares(found: Sequence[Share]) -> Table:
    rows = [
        Row(
            share.step,
            (
                whole(share.n_rounds),
                seconds(share.seconds),
                seconds(share.work_s),
                f"{100 * share.share:.1f} %",
            ),
        )
        for share in found
    ]
    head = ("Training", "Rounds", "A round", "Its local work", "Not local work")
    note = (
        "Medians. Local work: the slowest site's, or that of all sites shared out to the workers "
        "of one machine, whichever is longer; the rest is waking up, masking, sending, adding "
        "and waiting for each other."
    )
    return Table("What training together costs beside the training", head, tuple(rows), (note,))
