"""Other studies of nearly the same patients: two sums less each other tell of the few between.

A site's ledger is by study, so a study that leaves one patient out (by a narrower range of
its data contract, say) is another cohort and breaks no rule. Cohorts grow by a few patients
in the ordinary way too, so this is no refusal: who approves a study is told.
"""

import json
from collections.abc import Iterable, Iterator

from client.cases import Case
from client.ledger import name_of_patient
from client.site import Site


def nearly_the_same(site: Site, sha256: str, cases: Iterable[Case]) -> Iterator[str]:
    """Yield, in words, the studies that gave sums of all these patients but one to four.

    Args:
        site: whose ledger is read.
        sha256: of the study that is looked at.
        cases: what its cohort would be.
    """
    here = {name_of_patient(case.patient_id) for case in cases}
    least = site.policy.smallest_cell
    for folder in sorted(site.room("ledger").glob("*.cohorts")):
        other = folder.name.removesuffix(".cohorts")
        if other == sha256:
            continue
        for path in sorted(folder.glob("*.json")):
            before = set(json.loads(path.read_bytes())[0])
            if 0 < len(here ^ before) < least:
                few = f"{len(here - before)} patients more and {len(before - here)} fewer than"
                why = "sums of both, less each other, tell of these: approve one of them"
                yield f"{few} study {other[:12]} was answered of: {why}"
