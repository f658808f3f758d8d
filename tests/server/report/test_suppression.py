"""Nothing withheld can be had from what is printed beside it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import null_space
from scipy.optimize import linprog

from common.analyses.publish import SMALLEST_CELL, shown_counts
from server.report.suppression import Counts, printable, printable_counts

ALL = frozenset("abcd")
EACH = {site: frozenset(site) for site in "abcd"}


def test_all_parts_are_printed_where_nobody_refuses() -> None:
    groups = {"all": ALL, **EACH}
    assert printable(groups, []) == tuple(groups)


def test_one_more_site_is_left_out_beside_a_total() -> None:
    groups = {"all": ALL, "a": EACH["a"], "b": EACH["b"], "c": EACH["c"]}
    assert printable(groups, [EACH["d"]]) == ("all", "a", "b")


def test_nothing_more_is_left_out_without_a_total() -> None:
    groups = {"a": EACH["a"], "b": EACH["b"], "c": EACH["c"]}
    assert printable(groups, [EACH["d"]]) == ("a", "b", "c")


def test_two_totals_that_differ_by_a_refusing_site_are_not_printed_together() -> None:
    groups = {"development": frozenset("abc"), "all": ALL}
    assert printable(groups, [EACH["d"]]) == ("development",)


def test_a_part_under_two_names_is_not_withheld() -> None:
    groups = {"external": EACH["d"], "all": ALL}
    assert printable(groups, [EACH["d"]]) == ("external", "all")


def _counts(sites: frozenset[str], *levels: int | None, n: int | None) -> Counts:
    return Counts(sites, dict(zip("xyz", levels, strict=False)), n)


def test_counts_with_nothing_hidden_are_printed() -> None:
    parts = {"all": _counts(ALL, 20, 30, n=50), "a": _counts(EACH["a"], 8, 9, n=17)}
    assert printable_counts(parts) == ("all", "a")


def test_a_hidden_site_is_not_the_total_less_the_others() -> None:
    parts = {
        "all": _counts(frozenset("abc"), 20, 30, n=50),
        "a": _counts(EACH["a"], 8, 9, n=17),
        "b": _counts(EACH["b"], 9, 9, n=18),
        "c": _counts(EACH["c"], None, None, n=None),
    }
    assert printable_counts(parts) == ("all", "a", "c")


def test_a_rest_that_must_be_small_is_not_left() -> None:
    """Two hidden sites share three cases: each is known to have fewer than five."""
    parts = {
        "all": _counts(frozenset("abc"), 12, 30, n=42),
        "a": _counts(EACH["a"], 9, 9, n=18),
        "b": _counts(EACH["b"], None, None, n=None),
        "c": _counts(EACH["c"], None, None, n=None),
    }
    assert "a" not in printable_counts(parts)


def test_counts_that_contradict_each_other_are_printed_as_they_are() -> None:
    """Cases changed between two steps: there is nothing to be told by subtraction."""
    parts = {
        "all": _counts(frozenset("ab"), 5, 5, n=10),
        "a": _counts(EACH["a"], 50, None, n=None),
    }
    assert printable_counts(parts) == ("all", "a")


tables = st.integers(2, 4).flatmap(
    lambda n_sites: st.lists(
        st.lists(st.integers(0, 12), min_size=3, max_size=3),
        min_size=n_sites,
        max_size=n_sites,
    )
)


@settings(max_examples=40, deadline=None)
@given(tables, st.booleans())
def test_no_hidden_cell_can_be_computed(table: list[list[int]], refusing: bool) -> None:
    """Two tables fit what is printed, and differ in each cell that is hidden."""
    cells = np.array(table)
    sites = [frozenset(str(i)) for i in range(len(cells))]
    parts = {"all": _shown(frozenset().union(*sites), cells.sum(0), together=True)}
    parts |= {str(i): _shown(s, cells[i], together=False) for i, s in enumerate(sites)}
    withheld = [sites[-1]] if refusing else []
    if refusing:
        del parts[str(len(sites) - 1)]
        parts = {p: parts[p] for p in printable({p: c.sites for p, c in parts.items()}, withheld)}
    printed = printable_counts(parts, withheld)
    hidden = [
        (int(site), level)
        for site in parts
        for level in range(3)
        if site != "all" and parts[site].levels[str(level)] is None
    ]
    for site, level in hidden:
        low, high = _reach(cells, [parts[p] for p in printed], site, level)
        assert low != high
        assert high >= SMALLEST_CELL
    for level in range(3) if refusing else ():
        _, high = _reach(cells, [parts[p] for p in printed], len(sites) - 1, level)
        assert high == 0 or high >= SMALLEST_CELL


def _shown(sites: frozenset[str], cells: np.ndarray, *, together: bool) -> Counts:
    counts = [int(n) for n in cells]
    if together:
        levels = shown_counts(counts)
        return Counts(sites, dict(zip("012", levels, strict=True)), sum(counts))
    if any(0 < n < SMALLEST_CELL for n in counts):
        return Counts(sites, dict.fromkeys("012"), None)
    return Counts(sites, dict(zip("012", counts, strict=True)), sum(counts))


def _reach(cells: np.ndarray, printed: list[Counts], site: int, level: int) -> tuple[float, float]:
    """Return the least and largest value of a cell, walking from the true table.

    Another arithmetic than the code's: it looks for changes of the table, taken from
    the null space of what is printed, that move the cell as far as they can.
    """
    n_sites = len(cells)
    rows = []
    for counts in printed:
        inside = np.array([str(s) in counts.sites for s in range(n_sites)], float)
        for k in range(3):
            if counts.levels[str(k)] is not None:
                rows.append(np.outer(inside, np.eye(3)[k]).ravel())
        if counts.n is not None:
            rows.append(np.outer(inside, np.ones(3)).ravel())
    fixed = np.array(rows) if rows else np.zeros((1, 3 * n_sites))
    free = null_space(fixed)
    if not free.size:
        return float(cells[site, level]), float(cells[site, level])
    at, ends = 3 * site + level, []
    for sign in (1.0, -1.0):
        found = linprog(
            sign * free[at], A_ub=-free, b_ub=cells.ravel().astype(float), bounds=(None, None)
        )
        move = float(free[at] @ found.x) if found.status == 0 else -sign * np.inf
        ends.append(round(float(cells[site, level]) + move, 6))
    return ends[0], ends[1]


def test_the_law_would_notice_a_leak() -> None:
    """The same table printed whole: the check above must be able to fail."""
    cells = np.array([[9, 9, 9], [2, 9, 9]])
    whole = _shown(frozenset("01"), cells.sum(0), together=True)
    first = _shown(frozenset("0"), cells[0], together=False)
    second = _shown(frozenset("1"), cells[1], together=False)
    assert _reach(cells, [whole, first], 1, 0) == (2.0, 2.0)
    assert printable_counts({"all": whole, "0": first, "1": second}) == ("all", "1")
