"""What is kept of a table is of these very rows, and never too much."""

from dataclasses import replace

import numpy as np

from common.cohort import Column
from common.known import Known, digest, size_of
from common.table import Table

CONTRACT = {"x": Column(type="number"), "y": Column(type="category", levels=("a", "b"))}


def table(x: list[float], patients: str = "pq") -> Table:
    columns = {"x": np.array(x), "y": np.zeros(len(x))}
    return Table(columns, CONTRACT, np.array(list(patients)), fold_key="s")


def test_what_is_known_of_a_table_is_known_of_an_equal_one_made_again() -> None:
    known, made = Known(), iter([1.0, 2.0])
    assert known.of(table([1, 2]), "first", lambda: next(made)) == 1.0
    assert known.of(table([1, 2]), "first", lambda: next(made)) == 1.0
    assert known.find(table([1, 2]), "second") is None


def test_nothing_is_known_of_a_table_that_differs_in_anything() -> None:
    one = table([1, 2])
    turned = {"y": Column(type="category", levels=("b", "a"))}
    others = [
        table([1, 3]),
        table([1, np.nan]),
        table([1, 2], "pr"),
        replace(one, columns={"x": one.columns["y"], "y": one.columns["x"]}),
        replace(one, contract=CONTRACT | turned),
        replace(one, smallest_cell=5),
        replace(one, fold_key="t"),
        replace(one, chosen=np.array([True, False])),
        replace(one, chosen=np.array([True, True])),
    ]
    assert len({t.digest for t in (one, *others)}) == 1 + len(others)


def test_what_was_used_last_stays_and_no_more_than_fits() -> None:
    part = np.zeros(100)
    known = Known(most_bytes=2 * size_of(part))
    for name in ("a", "b"):
        known.of(table([1, 2]), name, part.copy)
    known.find(table([1, 2]), "a")
    known.of(table([1, 2]), "c", part.copy)
    assert [known.find(table([1, 2]), name) is not None for name in "abc"] == [True, False, True]
    known.of(table([1, 2]), "large", lambda: np.zeros(300))
    assert known.find(table([1, 2]), "large") is None
    known.forget()
    assert known.find(table([1, 2]), "a") is None


def test_arrays_of_the_same_bytes_but_another_shape_or_type_have_another_digest() -> None:
    a = np.zeros(4)
    assert len({digest(a), digest(a.reshape(2, 2)), digest(a.view(np.int64)), digest(a, a)}) == 4
