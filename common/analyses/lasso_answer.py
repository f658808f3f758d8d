"""What a LASSO step answers: the path, the choice, the columns selected."""

from dataclasses import dataclass

import numpy as np

from common.analyses.analysis import Answer, Json
from common.analyses.design import Term
from common.analyses.lasso_path import Path, Validated, validate
from common.analyses.plain import plain
from common.analyses.publish import shown_counts
from common.sums import Sums


@dataclass(frozen=True)
class Choice:
    """What the answer needs of the step: its columns, family, rule; why some are left out."""

    terms: tuple[Term, ...]
    family: str
    rule: str
    left_out: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return tuple(term.name for term in self.terms)


def _counts(first: Sums) -> dict[str, Json]:
    n = int(first["n"])
    none, events = shown_counts([int(c) for c in first["classes"]])
    return {
        "n": n,
        "n_excluded": int(first["n_cases"]) - n,
        "n_patients": int(first["n_patients"]),
        "events": events,
        "non_events": none,
    }


def without_path(first: Sums, note: str) -> Answer:
    """Return the answer of a step that could not be fitted."""
    return Answer({**_counts(first), "converged": False, "note": note, "mode": "exact"})


def answer_of(path: Path, choice: Choice, first: Sums) -> Answer:
    """Return path, choice and selected columns; coefficients of all fits as arrays."""
    validated = validate(path.errors, path.sizes)
    at = validated.best if choice.rule == "min" else validated.sparse
    beta = path.beta[0, at, 1:]
    raw = path.scale.coefficients(path.beta[:, at])
    terms: dict[str, Json] = {}
    for j in np.flatnonzero(beta):
        terms[choice.names[j]] = {
            "estimate": plain(raw[0, 1 + j]),
            "estimate_per_sd": plain(beta[j]),
        }
    values: dict[str, Json] = {
        **_counts(first),
        "converged": True,
        "note": _note(validated, at, choice.left_out, selected=bool(terms)),
        "error": "deviance" if choice.family == "logistic" else "squared error",
        "lambda_min": plain(path.lambdas[validated.best]),
        "lambda_1se": plain(path.lambdas[validated.sparse]),
        "lambda": plain(path.lambdas[at]),
        "n_selected": len(terms),
        "selected": [*dict.fromkeys(choice.terms[j].column for j in np.flatnonzero(beta))],
        "intercept": plain(raw[0, 0]),
        "terms": terms,
        "path": _path(path, validated, choice),
        "kkt": plain(path.kkt.max()),
        "mode": "exact",
    }
    if choice.family == "linear":
        del values["events"], values["non_events"]
    return Answer(values, {"coefficients": raw})


def _note(validated: Validated, at: int, left_out: str | None, *, selected: bool) -> str | None:
    """Say where a lambda lies at an end of the path, beyond which a better one may be."""
    said = [] if selected else ["no column was selected"]
    if left_out:
        said.append(left_out)
    if validated.best == len(validated.mean) - 1:
        said.append(
            "the error is least at the smallest lambda of the path and may be less beyond it: "
            "lower `smallest`"
        )
    elif selected and at == 0:
        said.append(
            "the lambda chosen is the largest of the path, where columns weigh next to nothing"
        )
    return "; ".join(said) or None


def _path(path: Path, validated: Validated, choice: Choice) -> list[Json]:
    """Return a row for each lambda: error, number selected, coefficients a SD."""
    rows: list[Json] = []
    for i, lambda_ in enumerate(path.lambdas):
        b = path.beta[0, i, 1:]
        chosen = np.flatnonzero(b)
        rows.append(
            {
                "lambda": plain(lambda_),
                "error": plain(validated.mean[i]),
                "error_se": plain(validated.se[i]),
                "n_selected": int(chosen.size),
                "estimates_per_sd": {choice.names[j]: plain(b[j]) for j in chosen},
            }
        )
    return rows
