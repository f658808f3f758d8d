"""ComBat: take the site's signature out of features, keep what covariates explain."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.batch_effects import Shrink, harmonise
from common.analyses.design import Contract, Term, complete_rows, matrix_of, terms_of
from common.analyses.levels import level_codes
from common.analyses.plain import floats, whole
from common.analyses.spread import unit_of, without_rounding
from common.analyses.wide import read_wide, wide_schema, wide_sums
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Field as SumField
from common.sums import Schema, Sums, count, real
from common.table import Floats, Table

_SINGULAR = 1e-10  # smallest eigenvalue of the covariates' correlation within sites


class Combat(Step):
    """Harmonise features over sites with ComBat.

    Every site is a batch, or, with `batch`, each level of a column within a site, such
    as its scanners.

    The model y = grand + C beta + shift of the batch + its spread x noise is fitted
    from two sums: beta from covariates centred at their batch (Frisch and Waugh), so
    that no batch's feature means leave a site, and the pooled variance. A site finds
    its own shifts and spreads (Johnson et al., Biostatistics 8:118, 2007; Fortin et al., NeuroImage
    161:149, 2017) and harmonises its own rows; a site that joins later, an external
    one, does so with the same beta, grand mean and variance.

    Cases without a feature or a covariate take no part and get no values. With `folds`,
    the model is also fitted without each fold: `<step>.fold0.<feature>` are all cases
    harmonised by what the other folds tell, for a model that is evaluated on fold 0.
    Never name the outcome of such a model as a covariate.

    Rounds: 2, whatever the folds.
    """

    only_masked: ClassVar[bool] = True

    kind: Literal["combat"] = "combat"
    of: tuple[str, ...] = Field(min_length=1, description="features to harmonise")
    covariates: tuple[str, ...] = Field(default=(), description="whose effect is kept")
    batch: str | None = Field(
        default=None, description="a category: batches within a site, such as scanners"
    )
    shrink: Shrink = Field(
        default="parametric",
        description="how a batch's features lend each other strength (empirical Bayes)",
    )
    folds: int = Field(default=0, ge=0, le=50)
    fewest: int = Field(
        default=20,
        ge=3,
        description="complete cases below which a batch is neither fitted nor harmonised",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "each" in self.over:
            raise ValueError("over: a site alone has none to be harmonised with")
        if self.folds == 1:
            raise ValueError("folds: expected 0 or at least 2, got 1")
        both = sorted(set(self.of) & {*self.covariates, self.batch})
        if both or self.batch in self.covariates:
            raise ValueError(f"one column in two roles: {both or self.batch}")
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        batch = () if self.batch is None else (self.batch,)
        return (*self.of, *self.covariates, *batch)

    def expand(self, known: tuple[str, ...]) -> "Combat":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        return self.model_copy(update={"of": expand_patterns(self.of, known)})

    def produces(self) -> Mapping[str, Column]:
        """Return the harmonised features, once for all cases and once for each fold."""
        number = Column(type="number")
        return {name: number for names in self._made() for name in names}

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: products with covariates, then squares left."""
        m, p = self.folds + 1, len(self.of)
        q = len(terms_of(self.covariates, contract))
        schema = {"n": count(), "valid": count(m, behind="valid"), "batches": count(m)}
        if ask.phase == "squares":
            return schema | {"squares": _masked(m, p)}
        return {
            **schema,
            **wide_schema("sum", (m, p), (m, p)),
            **wide_schema("cy", (m, q, p), (m, p)),
            "c": real(m, q, behind="valid"),
            "cc": _masked(m, q, q),
        } | {name: _masked(m, q, p) for name in ("cy", "cy_high")}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over the batches that have enough complete cases."""
        complete, y, c, of = self._complete(table)
        parts = [self._fitted(table, complete, i)[complete] for i in range(self._n_fits)]
        n = np.array([part.sum() for part in parts], np.int64)
        batches = np.array([np.unique(of[part]).size for part in parts], np.int64)
        sums = {"n": np.array(table.n), "valid": n, "batches": batches}
        cs = [_centred(c[part], of[part]) for part in parts]
        ys = [_centred(y[part], of[part]) for part in parts]
        if ask.phase == "squares":
            beta, scale = floats(ask.arrays["beta"]), floats(ask.arrays["scale"])
            left = [(b - a @ k) / scale for a, b, k in zip(cs, ys, beta, strict=True)]
            return sums | {"squares": np.stack([(e**2).sum(axis=0) for e in left])}
        units = _units(terms_of(self.covariates, table.contract), table.contract)
        c, cs = c / units, [a / units for a in cs]
        cy = np.stack([a.T @ b for a, b in zip(cs, ys, strict=True)])
        cy_size = [np.abs(a).sum(axis=1) @ np.abs(b) for a, b in zip(cs, ys, strict=True)]
        y_size = np.stack([np.abs(y[i]).sum(axis=0) for i in parts])
        return {
            **sums,
            **wide_sums("sum", np.stack([y[i].sum(axis=0) for i in parts]), y_size),
            **wide_sums("cy", cy, np.stack(cy_size)),
            "c": np.stack([c[i].sum(axis=0) for i in parts]),
            "cc": np.stack([a.T @ a for a in cs]),
        }

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for products with the covariates, then for the squares they leave."""
        terms = terms_of(self.covariates, contract)
        if alone:
            return Answer({"note": "a site alone has none to be harmonised with"})
        first = yield Ask("products")
        about: dict[str, Json] = {
            "n": int(first["n"]),
            "n_fitted": int(first["valid"][0]),
            "n_batches": int(first["batches"][0]),
            "n_features": len(self.of),
            "covariates": [term.name for term in terms],
        }
        note = _why_not(whole(first["batches"]), floats(first["cc"]), self.fewest)
        if note:
            return Answer({**about, "note": note})
        sums, size = read_wide("sum", first)
        cy, _ = read_wide("cy", first)
        n, scale = floats(first["valid"])[:, None], unit_of(size[0])
        slopes = np.linalg.solve(floats(first["cc"]), cy)
        grand = (sums - np.einsum("mq,mqp->mp", floats(first["c"]), slopes)) / n
        beta = slopes / _units(terms, contract)[:, None]
        total = yield Ask("squares", {}, {"beta": beta, "scale": scale})
        squares = without_rounding(floats(total["squares"]) * scale**2, n, grand)
        sd = np.sqrt(squares / n)
        constant = [name for name, s in zip(self.of, sd[0], strict=True) if s == 0]
        arrays = {"beta": beta, "grand": grand, "sd": sd}
        return Answer({**about, "mode": "exact", "constant": [*constant]}, arrays)

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return this site's harmonised features, NaN for a case that is not complete."""
        columns = {name: np.full(table.n, np.nan) for name in self.produces()}
        complete, y, c, of = self._complete(table)
        if "beta" not in answer.arrays:
            return columns
        beta, grand, sd = (floats(answer.arrays[k]) for k in ("beta", "grand", "sd"))
        rows = np.flatnonzero(complete)
        for i, names in enumerate(self._made()):
            fitted = self._fitted(table, complete, i)[complete]
            expected = grand[i] + c @ beta[i]
            for batch in np.unique(of):
                own = of == batch
                if fitted[own].sum() < 2:
                    continue
                found = harmonise(y[own], expected[own], sd[i], fitted[own], self.shrink)
                for j, name in enumerate(names):
                    columns[name][rows[own]] = found[:, j]
        return columns

    @property
    def _n_fits(self) -> int:
        return self.folds + 1

    def _made(self) -> list[tuple[str, ...]]:
        prefixes = ("", *(f"fold{i}." for i in range(self.folds)))
        return [tuple(prefix + name for name in self.of) for prefix in prefixes]

    def _complete(
        self, table: Table
    ) -> tuple[NDArray[np.bool_], Floats, Floats, NDArray[np.int64]]:
        """Return which rows take part, and their features, covariates and batches."""
        complete = complete_rows(table, self.columns())
        of = np.zeros(table.n, np.int64)
        if self.batch is not None:
            of = level_codes(table, self.batch)
        learn = complete & _learnt_from(table)
        for batch in np.unique(of):
            if (learn & (of == batch)).sum() < self.fewest:
                complete &= of != batch
        rows = table.rows(complete)
        terms = terms_of(self.covariates, table.contract)
        return complete, rows.matrix(self.of), matrix_of(rows, terms), of[complete]

    def _fitted(self, table: Table, complete: NDArray[np.bool_], fit: int) -> NDArray[np.bool_]:
        """Return which rows a fit is made of: 0 is of all, i + 1 leaves out fold i."""
        learn: NDArray[np.bool_] = complete & _learnt_from(table)
        return learn if fit == 0 else learn & (table.folds(self.folds) != fit - 1)


def _learnt_from(table: Table) -> NDArray[np.bool_]:
    """Return the rows a batch's effect may be taken from: those of the step's cases.

    A site without any such row took no part in the fit; it joins with all it has.
    """
    if table.chosen is None or not table.chosen.any():
        return np.ones(table.n, np.bool_)
    return table.chosen


def _units(terms: Sequence[Term], contract: Mapping[str, Column]) -> Floats:
    """Return the unit of each covariate, so that products of them fit the wire.

    A power of two, which divides without rounding, from the declared range, which all sites
    know alike.
    """
    ends = [contract[term.column].range or (0.0, 1.0) for term in terms]
    _, exponent = np.frexp([max(abs(low), abs(high)) for low, high in ends])
    return np.ldexp(np.ones(len(terms)), exponent)


def _masked(*shape: int) -> SumField:
    """Declare products that, of one site, would tell of its rows."""
    return SumField(shape, real().bound, "real", "valid", "never")


def _centred(values: Floats, of: NDArray[np.int64]) -> Floats:
    """Return values without the mean of their batch."""
    out = values.copy()
    for batch in np.unique(of):
        out[of == batch] -= values[of == batch].mean(axis=0)
    return out


def _why_not(batches: NDArray[np.int64], cc: Floats, fewest: int) -> str:
    """Return why the model cannot be fitted, "" where it can."""
    if batches.min() < 2:
        return f"fewer than two batches have enough complete cases: {fewest} or more (`fewest`)"
    size = np.sqrt(np.einsum("mqq->mq", cc))
    if (size == 0).any():
        return "a covariate does not vary within any batch"
    correlation = cc / size[:, :, None] / size[:, None, :]
    if cc.size and np.linalg.eigvalsh(correlation).min() < _SINGULAR:
        return "covariates that tell the same within every batch"
    return ""
