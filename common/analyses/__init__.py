"""The analyses a study can name: one file each, listed here once."""

from common.analyses.agreement_of_categories import AgreementOfCategories
from common.analyses.boosting import Boosting
from common.analyses.calibration import Calibration
from common.analyses.cluster import Cluster
from common.analyses.combat import Combat
from common.analyses.compare_groups import CompareGroups
from common.analyses.compare_paired import ComparePaired
from common.analyses.concordance import Concordance
from common.analyses.correlate import Correlate
from common.analyses.cox import Cox
from common.analyses.cross_tabulate import CrossTabulate
from common.analyses.cutoff_scan import CutoffScan
from common.analyses.decision_curve import DecisionCurve
from common.analyses.derive import Derive
from common.analyses.describe import Describe
from common.analyses.forest import Forest
from common.analyses.histogram import Histogram
from common.analyses.icc import Icc
from common.analyses.kaplan_meier import KaplanMeier
from common.analyses.lasso import Lasso
from common.analyses.logistic import Logistic
from common.analyses.meta import Meta
from common.analyses.missingness import Missingness
from common.analyses.moments import Moments
from common.analyses.naive_bayes import NaiveBayes
from common.analyses.operating_point import OperatingPoint
from common.analyses.piecewise_exponential import PiecewiseExponential
from common.analyses.prototypes import Prototypes
from common.analyses.reclassification import Reclassification
from common.analyses.roc import Roc
from common.analyses.site_shapes import SiteDistances, SiteShapes
from common.analyses.standardise import Standardise
from common.analyses.svm import Svm
from common.analyses.univariable_logistic import UnivariableLogistic

ANALYSES = (
    Describe,
    Missingness,
    Moments,
    Histogram,
    CompareGroups,
    CrossTabulate,
    AgreementOfCategories,
    ComparePaired,
    Icc,
    Correlate,
    Derive,
    Standardise,
    Combat,
    UnivariableLogistic,
    Logistic,
    Lasso,
    Forest,
    Boosting,
    Svm,
    NaiveBayes,
    Prototypes,
    Cluster,
    Roc,
    OperatingPoint,
    Calibration,
    DecisionCurve,
    Reclassification,
    KaplanMeier,
    CutoffScan,
    Cox,
    Concordance,
    PiecewiseExponential,
    Meta,
    SiteShapes,
    SiteDistances,
)
