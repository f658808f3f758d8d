"""The part of `consortium site check` that tells what a study would make of the patients."""

from collections.abc import Sequence

from client.cases import Case
from client.check import Checked
from client.cohorts import selections
from client.derived import formulas_in_words
from client.disclosure import selections_in_words
from client.fold_sizes import folds_in_words
from client.gaps import gaps_in_words
from client.other_studies import nearly_the_same
from client.site import Site
from common.study import Study


def cohort_in_words(
    site: Site, study: Study, sha256: str, checked: Checked, sound: Sequence[Case]
) -> list[str]:
    """Return what a hospital should know of its patients in this study, a line each.

    Args:
        site: whose policy and ledger count.
        study: what is looked at.
        sha256: of its file.
        checked: one of the site's cohorts.
        sound: its cases, with their folds drawn; none where it cannot be read.
    """
    gaps = gaps_in_words(study, checked, selections(study, checked.cases), site.policy)
    said = [gaps] if gaps else []
    said += formulas_in_words(study, sound, site.policy)
    n_sites = site.policy.fewest_sites if len(site.cohorts) == 1 else 0
    if n_sites and sound:  # of several folders a patient's name holds the folder's
        said += nearly_the_same(site, sha256, sound)
    said += folds_in_words(study, sound, site.policy, n_sites)
    return [*said, *selections_in_words(study, sound, site.policy, n_sites)]
