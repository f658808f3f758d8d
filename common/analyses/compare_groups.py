"""Compare columns between the groups of a category: t, ANOVA, Levene, rank tests."""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from common.analyses import group_tests
from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.correction import Correction, adjusted, with_significant
from common.analyses.few import HIDDEN_ALONE, without_few
from common.analyses.few_in_groups import few_by_mean, few_by_ranks, without_counts
from common.analyses.group_ranks import PHASES, Ranking
from common.analyses.group_spreads import (
    CENTRE,
    DEVIATIONS,
    DISTANCES,
    TOTALS,
    Wanted,
    distances_here,
    find_spreads,
    overall,
    overall_schema,
    told_of,
    windows_of,
)
from common.analyses.levels import level_codes, levels_of
from common.analyses.medians import count_in_windows
from common.analyses.plain import floats, plain, whole
from common.analyses.publish import SMALLEST_CELL, shown_counts
from common.analyses.rank_cells import line_of, on_line
from common.analyses.rare_levels import is_binary
from common.analyses.spread import Spread, deviations, deviations_schema
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Array, Schema, Sums, count, fine_grid
from common.table import Table

Contract = Mapping[str, Column]

_TWO_GROUPS = ("t", "welch", "mann_whitney")
_RANKS = ("mann_whitney", "kruskal_wallis")
_VARIANCES = ("levene", "brown_forsythe")


class CompareGroups(Step):
    """Compare columns between groups, each column over the cases that have it.

    Means and sums of squares by two passes; Levene's test is an ANOVA of distances from
    the group's mean, Brown and Forsythe's (JASA 69:364, 1974) from its median. Ranks
    are exact for whole numbers with a range of up to 4096, for multiples of
    `resolution` and where `exact_ranks`; else `mode` is "binned" and `bound` certifies
    the statistic named in `bound_of`. A column is not tested where one to four patients
    of a group have it. Counts come first: no sum of a group of so few is asked for, nor of
    the group that is hidden with it, nor ranks by group of a column that has one, so the
    coordinator does not see them either.

    Rounds: 2 for t, welch, anova and welch_anova, one more where groups lie a hundred SDs
    apart; 3 for levene; 7 for brown_forsythe, up to 11 with hundreds of columns; rank tests
    2 on whole numbers, else 2 to 4, and 3 to 8 for exact ranks. A site alone ranks its own
    patients: 1, and 2 for brown_forsythe.
    """

    kind: Literal["compare_groups"] = "compare_groups"
    of: tuple[str, ...] = Field(min_length=1, description="columns to compare")
    by: str = Field(description="a category, or whole numbers of a short range")
    test: Literal[
        "t",
        "welch",
        "anova",
        "welch_anova",
        "levene",
        "brown_forsythe",
        "mann_whitney",
        "kruskal_wallis",
    ]
    correction: Correction = "none"
    select_p: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="list the columns whose corrected p is below it; a later step reads them "
        "as @<step>.significant",
    )
    resolution: float | None = Field(
        default=None,
        gt=0,
        description="values are rounded to it before they are ranked",
    )
    exact_ranks: bool = Field(
        default=False,
        description="cut cells until every patient has a rank of its own; in the sums "
        "of all sites stand a column's values then, sorted, of nobody in particular",
    )
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.by, *self.of)

    def expand(self, known: tuple[str, ...]) -> "CompareGroups":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        return self.model_copy(update={"of": expand_patterns(self.of, known)})

    def chooses(self) -> Mapping[str, tuple[str, ...]]:
        """Return the columns, of which `significant` names some."""
        return {} if self.select_p is None else {"significant": self.of}

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: by group and column, sums or counts in cells."""
        if ask.phase in PHASES:
            return self._ranking.schema(ask, contract)
        shape = len(levels_of(self.by, contract)), len(self.of)
        schema = {"n": count()}
        if ask.phase == TOTALS:
            schema |= overall_schema(*shape)
        if ask.phase in (DEVIATIONS, DISTANCES):
            schema |= deviations_schema(*shape)
        if ask.phase == DISTANCES:
            distances = deviations_schema(*shape)
            schema |= {"m": distances["d"], "m2": distances["d2"]}
        for i, edges in windows_of(ask).items():
            schema[f"below.{i}"] = fine_grid(*edges.shape, behind="n")
        return schema

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums."""
        if ask.phase in PHASES:
            return self._ranking.summarise(table, ask)
        codes = level_codes(table, self.by)
        n_groups = len(levels_of(self.by, table.contract))
        values = without_few(table, table.matrix(self.of), codes)
        sums: dict[str, Array] = {"n": np.array(int((codes >= 0).sum()))}
        if ask.phase == TOTALS:
            return {**sums, **overall(values, codes, n_groups)}
        values = told_of(values, codes, ask)
        if ask.phase in (DEVIATIONS, DISTANCES):
            sums |= deviations(values, codes, *(floats(ask.arrays[a]) for a in CENTRE))
        if ask.phase == DISTANCES:
            sums |= distances_here(values, codes, ask)
        for i, edges in windows_of(ask).items():
            line = on_line(values[:, i], table.contract[self.of[i]], None)
            sums[f"below.{i}"] = count_in_windows(line, codes, n_groups, edges)
        return sums

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for sums, or for counts in finer and finer cells; test at the end."""
        levels = levels_of(self.by, contract)
        self._check(levels, contract)
        groups: list[Json]
        if self.test in _RANKS:
            n, ranks = yield from self._ranking.ask(contract, alone=alone)
            test = getattr(group_tests, self.test)
            found, sizes = [test(one) for one in ranks], [one.n for one in ranks]
            groups = [_sizes(levels, size) for size in sizes]
            few = [few_by_ranks(one) for one in ranks]
        else:
            n, valid, spread, tested = yield from find_spreads(self._wanted(contract, alone))
            found = [self._test_means(tested, i) for i in range(len(self.of))]
            sizes = [whole(of) for of in valid.T]
            groups = [_means(levels, sizes[i], spread, i) for i in range(len(self.of))]
            few = [few_by_mean(*of) for of in zip(spread.n.T, spread.mean.T, strict=True)]
        found = [_tested(one, n) for one, n in zip(found, sizes, strict=True)]
        for i in [i for i, c in enumerate(self.of) if few[i] and is_binary(c, contract)]:
            found[i], groups[i] = without_counts(), _sizes(levels, sizes[i])
        gone = [alone and n > 0 and not size.any() for size in sizes]
        p = adjusted([_p(one) for one in found], self.correction)
        columns: dict[str, Json] = {}
        for i, name in enumerate(self.of):
            if gone[i]:
                columns[name] = _hidden(levels, found[i])
                continue
            there = int(sizes[i].sum())
            head: dict[str, Json] = {"n": there, "missing": n - there}
            result = {"mode": "exact", **found[i], "p_adjusted": p[i]}
            columns[name] = {**head, "groups": groups[i], **result}
        about: dict[str, Json] = {"n": n, "by": self.by, "test": self.test}
        answer = Answer({**about, "correction": self.correction, "columns": columns})
        return with_significant(answer, self.select_p)

    @property
    def _ranking(self) -> Ranking:
        return Ranking(self.of, self.by, self.resolution, self.exact_ranks)

    def _check(self, levels: tuple[str, ...], contract: Contract) -> None:
        if self.test in _TWO_GROUPS and len(levels) != 2:
            raise ValueError(
                f'"{self.test}" compares two groups, "{self.by}" has {len(levels)}: '
                "take anova, welch_anova or kruskal_wallis"
            )
        categories = [c for c in self.of if contract[c].type == "category"]
        if categories:
            raise ValueError(f"expected columns of numbers, got categories: {categories}")

    def _wanted(self, contract: Contract, alone: bool) -> Wanted:
        lines = [line_of(contract[c], None) for c in self.of]
        searched = self.test == "brown_forsythe" and not alone
        return Wanted(
            len(levels_of(self.by, contract)),
            lines if searched else (),
            distances=self.test in _VARIANCES,
            from_means=self.test == "levene",
        )

    def _test_means(self, spread: Spread, i: int) -> dict[str, Json]:
        n, mean, squares = (a[:, i] for a in (spread.n, spread.off, spread.squares))
        if self.test in ("t", "welch"):
            equal = self.test == "t"
            return group_tests.t_test(n, mean, squares, equal=equal, level=self.level)
        if self.test == "welch_anova":
            return group_tests.welch_anova(n, mean, squares)
        return group_tests.anova(n, mean, squares)


def _tested(found: group_tests.Outcome, n: Array) -> group_tests.Outcome:
    """Return a test's outcome; nothing of it where a group has one to four values.

    A difference of means and one of the two would give the mean of three patients away.
    """
    if not ((n > 0) & (n < SMALLEST_CELL)).any():
        return found
    note = f"a group has fewer than {SMALLEST_CELL} values: not shown"
    return {"statistic": None, "p": None, "note": note}


def _hidden(levels: tuple[str, ...], found: group_tests.Outcome) -> dict[str, Json]:
    """Return what is said of a column whose values a site alone has not told."""
    groups: dict[str, Json] = {level: {"n": None} for level in levels}
    said: dict[str, Json] = {**found, "p_adjusted": None, "note": HIDDEN_ALONE}
    return {"n": None, "missing": None, "groups": groups, "mode": "exact", **said}


def _p(outcome: Mapping[str, Json]) -> float | None:
    p = outcome["p"]
    return p if isinstance(p, float) else None


def _sizes(levels: tuple[str, ...], n: Array) -> Json:
    shown = shown_counts([int(x) for x in n])
    return {level: {"n": k} for level, k in zip(levels, shown, strict=True)}


def _means(levels: tuple[str, ...], n: Array, spread: Spread, i: int) -> Json:
    shown = shown_counts([int(k) for k in n])
    groups: dict[str, Json] = {}
    for g, level in enumerate(levels):
        enough = shown[g] is not None and spread.n[g, i] >= SMALLEST_CELL
        groups[level] = {
            "n": shown[g],
            "mean": plain(spread.mean[g, i]) if enough else None,
            "sd": plain(spread.sd[g, i]) if enough else None,
        }
    return groups
