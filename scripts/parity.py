"""How far every analysis lies from other people's programs, and from the pooled rows.

    .venv/bin/python scripts/parity.py [KIND ...]

Five uneven sites and an empty one; ties, missing values, constant columns, columns of 1e14
and of 1e-7. Errors are relative. "pooled": the same analysis over one site that has all rows.
A step that makes columns by arithmetic (`derive`) asks nobody, and noised histograms of single
sites (`site_shapes`, `site_distances`) are no sum of pooled rows: no case here.
A forest has no reference but itself: scikit-learn's cuts lie elsewhere. Exits with 1 where an
error is above 1e-6 (boosting, whose reference is of single precision: 1e-5), where the order of
sites changes a bit, or where an analysis has no case.
"""

import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from common.analyses import ANALYSES  # noqa: E402
from scripts.parity_case import Case, Result, measure  # noqa: E402

NO_CASE = {"derive", "site_shapes", "site_distances"}
LIMITS = {"boosting": 1e-5}
_ROW = "{:<34} {:<26} {:>6} {:>9} {:>9} {:>6} {:>9}  {}"


def main() -> int:
    """Print a line a case; return the exit code."""
    warnings.simplefilter("ignore")  # of the references
    wanted = set(sys.argv[1:])
    kinds = [analysis.model_fields["kind"].default for analysis in ANALYSES]
    cases = [case for case in _cases() if not wanted or case.kind in wanted]
    print(_ROW.format("analysis", "reference", "n", "error", "pooled", "rounds", "bytes", "bits"))
    good = True
    for case in sorted(cases, key=lambda c: kinds.index(c.kind)):
        result = measure(case)
        print(_line(case, result), flush=True)
        worst = max(result.reference, result.pooled or 0.0)
        good &= result.same_bits and worst < LIMITS.get(case.kind, 1e-6)
    absent = sorted(set(wanted or kinds) - NO_CASE - {case.kind for case in cases})
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
        ("same" if result.same_bits else "DIFFER") + f" over {n_sites} sites",
    )


if __name__ == "__main__":
    sys.exit(main())
