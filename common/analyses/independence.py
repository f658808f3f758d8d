"""Which analyses take every case for a patient of its own.

Their tests and intervals are those of independent cases. Where a patient has several
that are alike, p comes out too small and intervals too narrow. Folds are by patient all the same.
"""

CASES_AS_INDEPENDENT = frozenset(
    {
        "agreement_of_categories",
        "calibration",
        "compare_groups",
        "compare_paired",
        "concordance",
        "correlate",
        "cox",
        "cross_tabulate",
        "cutoff_scan",
        "decision_curve",
        "icc",
        "kaplan_meier",
        "logistic",
        "meta",
        "moments",
        "operating_point",
        "piecewise_exponential",
        "reclassification",
        "roc",
        "univariable_logistic",
    }
)
"""Kinds of step with a test or an interval. A classifier has none."""
