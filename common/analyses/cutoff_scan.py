"""Scan cut-offs of a marker for the one that best parts survival, honestly tested."""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.kaplan_meier import n_days_of
from common.analyses.max_selected import (
    contal_o_quigley,
    death_scores,
    improved_bonferroni,
    lausen_schumacher,
)
from common.analyses.merging import shown_cuts
from common.analyses.outcome import NO_CASE, NO_EVENT, complete, event_level, events
from common.analyses.publish import SMALLEST_CELL, with_another
from common.analyses.survival import leaving, log_rank
from common.cohort import Column
from common.step import Step
from common.sums import Array, Schema, Sums, cells, count, fine_grid, real
from common.table import Floats, Table

Contract = Mapping[str, Column]
Ints = NDArray[np.int64]
Share = Annotated[float, Field(gt=0, lt=0.5)]


class CutoffScan(Step):
    """Log-rank tests stratified by site at many cut-offs of a marker.

    Each site computes its own O - E and variance (`common.analyses.survival`) of patients
    at or above each cut-off against those below; no event time leaves it. The p of the
    best cut-off is corrected for having been chosen (`common.analyses.max_selected`).
    Only cut-offs between which nobody or five patients lie are looked at, and that leave
    `least_share` of the patients on either side. Cases that miss time, event, marker or
    stratum are left out.

    Rounds: 1, whatever the number of cut-offs and strata.
    """

    kind: Literal["cutoff_scan"] = "cutoff_scan"
    time: str = Field(description="whole days, with a range from 0")
    event: str
    positive: str = Field("", description="the level of the event that is one")
    marker: str
    cutoffs: tuple[float, ...] = Field(min_length=1)
    by: str = Field("", description="category: a scan for each of its levels")
    least_share: Share = 0.1

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        named = (self.time, self.event, self.marker, self.by)
        return tuple(name for name in named if name)

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: log-rank sums and sizes at each cut-off."""
        b, k, behind = len(self._strata(contract)), self._cuts().size, "n_patients"
        between = cells if ask.values["alone"] else fine_grid
        return {
            "n": count(),
            "n_patients": count(),
            "missing": count(),
            "events": cells(b),
            "between": between(b, k + 1, behind=behind),
            "shown": count(b, k),
            "off": real(b, k, behind=behind),
            "spread": real(b, k, behind=behind),
            "squares": real(b, behind=behind),
        }

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums; alone, cut-offs with small cells are left out."""
        rows = complete(table, self.columns())
        n_strata, cuts = len(self._strata(rows.contract)), self._cuts()
        by = rows.columns[self.by] if self.by else np.zeros(rows.n)
        found = [self._stratum(rows.rows(by == b)) for b in range(n_strata)]
        sums: dict[str, Array] = {
            name: np.stack([np.asarray(f[name]) for f in found]) for name in found[0]
        }
        sums["shown"] = np.ones((n_strata, cuts.size), np.int64)
        if ask.values["alone"]:
            _leave_out(sums, table.smallest_cell)
        sums["n"], sums["n_patients"] = np.array(rows.n), np.array(rows.n_patients)
        return sums | {"missing": np.array(table.n - rows.n)}

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask once; find the best cut-off of each stratum."""
        event_level(contract, self.event, self.positive)
        n_days_of(contract, self.time)
        total = yield Ask("scan", {"alone": alone})
        strata: dict[str, Json] = {}
        sizes_of = np.asarray(total["between"], np.int64).sum(axis=1)
        hidden = _hidden_strata(sizes_of, np.asarray(total["events"], np.int64), SMALLEST_CELL)
        if alone and int(total["n"]):
            hidden |= sizes_of == 0  # its own site has left it out, or nobody is in it
        for b, level in enumerate(self._strata(contract)):
            if hidden[b]:
                strata[level] = dict(_HIDDEN)
                continue
            mine = {k: np.asarray(total[k], np.float64)[b] for k in _NAMES}
            sizes = mine["between"].astype(np.int64)
            shown = mine["shown"] > 0  # at a site alone; over sites all are sent
            shown &= alone or shown_cuts(sizes[None], SMALLEST_CELL)
            strata[level] = self._scan(mine, sizes, shown)
        head: dict[str, Json] = {k: int(total[k]) for k in ("n", "n_patients", "missing")}
        return Answer(head | {"mode": "exact", "strata": strata})

    def _strata(self, contract: Contract) -> tuple[str, ...]:
        return contract[self.by].levels if self.by else ("all",)

    def _cuts(self) -> Floats:
        return np.unique(np.array(self.cutoffs, np.float64))

    def _stratum(self, rows: Table) -> dict[str, Array]:
        cuts = self._cuts()
        y, days = events(rows, self.event, self.positive), rows.columns[self.time]
        part = np.searchsorted(cuts, rows.columns[self.marker], side="right")
        n_days = n_days_of(rows.contract, self.time)
        off, spread = np.zeros(cuts.size), np.zeros(cuts.size)
        everyone = leaving(days, y, n_days)
        for k in range(cuts.size):
            above = leaving(days[part > k], y[part > k], n_days)
            difference, variance = log_rank(np.stack([everyone - above, above]))
            off[k], spread[k] = difference[1], variance[1, 1]
        return {
            "between": np.bincount(part, minlength=cuts.size + 1),
            "events": np.array(int(y.sum())),
            "off": off,
            "spread": spread,
            "squares": np.array((death_scores(int(y.sum())) ** 2).sum()),
        }

    def _scan(
        self, mine: Mapping[str, Floats], sizes: Ints, shown: NDArray[np.bool_]
    ) -> dict[str, Json]:
        n, below = int(sizes.sum()), sizes.cumsum()[:-1]
        share = below / max(n, 1)
        inside = (share >= self.least_share) & (share <= 1 - self.least_share)
        used = np.flatnonzero(shown & inside & (mine["spread"] > 1e-12))
        head: dict[str, Json] = {"n": n, "events": int(mine["events"])}
        if not used.size:
            return head | {
                "cutoffs": [],
                "best": None,
                "note": _why_none(n, int(mine["events"])),
            }
        tests = [self._test(mine, below, n, int(k)) for k in used]
        z = mine["off"][used] / np.sqrt(mine["spread"][used])
        best, largest = int(np.argmax(np.abs(z))), float(np.abs(z).max())
        single = tests[best]["p"]
        low, high = float(share[used[0]]), float(share[used[-1]])
        n_sizes = np.unique(below[used])
        surprise = contal_o_quigley(float(np.abs(mine["off"][used]).max()), float(mine["squares"]))
        corrected: dict[str, Json] = {
            "p_lausen_schumacher": single
            if n_sizes.size == 1
            else lausen_schumacher(largest, low, high),
            "p_improved_bonferroni": improved_bonferroni(largest, n_sizes, n),
            "p_contal_o_quigley": surprise,
        }
        return head | {"cutoffs": list(tests), "best": tests[best] | corrected}

    def _test(self, mine: Mapping[str, Floats], below: Ints, n: int, k: int) -> dict[str, Json]:
        """Return the test at one cut-off, with Peto's one-step hazard ratio."""
        from scipy.stats import chi2

        off, spread = float(mine["off"][k]), float(mine["spread"][k])
        return {
            "cutoff": float(self._cuts()[k]),
            "n_below": int(below[k]),
            "n_above": n - int(below[k]),
            "chi2": off**2 / spread,
            "p": float(chi2.sf(off**2 / spread, 1)),
            "hazard_ratio": float(np.exp(off / spread)),
        }


def _why_none(n: int, n_events: int) -> str:
    """Say why there is no cut-off."""
    if not n:
        return NO_CASE
    return "no cut-off leaves enough cases on both sides" if n_events else NO_EVENT


_HIDDEN: dict[str, Json] = {
    "n": None,
    "events": None,
    "cutoffs": [],
    "best": None,
    "note": "not shown: nobody or too few, or a group of too few would follow from it",
}
_NAMES = ("between", "events", "off", "spread", "squares", "shown")


def _hidden_strata(n: Ints, n_events: Ints, smallest: int) -> NDArray[np.bool_]:
    """Return the strata of few cases, events or others, with one more where these would follow.

    How many there are of each over all strata may be told by a step beside this one.
    """
    counts = (n, n_events, n - n_events)
    hidden = np.zeros(n.shape, np.bool_)
    for of in counts:
        hidden |= (of > 0) & (of < smallest)
    for of in counts:
        hidden = with_another(hidden, of, smallest)
    return hidden


def _leave_out(sums: dict[str, Array], smallest: int) -> None:
    """Zero the numbers of cut-offs that a site alone must not show."""
    between = np.asarray(sums["between"], np.int64)
    n_events = np.asarray(sums["events"], np.int64)
    gone = _hidden_strata(between.sum(axis=1), n_events, smallest)
    for b, sizes in enumerate(between):
        shown = shown_cuts(sizes[None], smallest)
        if gone[b]:
            shown[:] = False
            sizes[:], n_events[b], sums["squares"][b] = 0, 0, 0.0
        for k in np.flatnonzero(~shown):
            sizes[k + 1] += sizes[k]
            sizes[k] = 0
        for name in ("shown", "off", "spread"):
            sums[name][b] = np.where(shown, sums[name][b], 0)
    sums["between"], sums["events"] = between, n_events
