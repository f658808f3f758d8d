"""A coordinator that looks for patients: it asks through the real gates and reads totals.

It has what a real one has: the study file (approved), asks of its choice, masked replies of
the sites. A site's refusal ends an attack as `Refused`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from client.gate import answer
from client.masking import join
from client.site import Site, load_site
from common.analyses.analysis import Ask
from common.beside import ASKED, beside_schema
from common.errors import Refused
from common.messages import Hello, Posed, Round
from common.privacy.encoding import add_into, decode
from common.study import schema_of
from common.sums import Sums
from server.run import Run
from tests.runs import make_run

SITES = ("east", "north", "south", "west")
SIZES = {"north": 30, "east": 14, "south": 26, "west": 18}

Rows = list[dict[str, object]]

COLUMNS = """
name: attack
cohort:
  columns:
    age: {type: integer, range: [18, 100]}
    marker: {type: number, range: [0, 50]}
    sex: {type: category, levels: [f, m]}
    code: {type: category, levels: [a, b, c]}
    flag: {type: integer, range: [0, 1]}
    days: {type: integer, range: [0, 400]}
steps:
"""


def rows_of(n: int, seed: int) -> Rows:
    """Return n patients; nobody has code c or a flag."""
    rng = np.random.default_rng(seed)
    return [
        {
            "age": int(rng.integers(40, 80)),
            "marker": round(float(rng.uniform(1, 20)), 3),
            "sex": "fm"[i % 2],
            "code": "ab"[i // 2 % 2],
            "flag": 0,
            "days": int(rng.integers(1, 400)),
        }
        for i in range(n)
    ]


def cohorts() -> dict[str, Rows]:
    """Return the patients of four sites; the victim is the last one at east."""
    found = {name: rows_of(n, seed) for seed, (name, n) in enumerate(SIZES.items())}
    found["east"][-1] |= {"marker": 37.123, "code": "c", "flag": 1, "days": 211}
    return found


VICTIM = 37.123


def write(folder: Path, rows: Rows, splits: Sequence[str] = ("train",)) -> None:
    """Write a cohort.csv; splits take turns."""
    lines = ["case_id,patient_id,split," + ",".join(rows[0])]
    for i, row in enumerate(rows):
        values = ",".join(map(str, row.values()))
        lines.append(f"case{i:03d},patient{i:03d},{splits[i % len(splits)]},{values}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")


@dataclass
class Coordinator:
    """Poses asks in a run of its own making.

    Attributes:
        run: the prepared run: study, and a folder for each site.
        name: the run it says it is; any name goes.
        number: of the last round.
    """

    run: Run
    name: str = "run-1"
    session: str = "s1"
    number: int = 0
    _sites: dict[str, Site] = field(default_factory=dict)

    def total(
        self,
        step: str,
        ask: Ask | None = None,
        group: Sequence[str] = SITES,
        part: str = "development",
        **of_round: int,
    ) -> Sums:
        """Return a total over a group.

        Raises:
            Refused: with the reason of the first site that refuses.
        """
        if "number" not in of_round:
            self.number += 1
        study = self.run.study
        ask = ask or next(study.bound[step].solve(study.contract(), alone=len(group) == 1))
        posed = Posed(f"{step}/{part}", step, tuple(sorted(group)), ask)
        message = self._round(posed, **of_round)
        total = None
        for name in posed.group:
            (reply,) = answer(self.site(name), message).replies
            if reply.words is None:
                assert reply.reason is not None
                raise Refused(reply.reason, name)
            narrow = study.narrowed(ask.chosen)  # no site has refused the choice
            beside = beside_schema(study, step, asked=ask.values.get(ASKED) is True)
            schema = {**schema_of(narrow.bound[step], ask, narrow.contract()), **beside}
            if total is None:
                total = np.array(reply.words)
            else:
                add_into(total, reply.words, schema)
        assert total is not None
        return decode(total, schema)

    def site(self, name: str) -> Site:
        """Return a site as its own file describes it."""
        if name not in self._sites:
            self._sites[name] = load_site(self.run.folder / "sites" / name / "site.yaml")
        return self._sites[name]

    def _round(self, posed: Posed, number: int = 0, attempt: int = 1) -> Round:
        hello = Hello(self.name, self.session, self.run.study_hash)
        members = {n: join(self.site(n), hello) for n in posed.group}
        return Round(hello, number or self.number, attempt, members, (posed,))


def coordinator(
    folder: Path,
    steps: str,
    patients: Mapping[str, Rows] | None = None,
    *,
    columns: str = COLUMNS,
    splits: Sequence[str] = ("train",),
    policies: Mapping[str, Mapping[str, Any]] | None = None,
    **policy: Any,
) -> Coordinator:
    """Return a coordinator with a study of these steps, approved by four sites.

    `policies` are those of single sites, where they are not that of all.
    """
    rules = {"per_site": False, **policy}
    own = {name: {**rules, **of} for name, of in (policies or {}).items()}
    run = make_run(folder, study=columns + steps, policy=rules, policies=own)
    for name, rows in (patients or cohorts()).items():
        write(folder / "cohorts" / name, rows, splits)
    return Coordinator(run)
