"""How well models tell who has the outcome, for "In short": AUC, or concordance with survival.

The first step of a study that judges scores by an outcome says which models there are. Of the
developing sites the numbers of cases that a model has not seen are taken, where another step
of the same outcome has them; where none has, it is said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.step import HELD_OUT, LEFT_OUT
from server.report.kinds.roc import outcome_words
from server.report.numbers import SPACE, estimate, fixed, is_number, p_value, plural
from server.report.record import Record
from server.report.score_names import score_names
from server.report.view import StepView, view_of
from server.report.words import correction_words, sites_in_words

_PARTS = ("development", "external")
_MOST_LINES = 3
_WORDS = {"development": "developing", "external": "external"}
_UNSEEN = (" (cross-validated)", " (own site left out)")
_SEEN = "on the cases it was fitted to"


@dataclass(frozen=True)
class Found:
    """The number of one model in one part of a step: its area, or concordance.

    Attributes:
        view: the step.
        part: of it.
        score: column of the model's score.
        number: with `estimate`, `ci_low` and `ci_high`.
    """

    view: StepView
    part: str
    score: str
    number: dict[str, Any]

    @property
    def values(self) -> Mapping[str, Any]:
        """The part's answer."""
        return self.view.parts[self.part]

    @property
    def size(self) -> float:
        """How large the number is."""
        return float(self.number["estimate"])


def entries_of(record: Record) -> list[tuple[str, str]]:
    """Return models and how well each tells the outcome; of many, in one entry, the best."""
    bound = record.run.study.bound
    for kind in ("roc", "concordance"):
        views = [view_of(record, n) for n, s in bound.items() if getattr(s, "kind", "") == kind]
        first = next((view for view in views if any(_told(view))), None)
        if first is not None:
            return _entries(first, [v for v in views if _question(v) == _question(first)])
    return []


def _question(view: StepView) -> tuple[str, ...]:
    """Return what scores of a step are judged by."""
    step = view.step
    of = (step.outcome,) if view.kind == "roc" else (step.time, step.event)
    return (*of, step.positive)


def _told(view: StepView) -> Iterator[Found]:
    """Yield the numbers of the development and external sites; else of all sites."""
    parts = [p for p in _PARTS if p in view.parts] or [p for p in ("all",) if p in view.parts]
    for part in parts:
        for score, of in view.parts[part].get("scores", {}).items():
            number = of if view.kind == "roc" else of.get("across_sites") or {}
            size = number.get("auc" if view.kind == "roc" else "estimate")
            if is_number(size):
                yield Found(view, part, score, {**number, "estimate": size})


def _entries(first: StepView, views: list[StepView]) -> list[tuple[str, str]]:
    told = [found for view in [first, *views] for found in _told(view)]
    models: dict[str, list[Found]] = {}
    for model in dict.fromkeys(_model(found.score) for found in _told(first)):
        of = [found for found in told if _model(found.score) == model]
        by_part = [[f for f in of if f.part == part] for part in (*_PARTS, "all")]
        models[model] = [_fairest(some) for some in by_part if some]
    if len(models) > _MOST_LINES:
        return [_best(first, list(models.values()))]
    names, baseline = _names(first), next(iter(models.values()))
    entries = []
    for model, found in models.items():
        text = f"{_measure(first)} {_numbers(found)}"
        if found is not baseline and _cohorts(found) == _cohorts(baseline):
            measure = "AUC" if first.kind == "roc" else "C"
            text = f"{measure} {' and '.join(map(_estimate, found))} in the same cases"
        entries.append((names[model], f"{text}{_against(found, baseline, names)}."))
    return entries


def _fairest(found: list[Found]) -> Found:
    """Return the number of cases that the model had not seen, if there is one."""
    return next((one for one in found if _manner(one) != _SEEN), found[0])


def _model(score: str) -> str:
    """Return a score's name, whether its cases were held out or not."""
    return score.replace(HELD_OUT, ".").replace(LEFT_OUT, ".").removesuffix("_oof")


def _names(view: StepView) -> dict[str, str]:
    """Return what the models of a step are called."""
    names = score_names(view, [found.score for found in _told(view)])
    return {_model(score): _bare(name) for score, name in names.items()}


def _bare(name: str) -> str:
    for how in _UNSEEN:
        name = name.removesuffix(how)
    return name


def _manner(found: Found) -> str:
    """Return in which way cases of developing sites were new to a model, or not."""
    if found.part != "development":
        return ""
    name = score_names(found.view, [found.score])[found.score]
    unseen = next((how.strip(" ()") for how in _UNSEEN if name.endswith(how)), "")
    if unseen or "train" not in found.view.step.cases.split:
        return unseen
    study = found.view.study
    maker = study.bound.get(found.score.partition(".")[0])
    fitted = any(hasattr(maker, of) for of in ("outcome", "event", "network"))
    return _SEEN if fitted and found.score not in study.cohort.columns else ""


def _measure(view: StepView) -> str:
    if view.kind == "roc":
        return f"AUC for {outcome_words(view)}"
    return f"concordance with {view.label(view.step.time, unit=False)} (Harrell's C)"


def _numbers(found: list[Found]) -> str:
    """Return a model's numbers of the parts, each with its cases and sites."""
    text = " and ".join(f"{_estimate(one)} {_cases(one)}{_said(one)}" for one in found)
    return text.removesuffix(",")  # a sentence ends, or goes on with a semicolon


def _cohorts(found: list[Found]) -> list[str]:
    return [_cases(one) + _said(one) for one in found]


def _said(found: Found) -> str:
    manner = _manner(found)
    return f", {manner}," if manner else ""


def _estimate(found: Found) -> str:
    step = found.view.step
    level = step.confidence if found.view.kind == "roc" else step.level
    return estimate(found.number, "estimate", 2, f"{100 * level:g} % CI ")


def _cases(found: Found) -> str:
    n, events = found.values.get("n"), found.values.get("events")
    where = sites_in_words(found.part, len(found.view.sites(found.part)))
    text = plural(int(n), "case") if is_number(n) else "cases"
    text += f" ({plural(int(events), 'event')})" if is_number(events) else ""
    return f"in {text} of {where}"


def _against(found: list[Found], baseline: list[Found], names: Mapping[str, str]) -> str:
    """Return the p of a model's difference from the first one."""
    said = []
    for one in found:
        other = next((b for b in baseline if (b.part, b.view) == (one.part, one.view)), one)
        scores, pairs = {one.score, other.score}, one.values.get("pairs") or []
        pair: Mapping[str, Any] = next(
            (p for p in pairs if len(scores) > 1 and {p["a"], p["b"]} == scores), {}
        )
        p = p_value(pair.get("p_adjusted", pair.get("p")))
        if is_number(pair.get("p")):
            where = f" ({_WORDS[one.part]})" if len(found) > 1 else ""
            said.append(f"p {'' if p[0] in '<>' else '= '}{p}".replace(" ", SPACE) + where)
    if not said:
        return ""
    step = found[0].view.step
    many = len(names) > 2 and step.correction != "none"
    how = f", adjusted ({correction_words(step.correction)})" if many else ""
    name = names[_model(baseline[0].score)]
    return f"; against {name} {' and '.join(said)} by DeLong's test{how}"


def _best(view: StepView, models: list[list[Found]]) -> tuple[str, str]:
    """Return the range of many models, and the numbers of the best one."""
    part, names = next(_told(view)).part, _names(view)
    at = [next(one for one in found if one.part == part) for found in models]
    ranked = sorted(zip(at, models, strict=True), key=lambda of: of[0].size)
    (least, _), (most, best) = ranked[0], ranked[-1]
    where = sites_in_words(part, len(view.sites(part)))
    ends = f"{fixed(least.size, 2)} to {fixed(most.size, 2)}"
    name, text = names[_model(most.score)], f"{_measure(view)} {ends} at {where}"
    against = _against(best, models[0], names)
    return f"{len(models)} models", f"{text}; the best there, {name}: {_numbers(best)}{against}."
