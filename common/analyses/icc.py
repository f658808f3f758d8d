"""Intraclass correlation of two or more readers, for thousands of features at once."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.few import HIDDEN_ALONE, behind_enough
from common.analyses.plain import floats, plain
from common.analyses.publish import SMALLEST_CELL
from common.analyses.spread import unit_of, without_rounding
from common.analyses.variance_parts import Estimate, Form, MeanSquares, icc
from common.analyses.wide import read_wide, wide_schema, wide_sums
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Schema, Sums, count, real
from common.table import Floats, Table

# Koo and Li, J Chiropr Med 15:155 (2016).
_GRADES = {"poor": -np.inf, "moderate": 0.5, "good": 0.75, "excellent": 0.9}


class Icc(Step):
    """Intraclass correlation of single readings: which features are reproducible.

    ICC1 (each case has readers of its own), ICC2 (a sample of readers, absolute
    agreement) and ICC3 (these readers, consistency) with F-based intervals: Shrout and
    Fleiss, Psychol Bull 86:420 (1979); McGraw and Wong, Psychol Methods 1:30 (1996).
    A feature's cases are those that every reader has measured. Readers are the same
    persons at all sites; where each site has its own, only ICC1 says what it means to.

    Rounds: 2.
    """

    kind: Literal["icc"] = "icc"
    raters: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(
        min_length=2,
        description="a list of columns for each reader, the same features in one order; "
        'patterns allowed: [["radiomics.tumour.*"], ["radiomics.tumour@b.*"]]',
    )
    forms: tuple[Form, ...] = Field(default=("ICC2",), min_length=1)
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    select: float | None = Field(
        default=None,
        le=1,
        description="list the features at or above it, by first form; a later step reads "
        "them, in the first reader's columns, as @<step>.selected",
    )
    select_by: Literal["estimate", "ci_low"] = "estimate"

    @model_validator(mode="after")
    def _even(self) -> Self:
        if not any("*" in column for columns in self.raters for column in columns):
            self._check_even()
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads, reader by reader."""
        return tuple(column for columns in self.raters for column in columns)

    def expand(self, known: tuple[str, ...]) -> "Icc":
        """Return the step with patterns spelled out."""
        raters = tuple(expand_patterns(columns, known) for columns in self.raters)
        return self.model_copy(update={"raters": raters})

    def chooses(self) -> Mapping[str, tuple[str, ...]]:
        """Return the features of the first reader, of which `selected` names some."""
        return {} if self.select is None else {"selected": self.raters[0]}

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return what one site sends: sums of readers, then squares of two kinds."""
        k, p = len(self.raters), len(self.raters[0])
        schema = {"n": count(), "valid": count(p, behind="valid")}
        by_rater = real(k, p, behind="valid")
        one = real(p, behind="valid")
        if ask.phase == "totals":
            return {**schema, **wide_schema("sum", (k, p), (p,))}
        return schema | {"d": by_rater, "subjects": one, "residuals": one}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over the cases that every reader has measured."""
        x = np.stack([table.matrix(columns) for columns in self.raters])
        there = behind_enough(table, np.asarray(~np.isnan(x).any(axis=0)))
        sums = {"n": np.array(table.n), "valid": there.sum(axis=0)}
        x = np.where(there, x, 0.0)
        if ask.phase == "totals":
            return {
                **sums,
                **wide_sums("sum", x.sum(axis=1), np.abs(x).sum(axis=(0, 1))),
            }
        centre, scale = floats(ask.arrays["centre"]), floats(ask.arrays["scale"])
        z = np.where(there, (x - centre[:, None, :]) / scale, 0.0)
        subject = z.mean(axis=0)
        return sums | {
            "d": z.sum(axis=1),
            "subjects": (subject**2).sum(axis=0),
            "residuals": ((z - subject) ** 2).sum(axis=(0, 1)),
        }

    def solve(self, contract: Mapping[str, Column], *, alone: bool = False) -> Solve:
        """Ask for the readers' means, then for squares around them."""
        self._check_even()
        first = yield Ask("totals")
        n = floats(first["valid"])
        told = np.where((n > 0) & (n < SMALLEST_CELL), np.nan, 1.0)
        sums, size = read_wide("sum", first)
        centre, scale = sums / np.maximum(n, 1), unit_of(size)
        total = yield Ask("squares", {}, {"centre": centre, "scale": scale})
        parts = _mean_squares(n, centre, scale, total)
        found: dict[Form, Estimate] = {}
        for form in self.forms:
            of = icc(parts, form, self.level)
            found[form] = {name: values * told for name, values in of.items()}
        return Answer(self._report(int(first["n"]), n, found, alone=alone))

    def _check_even(self) -> None:
        sizes = [len(columns) for columns in self.raters]
        if len(set(sizes)) > 1:
            raise ValueError(f"raters: expected as many columns of each, got {sizes}")

    def _report(
        self, n_cases: int, n: Floats, found: Mapping[Form, Estimate], *, alone: bool
    ) -> dict[str, Json]:
        features: dict[str, Json] = {}
        for i, name in enumerate(self.raters[0]):
            forms: dict[str, Json] = {
                form: {key: plain(values[i]) for key, values in of.items()}
                for form, of in found.items()
            }
            about: dict[str, Json] = {"n": int(n[i])}
            if alone and n_cases and not n[i]:
                about = {"n": None, "note": HIDDEN_ALONE}
            features[name] = {**about, **forms}
        leading = found[self.forms[0]]
        estimate = leading["estimate"]
        grade = np.digitize(estimate, list(_GRADES.values())[1:])
        graded: dict[str, Json] = {
            name: int((grade[~np.isnan(estimate)] == g).sum()) for g, name in enumerate(_GRADES)
        }
        values: dict[str, Json] = {
            "n": n_cases,
            "mode": "exact",
            "n_raters": len(self.raters),
            "n_features": len(n),
            "grades": graded,
            "features": features,
        }
        if self.select is not None:
            above = np.flatnonzero(leading[self.select_by] >= self.select)
            values["selected"] = [self.raters[0][i] for i in above]
        return values


def _mean_squares(n: Floats, centre: Floats, scale: Floats, total: Sums) -> MeanSquares:
    """Split the spread into cases, readers and residual (two-way analysis of variance).

    Deviations are from each reader's mean of the first round; `d` is what that mean
    was off.
    """
    k, safe = len(centre), np.maximum(n, 1)
    off = floats(total["d"]) / safe
    mean = centre + off * scale
    unit = scale**2
    subjects = k * (total["subjects"] - n * off.mean(axis=0) ** 2) * unit
    shifts = ((off - off.mean(axis=0)) ** 2).sum(axis=0)
    residuals = (total["residuals"] - n * shifts) * unit
    raters = n * ((mean - mean.mean(axis=0)) ** 2).sum(axis=0)
    size = np.abs(mean).max(axis=0)
    subjects, residuals, raters = (
        without_rounding(part, n * k, size) for part in (subjects, residuals, raters)
    )
    df = np.where(n > 1, n - 1, np.nan)
    return MeanSquares(
        n=n,
        k=k,
        subjects=subjects / df,
        raters=raters / (k - 1),
        residuals=residuals / (df * (k - 1)),
        within=(raters + residuals) / (np.where(n > 1, n, np.nan) * (k - 1)),
    )
