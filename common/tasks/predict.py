"""The step `predict`: apply a trained network at each site, on its own disk.

Predicted masks and images stay at the site; its table gains a column for each score of a case; only
the number of cases done and failed leave.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.cohort import Column
from common.holdings import Holdings
from common.step import Cases, Over, Step
from common.sums import Array, Schema, count
from common.tasks.train import Train

Networks = Mapping[str, list[Mapping[str, Array]]]
"""Weights of one or several networks (an ensemble) by variant; empty: each site's own."""


class Predict(Step):
    """Apply the network of a `train` step, and with its baselines, to cases; score them.

    Rounds: 1.
    """

    elastic: ClassVar[bool] = True

    kind: Literal["predict"] = "predict"
    network: str = Field(description="the step that trained it")
    over: tuple[Over, ...] = ("all",)
    cases: Cases = Cases(split=("validation", "test"))

    def needs(self) -> tuple[str, ...]:
        """Return the step that trained the network."""
        return (self.network,)

    def makes(self, before: Holdings, steps: Mapping[str, Step]) -> Holdings:
        """Return the task's scores, masks and images, with `<baseline>.` in front."""
        trained = steps.get(self.network)
        if not isinstance(trained, Train):
            return Holdings()
        made = found = trained.task.made(before)
        for baseline in trained.baselines:
            made |= found.prefixed(baseline)
        return made

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return counts of cases predicted and failed, summed over variants."""
        del ask, contract
        return {"done": count(), "failed": count()}

    def solve_with(self, networks: Networks) -> Solve:
        """Send the networks of every variant, count what was done."""
        sizes: dict[str, Json] = {variant: len(weights) for variant, weights in networks.items()}
        arrays = {
            f"{variant}/{k}/{name}": array
            for variant, ensemble in networks.items()
            for k, weights in enumerate(ensemble)
            for name, array in weights.items()
        }
        total = yield Ask("predict", {"variants": sizes}, arrays)
        return Answer({name: int(total[name]) for name in ("done", "failed")})


def networks_of(ask: Ask) -> Iterator[tuple[str, list[dict[str, Array]]]]:
    """Return variant and networks of a predict ask, the inverse of `solve_with`."""
    variants = ask.values["variants"]
    for variant, n in variants.items() if isinstance(variants, dict) else ():
        ensemble: list[dict[str, Array]] = [{} for _ in range(int(str(n)))]
        for key, array in ask.arrays.items():
            of, k, name = key.split("/", 2)
            if of == variant:
                ensemble[int(k)][name] = array
        yield variant, ensemble
