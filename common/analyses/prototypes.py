"""Class prototypes: what sums allow in place of nearest neighbours."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.class_moments import (
    PHASES,
    ClassMoments,
    find_moments,
    moments_here,
    moments_schema,
)
from common.analyses.classifier import (
    Cases,
    Contract,
    cases_of,
    check_numbers,
    check_setting,
    made_columns,
    predictions,
    printed_counts,
    size_here,
    size_schema,
    too_few,
    unfitted,
)
from common.analyses.lloyd import (
    Clusters,
    climb_down,
    lloyd_here,
    lloyd_schema,
    squares_to,
)
from common.analyses.logit import probability
from common.analyses.outcome import event_level
from common.analyses.plain import floats, whole
from common.analyses.principal import Components, find_components, sketch_here, sketch_schema
from common.analyses.publish import SMALLEST_CELL
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Schema, Sums
from common.table import Floats, Table


class Prototypes(Step):
    """Predict by the nearness of prototypes, k-means centres within each class.

    Nearest neighbours would send patients' rows; prototypes are means of at least five
    cases (Hastie, Tibshirani, Friedman, Elements of Statistical Learning, 13.2.1, 2009).
    A prototype of n cases at distance d votes n exp(-d^2 / 2 h^2) for its class, h^2 the
    mean squared distance a column of cases to their prototype: the mixture of Hastie,
    Tibshirani, J R Stat Soc B 58:155 (1996) with one spherical spread. Columns are
    standardised on the cases of each fit. Complete cases only.

    `explained` is the share of a column's variance that lies between prototypes.

    Rounds: 4 for means, spreads and components (5 where `naive_bayes` takes 3), and up to
    `rounds` of Lloyd, all folds together; where these are too few the prototypes are means
    all the same.
    Message: 2 (folds + 1) prototypes (p + 1) reals a round. Only in masked sums.
    """

    only_masked: ClassVar[bool] = True
    answers_alone: ClassVar[bool] = False

    kind: Literal["prototypes"] = "prototypes"
    outcome: str = Field(description="a category, or an integer of range 0 to 1")
    positive: str = Field(default="", description="level that is the event")
    of: tuple[str, ...] = Field(min_length=1, description="columns of numbers")
    prototypes: int = Field(default=5, ge=1, le=50, description="of each class, at most")
    folds: int = Field(default=0, ge=0, le=20, description="cross-validated predictions; 0: none")
    rounds: int = Field(default=30, ge=1, le=100, description="of Lloyd, at most")
    seed: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_setting(self.outcome, self.of, self.folds)
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.outcome, *self.of)

    def expand(self, known: tuple[str, ...]) -> "Prototypes":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        names = [c for c in expand_patterns(self.of, known) if c != self.outcome]
        return self.model_copy(update={"of": tuple(names)})

    def produces(self) -> Mapping[str, Column]:
        """Return the probability, and that of prototypes that had not seen the case."""
        return made_columns(self.folds)

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: moments, sketches of products, then Lloyd's sums."""
        if ask.phase in PHASES:
            return moments_schema(ask, self.folds, len(self.of))
        more = sketch_schema(ask) if ask.phase == "sketch" else lloyd_schema(ask)
        return {**size_schema(), **more}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        cases = cases_of(table, self.outcome, self.positive, self.of, self.folds)
        if ask.phase in PHASES:
            return moments_here(ask, table, cases, self.folds)
        scaled = self._scaled(ask, cases)
        if ask.phase == "sketch":
            return {**size_here(cases), **sketch_here(ask, scaled)}
        trains = cases.problems(self.folds)
        points = []
        for i in whole(ask.arrays["problems"]).tolist():
            problem, class_ = divmod(i, 2)
            points.append(scaled[problem][cases.y[trains[problem]] == class_])
        return {**size_here(cases), **lloyd_here(ask, points)}

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for the scale and a direction to start along, then run k-means."""
        event_level(contract, self.outcome, self.positive)
        check_numbers(self.of, contract)
        first = yield Ask("totals")
        note = too_few(first, self.folds)
        if note:
            return unfitted(first, note)
        moments = yield from find_moments(first, self.folds)
        sent = {"centre": moments.centre, "unit": moments.unit}
        cases = moments.n.sum(axis=1)
        components = yield from find_components(cases, len(self.of), self.seed, sent)
        start = self._start(moments, components)
        most = np.full(len(start), self.rounds)
        alive = np.ones(start.shape[:2], bool)
        found = yield from climb_down(start, alive, SMALLEST_CELL, most, sent)
        varying = np.maximum((moments.sd > 0).sum(axis=1), 1)
        inertia = found.inertia.reshape(-1, 2).sum(axis=1)
        width = np.maximum(inertia / (cases * varying), 1e-12)
        return self._answer(first, moments, found, width)

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return the probabilities; NaN where a column is missing."""
        if "centres" not in answer.arrays:
            return predictions(table, self.of, self.folds, None)
        names = ("centre", "unit", "centres", "n", "width")
        centre, unit, centres, n, width = (floats(answer.arrays[name]) for name in names)

        def predict(x: Floats, problem: int) -> Floats:
            z = (x - centre[problem]) / unit[problem]
            votes = []
            for i in (2 * problem, 2 * problem + 1):
                squares = squares_to(z, centres[i], n[i] > 0) / (2.0 * width[problem])
                votes.append(np.logaddexp.reduce(np.log(np.maximum(n[i], 1.0)) - squares, axis=1))
            return probability(votes[1] - votes[0])

        return predictions(table, self.of, self.folds, predict)

    def _scaled(self, ask: Ask, cases: Cases) -> list[Floats]:
        centre, unit = floats(ask.arrays["centre"]), floats(ask.arrays["unit"])
        trains = cases.problems(self.folds)
        return [(cases.x[t] - centre[i]) / unit[i] for i, t in enumerate(trains)]

    def _start(self, moments: ClassMoments, components: Components) -> Floats:
        """Return each class's mean, moved along the first component to even shares."""
        from scipy.special import ndtri

        mean = (moments.mean - moments.centre[:, None]) / moments.unit[:, None]
        along = ndtri((np.arange(self.prototypes) + 0.5) / self.prototypes)
        direction = components.directions[:, :, 0] * np.sqrt(components.variances[:, :1])
        moved = mean[:, :, None] + along[:, None] * direction[:, None, None]
        start: Floats = moved.reshape(-1, self.prototypes, len(self.of))
        return start

    def _answer(self, first: Sums, moments: ClassMoments, found: Clusters, width: Floats) -> Answer:
        n = np.where(found.alive, found.n, 0)
        between = (n[:2, :, None] * found.centres[:2] ** 2).sum(axis=(0, 1)) / n[:2].sum()
        sizes: list[list[Json]] = [
            [int(size) for size in sorted(row[row > 0], reverse=True)] for row in n[:2]
        ]
        values: dict[str, Json] = {
            **printed_counts(first),
            "converged": bool(found.still.all()),
            "note": None if found.still.all() else "centres still moved in the last round",
            "prototypes_events": sizes[1],
            "prototypes_non_events": sizes[0],
            "explained": {
                self.of[j]: float(between[j]) for j in np.argsort(-between, kind="stable").tolist()
            },
            "mode": "exact",
        }
        arrays = {"centre": moments.centre, "unit": moments.unit, "width": width}
        return Answer(values, {**arrays, "centres": found.centres, "n": n})
