"""Noise hides patients and keeps shapes; distances find the site that differs."""

import numpy as np
import pytest

from common.analyses.analysis import Answer, Ask
from common.analyses.site_shapes import (
    Compared,
    SiteDistances,
    SiteShapes,
    by_chance,
    distances,
    noise,
)
from common.cohort import Column
from common.seeds import numpy_rng
from common.table import Table

NUMBER = Column(type="number")


def table_of(values: np.ndarray) -> Table:
    columns = {f"f{j}": values[:, j] for j in range(values.shape[1])}
    patients = np.array([f"p{i}" for i in range(len(values))])
    return Table(columns, dict.fromkeys(columns, NUMBER), patients)


def ended(solving) -> Answer:
    with pytest.raises(StopIteration) as stop:
        next(solving)
    return stop.value.value


def test_noise_has_the_variance_of_the_two_sided_geometric() -> None:
    for epsilon in (0.5, 2.0):
        a = np.exp(-epsilon / 2)
        drawn = noise((200_000,), epsilon)
        assert drawn.mean() == pytest.approx(0, abs=0.05)
        assert drawn.var() == pytest.approx(2 * a / (1 - a) ** 2, rel=0.05)
        share = np.mean(drawn == 0)
        assert share == pytest.approx((1 - a) / (1 + a), rel=0.05)


def test_a_site_that_differs_is_found_and_the_others_are_not() -> None:
    rng = numpy_rng("shapes")
    step = SiteShapes(of=tuple(f"f{j}" for j in range(30)), scale="m", epsilon=2.0)
    known = {f"f{j}": {"mean": 0.0, "sd": 1.0} for j in range(30)}
    scaled = step.given({"m": Answer({"columns": known})})
    parts = {}
    for name, shift in (("a", 0.0), ("b", 0.0), ("c", 1.0)):
        table = table_of(rng.normal(shift, 1, (80, 30)))
        solving = scaled.solve(table.contract, alone=True)
        ask: Ask = next(solving)
        with pytest.raises(StopIteration) as stop:
            solving.send(step.summarise(table, ask))
        parts[f"site.{name}"] = stop.value.value
    given = SiteDistances(of="shapes").given_parts({"shapes": parts})
    found = ended(given.solve({})).values
    apart = {(p["a"], p["b"]): p for p in found["pairs"]}
    for pair in (("a", "c"), ("b", "c")):
        assert apart[pair]["distance"] == pytest.approx(1.0, abs=0.25)
        assert apart[pair]["distance"] > 2 * apart[pair]["by_chance"]
    same = apart["a", "b"]
    assert same["distance"] == pytest.approx(same["by_chance"], rel=0.3)
    assert len(found["farthest"]) == 10


def test_distances_are_the_earth_movers_on_the_bins() -> None:
    from scipy.stats import wasserstein_distance

    rng = numpy_rng("bins")
    a, b = rng.integers(0, 20, (2, 4, 10))
    at = np.arange(10) * 5.0 / 8
    known = [wasserstein_distance(at, at, x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(distances(a, b), known, rtol=1e-12)


def test_by_chance_falls_with_the_number_of_patients() -> None:
    pooled = np.full((5, 10), 40)
    assert by_chance(pooled, (400, 400), 2.0) < by_chance(pooled, (40, 40), 2.0)


def test_one_site_alone_has_none_to_be_compared_with() -> None:
    with pytest.raises(ValueError, match="fewer than two sites"):
        next(Compared({"site.a": {"columns": {}, "epsilon": 1}}).solve({}))
