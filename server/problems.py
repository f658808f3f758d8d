"""From a study's steps to problems: one sum-by-sum computation over one group of sites."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from common.analyses.analysis import APPLY, Answer, Ask, Solve, State
from common.analyses.publish import few, shown_counts, without_few
from common.beside import ASKED, TellsOfFew, pairs_of, told_apart
from common.choices import Choices, chosen_in, references
from common.nested import AT, base_of
from common.sites import Roster
from common.step import HELD_OUT, LEFT_OUT
from common.study import Study
from common.sums import Sums
from common.tasks.train import Train

Answers = Mapping[str, Mapping[str, Answer]]
"""Answers so far by step and part; a part that failed is not there."""


@dataclass(frozen=True)
class Problem:
    """A part of a step.

    Attributes:
        step: name of the step.
        part: "development", "external", "all", "site.<name>", "apply", "pooled", ...
        group: the sites whose sums are added, sorted.
        solve: begins the computation, from a state where one was kept.
        chosen: columns that earlier steps have chosen and this one reads.
        elastic: each round takes whichever sites reply; else a lost site means
            beginning again without it, as totals of different sites do not fit together.
    """

    step: str
    part: str
    group: tuple[str, ...]
    solve: Callable[[State | None], Solve]
    elastic: bool = False
    chosen: Choices = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The problem's name in messages and journal."""
        return f"{self.step}/{self.part}"


def groups(roster: Roster, over: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the groups of sites behind the answers a step wants, by part."""
    found: dict[str, tuple[str, ...]] = {}
    for word in over:
        if word == "each":
            found |= {f"site.{name}": (name,) for name in sorted(roster.sites)}
        elif word == "all":
            found["all"] = tuple(sorted(roster.sites))
        elif word == "external" and roster.external:
            found["external"] = roster.external
        elif word == "development":
            found["development"] = roster.developing
    return found


def first_problems(
    study: Study, roster: Roster, name: str, answers: Answers, pooled: bool
) -> Iterator[Problem]:
    """Return the problems a step begins with, all of which can start now.

    Args:
        study: the study.
        roster: who takes part.
        name: of the step.
        answers: of the steps it needs.
        pooled: whether there is a pooled site, as only a simulation can have.
    """
    step = study.bound[name]
    if isinstance(step, Train):
        from server.training import problems

        yield from problems(study, roster, name, pooled=pooled)
    elif hasattr(step, "solve_with") and step.network:
        yield from _with_networks(study, roster, name, answers)
    elif hasattr(step, "given_parts"):
        given = step.given_parts({need: answers[need] for need in step.needs()})
        yield Problem(name, "all", (), _stateless(partial(given.solve, study.contract())))
    else:
        yield from _analysis_problems(study, roster, name, answers)


def _with_networks(study: Study, roster: Roster, name: str, answers: Answers) -> Iterator[Problem]:
    """Return the problems of a step that sends a network to the sites."""
    from server.training import networks

    step = study.bound[name]
    found = networks(study.bound[step.network], answers[step.network], roster.developing)
    for part, group in groups(roster, step.over).items():
        solve = _stateless(partial(step.solve_with, found, alone=len(group) == 1))
        yield Problem(name, part, group, solve, elastic=True)


def _analysis_problems(
    study: Study, roster: Roster, name: str, answers: Answers
) -> Iterator[Problem]:
    chosen = choices_for(study, name, answers)
    narrowed = study.narrowed(chosen)
    written = solver = narrowed.bound[name]
    if hasattr(written, "given"):
        solver = written.given({need: _main_answer(answers[need]) for need in written.needs()})
    for part, group in _fitted_at(study, name, groups(roster, written.over)).items():
        solve = partial(solver.solve, narrowed.contract(), alone=len(group) == 1)
        if len(group) > 1 and pairs_of(study, name):
            solve = partial(_unless_few_beside, solve, study, name)
        begin = _with_choices(solve, chosen)
        yield Problem(name, part, group, begin, elastic=written.elastic, chosen=chosen)


def _fitted_at(
    study: Study, name: str, parts: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return the groups of a step's answers, of a refit by site those sites it is fitted at."""
    if study.by_site is None:
        return dict(parts)
    found = {part: study.by_site.group(name, group) for part, group in parts.items()}
    return {part: group for part, group in found.items() if group}


def choices_for(study: Study, name: str, answers: Answers) -> Choices:
    """Return what the steps before one have chosen, as far as it depends on them.

    Raises:
        NotAChoice: a step has chosen nothing.
    """
    before = steps_before(study, name)
    read = {at for step in (*before, name) for at in references(study.written[step])}
    chosen: dict[str, tuple[str, ...]] = {}
    for earlier in dict.fromkeys(at.split(".")[0] for at in sorted(read, key=_order(before))):
        step = study.narrowed(chosen).bound[earlier]
        found = chosen_in(earlier, step, _main_answer(answers[earlier]))
        chosen |= {at: of for at, of in found.items() if at in read}
    study.narrowed(chosen)
    return chosen


def _order(steps: list[str]) -> Callable[[str], int]:
    return lambda at: steps.index(at.split(".")[0])


def steps_before(study: Study, name: str) -> list[str]:
    """Return the steps that one depends on, at any remove, in the order of the study."""
    found, open_ = set[str](), [name]
    while open_:
        needs = needed_steps(study, open_.pop()) - found
        found |= needs
        open_ += needs
    return [step for step in study.bound if step in found]


def _main_answer(parts: Mapping[str, Answer]) -> Answer:
    """Return the answer that later steps build on: over the developing sites, if there is one."""
    return parts.get("development") or next(a for p, a in parts.items() if p != APPLY)


def _with_choices(solve: Callable[[], Solve], chosen: Choices) -> Callable[[State | None], Solve]:
    """Return a computation whose every ask says which columns were chosen."""

    def begin(state: State | None) -> Solve:
        del state
        solving = solve()
        try:
            ask = next(solving)  # there is none where nothing has to be asked
            while True:
                total = yield replace(ask, chosen=chosen) if chosen else ask
                ask = solving.send(total)
        except StopIteration as stop:
            answer: Answer = stop.value
            return without_few(answer)

    return begin


def _unless_few_beside(solve: Callable[[], Solve], study: Study, name: str) -> Solve:
    """Return a computation whose first ask counts what lies between its groups and other steps.

    Raises:
        TellsOfFew: that are one to four patients: nothing more is asked for.
    """
    solving = solve()
    first = next(solving)
    total = dict((yield replace(first, values={**first.values, ASKED: True})))
    for pair, n in zip(pairs_of(study, name), total.pop(ASKED), strict=True):
        if few(int(n)):
            raise TellsOfFew(_FEW.format(told_apart(study, name, pair)))
    return (yield from _from(solving, total))


def _from(solving: Solve, total: Sums) -> Solve:
    """Return a computation that goes on with the total of an ask."""
    try:
        ask = solving.send(total)
        while True:
            ask = solving.send((yield ask))
    except StopIteration as stop:
        answer: Answer = stop.value
        return answer


_FEW = (
    "not asked for: between {} lie one to four patients, of whom the means of both would tell; "
    "leave one of the two out of the study"
)


def _stateless(solve: Callable[[], Solve]) -> Callable[[State | None], Solve]:
    """Return a computation that always begins at its first ask."""

    def begin(state: State | None) -> Solve:
        del state
        return solve()

    return begin


def apply_problem(
    study: Study, roster: Roster, name: str, answer: Answer, chosen: Choices
) -> Problem | None:
    """Return the problem that turns an analysis's answer into columns at every site."""
    if not hasattr(study.bound[name], "columns_from"):
        return None

    def solve() -> Solve:
        total = yield Ask(APPLY, answer.values, answer.arrays, chosen=chosen)
        n, filled = (int(total[key]) for key in ("n", "filled"))
        told, _ = shown_counts([filled, n - filled])
        return Answer({"n": n, "filled": told})

    group = tuple(sorted(roster.sites))
    return Problem(name, APPLY, group, _stateless(solve), elastic=True, chosen=chosen)


def needed_steps(study: Study, name: str) -> set[str]:
    """Return the steps that must have ended before this one can begin."""
    step = study.bound[name]
    made = [c for c in (*step.columns(), *step.cases.where, *step.images()) if "." in c]
    again = [c for c in made if HELD_OUT in c or LEFT_OUT in c]
    by = {c.split(".")[0] for c in made if c not in again}
    refits = {c.split(".")[0] for c in again}
    by |= {other for other in study.bound if AT in other and base_of(other) in refits}
    chosen_by = {at.split(".")[0] for at in references(study.written[name])}
    return {*step.needs(), *by, *chosen_by}
