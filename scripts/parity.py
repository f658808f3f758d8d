"""How far every analysis lies from other people's programs, and from the pooled rows.

    .venv/bin/python scripts/parity.py [KIND ...]

Five uneven sites and an empty one; ties, missing values, constant columns, columns of 1e14
and of 1e-7, and one near 1e6 that varies by 1. Errors are relative to the number itself.
"pooled": the same analysis over one site that has all rows, at most 1e-10 everywhere.
Where "error" is larger than that, it is the reference's own: saga and LIBLINEAR stop at a
tolerance, boosting works in single precision. But for Brown and Forsythe's test: medians
are searched to 2**-42 of their size, which is 3e-9 of a statistic where the column varies by a
millionth of it. A forest has no reference but itself: scikit-learn's cuts lie elsewhere.
Exits with 1 where an error is above 1e-6 (boosting: 1e-5), that to one pooled site above
1e-10, where the order of sites changes a bit, where an answer does not say its mode, or where
an analysis has no case.
"""

import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.analyses import ANALYSES  # noqa: E402
from scripts.parity_case import Case, Result, measure  # noqa: E402

NO_CASE = {"site_shapes": "counts of one site with noise of their own: no sum of pooled rows"}
POOLED = 1e-10
LIMITS = {"boosting": 1e-5}
ASKS_NOBODY = {"derive", "site_distances"}
_ROW = "{:<34} {:<26} {:>6} {:>9} {:>9} {:>6} {:>9}  {:<13} {}"


def main() -> int:
    """Print a line a case; return the exit code."""
    warnings.simplefilter("ignore")  # of the references
    wanted = set(sys.argv[1:])
    kinds = [analysis.model_fields["kind"].default for analysis in ANALYSES]
    cases = [case for case in _cases() if not wanted or case.kind in wanted]
    print(
        _ROW.format(
            "analysis", "reference", "n", "error", "pooled", "rounds", "bytes", "mode", "bits"
        )
    )
    good = True
    for case in sorted(cases, key=lambda c: kinds.index(c.kind)):
        result = measure(case)
        print(_line(case, result), flush=True)
        good &= result.same_bits and (result.pooled or 0.0) <= POOLED
        good &= result.mode != "-" or case.kind in ASKS_NOBODY
        good &= result.reference < LIMITS.get(case.kind, 1e-6)
    for kind in sorted(NO_CASE.keys() & (wanted or NO_CASE.keys())):
        print(f"{kind:<34} {NO_CASE[kind]}")
    absent = sorted(set(wanted or kinds) - NO_CASE.keys() - {case.kind for case in cases})
    for kind in absent:
        print(f"{kind:<34} no case here")
    return 0 if good and not absent else 1


def _cases() -> list[Case]:
    from scripts.parity_classifiers import cases as classifiers
    from scripts.parity_regressions import cases as regressions
    from scripts.parity_scores import cases as scores
    from scripts.parity_tests import cases as tests

    return [*tests(), *regressions(), *classifiers(), *scores()]


def _line(case: Case, result: Result) -> str:
    pooled = "-" if result.pooled is None else f"{result.pooled:.0e}"
    cost, n_sites = result.cost, len(case.tables)
    return _ROW.format(
        case.name,
        case.reference,
        result.n,
        f"{result.reference:.0e}" if result.n else "-",
        pooled,
        cost.rounds,
        f"{cost.bytes_up:,}",
        result.mode,
        ("same" if result.same_bits else "DIFFER") + f" over {n_sites} sites",
    )


if __name__ == "__main__":
    sys.exit(main())
