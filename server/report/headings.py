"""The heading over a step's answer: what it is, then the name that the study gave it."""

from server.report.blocks import Heading
from server.report.kinds.lasso import penalty_words
from server.report.view import StepView

TITLES = {
    "check_cohort": "Which cases came in",
    "describe": "Descriptive statistics",
    "train": "Training of a network",
    "pseudo_label": "Pseudo-labels",
    "measure": "Measurements of masks",
    "compare_masks": "Comparison of masks",
    "derive": "Derived columns",
    "image_quality": "Quality of images",
    "extract": "Radiomic features",
    "deep_features": "Deep features",
    "site_shapes": "Distributions site by site",
    "site_distances": "Distances between sites",
    "missingness": "Missing values",
    "moments": "Shape of distributions",
    "histogram": "Histograms",
    "compare_groups": "Comparison of groups",
    "cross_tabulate": "Cross-tabulation",
    "agreement_of_categories": "Agreement of categories",
    "compare_paired": "Paired comparison",
    "icc": "Agreement of readings",
    "correlate": "Correlation",
    "standardise": "Z-scores",
    "combat": "Harmonisation by ComBat",
    "univariable_logistic": "Univariable logistic regression",
    "logistic": "Logistic regression",
    "forest": "Random forest",
    "boosting": "Gradient boosting",
    "svm": "Support vector machine",
    "naive_bayes": "Naive Bayes",
    "prototypes": "Nearest prototypes",
    "cluster": "Clusters",
    "roc": "ROC curves",
    "operating_point": "Operating points",
    "calibration": "Calibration",
    "decision_curve": "Decision curves",
    "reclassification": "Reclassification",
    "kaplan_meier": "Survival curves",
    "cutoff_scan": "Search for a cut-off",
    "cox": "Cox regression",
    "piecewise_exponential": "Piecewise exponential regression",
    "concordance": "Concordance",
    "meta": "Meta-analysis over sites",
}
_PREDICTED = {
    "segmentation": "Masks predicted at the sites",
    "classification": "Classes told at the sites",
    "super_resolution": "Finer images made at the sites",
}


def heading_of(view: StepView) -> Heading:
    """Return the heading over a step's answer.

    A name that only repeats the kind, or its title, is not said twice.
    """
    title, name = _title(view), view.name.replace("_", " ")
    again = {title.lower(), view.kind.replace("_", " ")}
    return Heading(title if name.lower() in again else f"{title}: {name}")


def _title(view: StepView) -> str:
    if view.kind == "lasso":
        words = penalty_words(view.step.alpha)
        return words[:1].upper() + words[1:]
    if getattr(view.step, "method", "") == "extra_trees":
        return "Extra-trees"
    if view.kind == "predict":
        return _PREDICTED[view.study.bound[view.step.network].task.kind]
    return TITLES.get(view.kind, view.kind.replace("_", " ").capitalize())
