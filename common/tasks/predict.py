"""The step `predict`: apply a trained network at each site, on its own disk.

Predicted masks and images stay at the site; its table gains a column for each score of a case; only
the number of cases done and failed leave.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.cohort import Column
from common.holdings import Holdings
from common.step import Cases, Over, Said, Step
from common.sums import Array, Schema, count
from common.tasks.train import Train

Weights = Mapping[str, Array]


@dataclass(frozen=True)
class Networks:
    """What a predict step applies.

    Attributes:
        variants: by variant and fold (0 where there are none) the weights of one network or
            of an ensemble; an empty list: each site's own.
        n_folds: of the training; 0 where one network learned from all cases.
        sites: those that trained, whose training cases have a network that never saw them.
        rounds: by fold, after which round a network with parts that stay local was chosen.
    """

    variants: Mapping[str, Mapping[int, Sequence[Weights]]]
    n_folds: int = 0
    sites: tuple[str, ...] = ()
    rounds: Mapping[int, int] = field(default_factory=dict)


class Predict(Step):
    """Apply the network of a `train` step, and with its baselines, to cases; score them.

    Where the training had folds, each training case of a developing site is predicted by
    the network that has not seen its patient, every other case by all of them.

    Rounds: 1.
    """

    elastic: ClassVar[bool] = True

    kind: Literal["predict"] = "predict"
    network: str = Field(description="the step that trained it")
    over: tuple[Over, ...] = ("all",)
    cases: Cases = Cases(split=("validation", "test"))
    combine: Literal["mean", "vote"] = Field(
        "mean", description="of several networks: mean probability, or majority (of each voxel)"
    )

    def needs(self) -> tuple[str, ...]:
        """Return the step that trained the network."""
        return (self.network,)

    def makes(self, before: Holdings, steps: Mapping[str, Step]) -> Holdings:
        """Return the task's scores, masks and images, with `<variant>.` in front."""
        trained = steps.get(self.network)
        if not isinstance(trained, Train):
            return Holdings()
        made = found = trained.task.made(before)
        for variant in trained.variants:
            made |= found.prefixed(variant)
        return made

    def problems(self, before: Holdings, steps: Mapping[str, Step]) -> Iterator[Said]:
        """Yield a vote where nothing votes."""
        del before
        trained = steps.get(self.network)
        if self.combine != "vote" or not isinstance(trained, Train):
            return
        if trained.task.kind == "super_resolution":
            yield ("combine",), "images cannot vote: leave it out, several are averaged"
        elif not trained.folds and "ensemble" not in trained.baselines:
            why = f'vote: "{self.network}" trains one network, without folds or a baseline ensemble'
            yield ("combine",), f"{why}; leave it out"

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return counts of cases predicted and failed, summed over variants."""
        del ask, contract
        return {"done": count(), "failed": count()}

    def solve_with(self, networks: Networks, *, alone: bool = False) -> Solve:
        """Send the networks of every variant, count what was done."""
        del alone
        total = yield ask_with(networks)
        return Answer({name: int(total[name]) for name in ("done", "failed")})


def ask_with(networks: Networks) -> Ask:
    """Return an ask that carries networks."""
    sizes: dict[str, Json] = {
        variant: {str(fold): len(ensemble) for fold, ensemble in folds.items()}
        for variant, folds in networks.variants.items()
    }
    arrays = {
        f"{variant}/{fold}/{i}/{name}": array
        for variant, folds in networks.variants.items()
        for fold, ensemble in folds.items()
        for i, weights in enumerate(ensemble)
        for name, array in weights.items()
    }
    values: dict[str, Json] = {
        "variants": sizes,
        "folds": networks.n_folds,
        "sites": list(networks.sites),
        "rounds": {str(fold): round_ for fold, round_ in networks.rounds.items()},
    }
    return Ask("predict", values, arrays)


def networks_of(ask: Ask) -> Networks:
    """Return what a predict ask carries, the inverse of `ask_with`."""
    sizes: Any = ask.values["variants"]
    found: dict[str, dict[int, list[dict[str, Array]]]] = {
        variant: {int(fold): [{} for _ in range(n)] for fold, n in folds.items()}
        for variant, folds in sizes.items()
    }
    for key, array in ask.arrays.items():
        variant, fold, i, name = key.split("/", 3)
        found[variant][int(fold)][int(i)][name] = array
    sites: Any = ask.values["sites"]
    rounds: Any = ask.values["rounds"]
    by_fold = {int(fold): int(round_) for fold, round_ in rounds.items()}
    return Networks(found, int(str(ask.values["folds"])), tuple(sites), by_fold)
