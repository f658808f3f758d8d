"""Drive a study to its end: all steps that are ready side by side, one message a round."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from common.analyses.analysis import APPLY, Answer, Ask, Json, Solve
from common.beside import ASKED, TellsOfFew, beside_schema
from common.by_site import OtherSites
from common.choices import NotAChoice
from common.errors import Reason
from common.messages import Posed
from common.sites import Roster
from common.study import Study, schema_of
from common.sums import Sums
from server.journal import Journal
from server.problems import Problem, apply_problem, first_problems, needed_steps
from server.rounds import Cost, Outcome, Wanted

log = logging.getLogger(__name__)

AskRound = Callable[[int, list[Wanted]], tuple[dict[str, Outcome], Cost]]


@dataclass
class Running:
    """A problem under way.

    Attributes:
        problem: what it is.
        group: sites still in it.
        turn: how many asks lie behind it.
        ask: the ask that waits, None once it has ended.
        failures: rounds in a row that a site has failed, for elastic problems.
    """

    problem: Problem
    group: tuple[str, ...]
    solving: Solve
    turn: int = 0
    ask: Ask | None = None
    failures: dict[str, int] = field(default_factory=dict)


@dataclass
class Driver:
    """Runs the steps of one study over one roster.

    Attributes:
        ask_round: asks one round and returns its outcomes by problem.
        progress: told of every event, as the journal writes it.
        pooled: whether there is a pooled site.
    """

    study: Study
    roster: Roster
    journal: Journal
    ask_round: AskRound
    progress: Callable[[Mapping[str, Any]], None] = lambda _: None
    pooled: bool = False
    answers: dict[str, dict[str, Answer]] = field(default_factory=dict)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)
    _running: dict[str, Running] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _needs: dict[str, set[str]] = field(default_factory=dict)
    _asked: set[tuple[str, str]] = field(default_factory=set)

    def run(self) -> None:
        """Drive every step to its answer or its failure."""
        self._begin_ready()
        while self._running:
            number = self.journal.number + 1
            wanted = [self._wanted(running) for running in self._in_order()]
            problems = [w.posed.problem for w in wanted]
            self._note("round", round=number, problems=problems, fields=self._new_fields(wanted))
            outcomes, cost = self.ask_round(number, wanted)
            self._note("exchanged", round=number, **asdict(cost))
            for running in list(self._running.values()):
                self._take(running, outcomes.pop(running.problem.name))
            self._begin_ready()

    # -- beginning ---------------------------------------------------------------------

    def _begin_ready(self) -> None:
        """Begin every step whose needs are answered; again, as long as that ends some."""
        again = True
        while again:
            again = False
            for name in self.study.bound:
                if name not in self._begun and self._ready(name):
                    self._begun.add(name)
                    self._begin_step(name)
                    again = True

    def _ready(self, name: str) -> bool:
        return all(need in self._begun and not self._under_way(need) for need in self._needed(name))

    def _needed(self, name: str) -> set[str]:
        if name not in self._needs:
            self._needs[name] = needed_steps(self.study, name)
        return self._needs[name]

    def _under_way(self, step: str) -> bool:
        """Tell whether a step still lacks an answer.

        Its columns may be on their way: they are made first in the round that reads them.
        """
        running = (r.problem for r in self._running.values())
        return any(p.step == step and p.part != APPLY for p in running)

    def _begin_step(self, name: str) -> None:
        self.answers.setdefault(name, {})
        unmet = [n for n in self._needed(name) if not self.answers.get(n)]
        if unmet:
            self._fail(name, "", f"needs {', '.join(unmet)}, which gave no answer")
            return
        try:
            problems = list(
                first_problems(self.study, self.roster, name, self.answers, self.pooled)
            )
        except (NotAChoice, OtherSites) as error:
            self._fail(name, "", str(error))
            return
        for problem in problems:
            self._begin(problem)

    def _begin(self, problem: Problem) -> None:
        """Begin a problem, or take up where the journal says it was.

        Columns that a site did not make, as it failed then, are asked for once more.
        """
        if problem.part == APPLY:
            self.journal.forget_unless_whole(problem.name)
        answer = self.journal.answer(problem.name)
        if answer is not None:
            self._finish(problem, answer)
            return
        turn, state = self.journal.checkpoint(problem.name) or (0, None)
        running = Running(problem, problem.group, problem.solve(state), turn)
        self._running[problem.name] = running
        self._advance(running, None)
        while running.ask is not None:
            kept = self.journal.total(problem.name, running.turn, running.ask)
            if kept is None:
                return
            running.group, total = kept
            running.turn += 1
            self._advance(running, total)

    # -- going on ----------------------------------------------------------------------

    def _advance(self, running: Running, total: Sums | None) -> None:
        """Give a generator its total and take its next ask, or its answer."""
        try:
            running.ask = next(running.solving) if total is None else running.solving.send(total)
        except StopIteration as stop:
            running.ask = None
            del self._running[running.problem.name]
            self.journal.keep_answer(running.problem.name, stop.value)
            self._finish(running.problem, stop.value)
            return
        except (ArithmeticError, ValueError) as error:
            running.ask = None
            own = isinstance(error, TellsOfFew)  # in words of its own
            self._drop(running, str(error) if own else f"{type(error).__name__}: {error}")
            return
        if running.ask.state is not None:
            self.journal.keep_checkpoint(running.problem.name, running.turn, running.ask.state)

    def _in_order(self) -> list[Running]:
        """Return what is under way: columns are made before what reads them is asked."""
        return sorted(self._running.values(), key=lambda r: r.problem.part != APPLY)

    def _wanted(self, running: Running) -> Wanted:
        ask, problem = _pending(running), running.problem
        study = self.study.narrowed(problem.chosen)
        schema = schema_of(study.bound[problem.step], ask, study.contract())
        beside = beside_schema(self.study, problem.step, asked=ask.values.get(ASKED) is True)
        posed = Posed(problem.name, problem.step, running.group, ask)
        return Wanted(posed, {**schema, **beside}, min(self.roster.quorum, len(problem.group)))

    def _new_fields(self, wanted: list[Wanted]) -> dict[str, list[str]]:
        """Return what is asked for the first time in this session, for the record."""
        fields = {}
        for w in wanted:
            key = (w.posed.problem, w.posed.ask.phase)
            if key not in self._asked:
                self._asked.add(key)
                fields[w.posed.problem] = sorted(w.schema)
        return fields

    def _take(self, running: Running, outcome: Outcome) -> None:
        for site, reason in outcome.lost.items():
            source = self._source(running.problem.step, site) if reason is Reason.NOT_MADE else None
            more = {"follows": source} if source else {}
            entry = {"site": site, "reason": str(reason), **more}
            self._note("lost", problem=running.problem.name, **entry)
        if outcome.total is None:
            self._drop(running, self._worst(running.problem.step, outcome))
        elif running.problem.elastic:
            self._take_elastic(running, outcome, outcome.total)
        elif set(outcome.sites) == set(running.group):
            self._go_on(running, outcome.total)
        else:
            self._take_fewer(running, outcome, outcome.total)

    def _source(self, step: str, site: str) -> dict[str, str] | None:
        """Return the step whose columns a site did not make, and why, where one reads them."""
        makers = {f"{need}/{APPLY}": need for need in self._needed(step)}
        for e in reversed(self.journal.events):
            if e["event"] == "lost" and e["site"] == site and e["problem"] in makers:
                own = {"step": makers[e["problem"]], "reason": str(e["reason"])}
                return e.get("follows") or own
        return None

    def _worst(self, step: str, outcome: Outcome) -> str:
        """Return why there is no sum; of what follows from an earlier step, that step's reason."""
        reasons = set()
        for site, reason in outcome.lost.items():
            source = self._source(step, site) if reason is Reason.NOT_MADE else None
            reasons.add(f"{source['reason']} of {source['step']}" if source else str(reason))
        return f"too few sites: {', '.join(sorted(reasons) or [str(Reason.NO_REPLY)])}"

    def _take_elastic(self, running: Running, outcome: Outcome, total: Sums) -> None:
        for site in running.group:
            running.failures[site] = (
                running.failures.get(site, 0) + 1 if site in outcome.lost else 0
            )
        out = [s for s in running.group if running.failures[s] >= self.roster.patience]
        for site in out:
            self._note("left_out", problem=running.problem.name, site=site)
        running.group = tuple(s for s in running.group if s not in out)
        self._go_on(running, total)

    def _take_fewer(self, running: Running, outcome: Outcome, total: Sums) -> None:
        """Go on with fewer sites: at the first ask as it is, later from the beginning."""
        running.group = outcome.sites
        if running.turn == 0:
            self._go_on(running, total)
            return
        self._note("restart", problem=running.problem.name, sites=list(outcome.sites))
        running.solving, running.turn = running.problem.solve(None), 0
        self._advance(running, None)

    def _go_on(self, running: Running, total: Sums) -> None:
        ask, name = _pending(running), running.problem.name
        if ask.state is None:
            self.journal.keep_total(name, running.turn, ask, running.group, total)
        running.turn += 1
        self._advance(running, total)
        if running.ask is not None:  # else it has ended, and said so
            line = _line(running)
            self.progress({"event": "total", "problem": running.problem.name, "line": line})

    # -- ending ------------------------------------------------------------------------

    def _finish(self, problem: Problem, answer: Answer) -> None:
        parts = self.answers.setdefault(problem.step, {})
        parts[problem.part] = answer
        self.progress({"event": "answer", "problem": problem.name})
        first = len([p for p in parts if p != APPLY]) == 1
        if first and problem.part != APPLY:
            follow_up = apply_problem(self.study, self.roster, problem.step, answer, problem.chosen)
            if follow_up is not None:
                self._begin(follow_up)

    def _drop(self, running: Running, why: str) -> None:
        del self._running[running.problem.name]
        self._fail(running.problem.step, running.problem.part, why)

    def _fail(self, step: str, part: str, why: str) -> None:
        self.failed.setdefault(step, {})[part] = why
        self._note("failed", problem=f"{step}/{part}", why=why)

    def _note(self, event: str, **entry: object) -> None:
        self.journal.write(event, **entry)
        self.progress({"event": event, **entry})


def _pending(running: Running) -> Ask:
    if running.ask is None:
        raise RuntimeError(f"{running.problem.name} has ended and asks nothing")
    return running.ask


def _line(running: Running) -> Json:
    """Return the last line of a training's history, for the display."""
    state = running.ask.state if running.ask is not None else None
    history = state.values.get("history") if state is not None else None
    return history[-1] if isinstance(history, list) and history else None
