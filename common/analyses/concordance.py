"""Harrell's concordance of scores with survival: at any sites, of any column."""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.concordance_grid import cells_of, concordance, score_edges
from common.analyses.newton import Ints
from common.analyses.outcome import complete, event_level, events, lacks_events
from common.analyses.partial_likelihood import concordant, order
from common.analyses.plain import floats, plain, whole
from common.analyses.publish import SMALLEST_CELL, shown_counts
from common.analyses.wide import read_wide, wide_schema, wide_sums
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Array, Schema, Sums, cells, count, fine_grid
from common.table import Table

Contract = Mapping[str, Column]
_BEHIND = "n_patients"
_TIMES, _SCORES = 512, 256


class Concordance(Step):
    """How often the case with the higher score has the event first: Harrell's C.

    Harrell, Lee, Mark, Stat Med 15:361 (1996). `within_sites` is exact, over pairs of
    cases of one site; `across_sites` is over all pairs, from counts on a grid of days and
    score, with the `bound` of what pairs in one cell can change, and an interval from
    multinomial draws of the grid's cells (the bootstrap of cases, to the grid). Cases that
    miss time, event or any of the scores are left out.

    Rounds: 2; the first finds where the scores lie. A site alone has no grid.
    Message: 2 MB a score in the second, once. Only in masked sums.
    """

    kind: Literal["concordance"] = "concordance"
    time: str = Field(description="a number with a range from 0")
    event: str = Field(description="a category, or an integer of range 0 to 1")
    positive: str = Field(default="", description="level that is the event")
    scores: tuple[str, ...] = Field(min_length=1, description="higher means sooner")
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    bootstrap: int = Field(default=200, ge=0, le=2000, description="draws; 0 for none")
    seed: int = Field(default=0, ge=0)

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.time, self.event, *self.scores)

    def expand(self, known: tuple[str, ...]) -> "Concordance":
        """Return the step with patterns such as "hazards.*" spelled out."""
        return self.model_copy(update={"scores": expand_patterns(self.scores, known)})

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: sums of the scores, then pairs and cells."""
        p, counts = len(self.scores), {"n": count(), "n_patients": count()}
        if ask.phase == "scores":
            more = {"missing": count(), "classes": cells(2)}
            sums = {
                **wide_schema("sum", (p,), (p,), behind=_BEHIND),
                **wide_schema("squares", (p,), (p,), behind=_BEHIND),
            }
            return {**counts, **more, **sums}
        pairs = count(p, behind=_BEHIND)
        schema = {**counts, "right": pairs, "tied": pairs, "pairs": pairs}
        if "mean" not in ask.arrays:
            return schema
        return {**schema, "grid": fine_grid(p, 2, _TIMES, _SCORES, behind=_BEHIND)}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        here = complete(table, self.columns())
        died, days = events(here, self.event, self.positive), here.columns[self.time]
        x = here.matrix(self.scores)
        sums: dict[str, Array] = {"n": np.array(here.n), "n_patients": np.array(here.n_patients)}
        if ask.phase == "scores":
            classes = np.bincount(died.astype(np.int64), minlength=2)
            size, square = np.abs(x).sum(axis=0), (x**2).sum(axis=0)
            return {
                **sums,
                "missing": np.array(table.n - here.n),
                "classes": classes,
                **wide_sums("sum", x.sum(axis=0), size),
                **wide_sums("squares", square, square),
            }
        strata = order(days, died, np.zeros(here.n, np.int64))
        found = np.array([concordant(score, died, strata) for score in x.T]).reshape(-1, 3)
        sums |= dict(zip(("right", "tied", "pairs"), found.T, strict=True))
        if "mean" in ask.arrays:
            z = (x - floats(ask.arrays["mean"])) / floats(ask.arrays["sd"])
            edges = floats(ask.arrays["edges"]), float(ask.arrays["last_day"])
            sums["grid"] = np.stack([cells_of(days, died, score, edges, _TIMES) for score in z.T])
        return sums

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask where the scores lie, then for pairs."""
        event_level(contract, self.event, self.positive)
        bounds = contract[self.time].range
        if bounds is None or bounds[0] < 0:
            raise ValueError(f'time "{self.time}": expected a number with a range from 0')
        first = yield Ask("scores")
        n = int(first["n"])
        none, n_events = shown_counts([int(c) for c in first["classes"]])
        head: dict[str, Json] = {
            "n": n,
            "n_patients": int(first["n_patients"]),
            "missing": int(first["missing"]),
            "events": None if none is None else n_events,
        }
        if int(first["classes"][1]) < SMALLEST_CELL:
            note = lacks_events(n, int(first["classes"][1]))
            return Answer(head | {"scores": {}, "note": note})
        arrays: dict[str, Array] = {}
        if not alone:
            mean = read_wide("sum", first)[0] / n
            sd = np.sqrt(np.maximum(read_wide("squares", first)[0] / n - mean**2, 0.0))
            arrays = {"mean": mean, "sd": np.where(sd > 0, sd, 1.0)}
            arrays |= {"edges": score_edges(1.0, _SCORES), "last_day": np.array(bounds[1])}
        total = yield Ask("pairs", {}, arrays)
        scores: dict[str, Json] = {s: self._one(total, i) for i, s in enumerate(self.scores)}
        return Answer(head | {"scores": scores})

    def _one(self, total: Sums, i: int) -> dict[str, Json]:
        pairs = int(total["pairs"][i])
        right = float(total["right"][i]) + float(total["tied"][i]) / 2.0
        within: dict[str, Json] = {
            "estimate": plain(right / pairs) if pairs else None,
            "comparable_pairs": pairs,
            "mode": "exact",
        }
        grid = whole(total["grid"][i]) if "grid" in total else None
        found = None if grid is None else concordance(grid)
        if grid is None or found is None:
            return {"within_sites": within}
        low, high = self._interval(grid)
        across: dict[str, Json] = {
            "estimate": found[0],
            "bound": found[1],
            "ci_low": low,
            "ci_high": high,
            "mode": "binned",
        }
        return {"within_sites": within, "across_sites": across}

    def _interval(self, grid: Ints) -> tuple[Json, Json]:
        """Return the middle of the indices that drawn grids have."""
        if not self.bootstrap:
            return None, None
        used = np.flatnonzero(grid)
        n = int(grid.sum())
        rng = np.random.default_rng(self.seed)
        drawn = rng.multinomial(n, grid.ravel()[used] / n, self.bootstrap)
        indices = []
        for counts in drawn:
            one = np.zeros(grid.size, np.int64)
            one[used] = counts
            found = concordance(one.reshape(grid.shape))
            indices += [] if found is None else [found[0]]
        tail = (1 - self.level) / 2
        low, high = np.quantile(indices, [tail, 1 - tail])
        return float(low), float(high)
