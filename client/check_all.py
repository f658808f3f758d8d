"""Check the cohorts of all sites that one machine plays, and what they make of the study."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from client.beside import beside_in_words
from client.cases import Case
from client.check import Checked, check
from client.check_drawn import undrawn
from client.check_outcome import one_class
from client.check_rows import several_rows
from client.check_saturated import saturation_in_words
from client.check_training import doubts
from client.check_words import in_words as problems_in_words
from client.check_words import placed, strange_renames
from client.cohorts import drawn
from client.derived import formulas_in_words
from client.disclosure import selections_in_words
from client.fold_sizes import folds_in_words
from client.willing import hopeless
from common.errors import Finding
from common.outlook import groups_of
from common.salvage import Path as SettingPath
from common.settings import line_of, parse, read_yaml
from common.sites import PolicySettings, Roster, SimulatedSite
from common.study import Study, read_study


@dataclass(frozen=True)
class Problem:
    """One thing found in a cohort, for a person.

    Attributes:
        site: whose cohort.
        text: where and what.
        stops: whether the study cannot run with it, or only leaves the case out.
        is_warning: whether the case stays in.
    """

    site: str
    text: str
    stops: bool = False
    is_warning: bool = False


def check_simulated(study_path: Path, sites_path: Path, runs: Path | None) -> list[Problem]:
    """Check the cohort of every simulated site; return everything that does not fit.

    Args:
        study_path: the study file.
        sites_path: the roster.
        runs: folder of all runs, in which it is remembered what was in images; None: nowhere.

    Raises:
        ConfigError: study or roster have mistakes, or a site of the roster no data.
    """
    study = read_study(study_path.read_text(encoding="utf-8"), str(study_path))
    text = sites_path.read_text(encoding="utf-8")
    roster, lines = parse(Roster, text, str(sites_path)), read_yaml(text, str(sites_path))[1]
    problems: list[Problem] = []
    sound: dict[str, tuple[Case, ...]] = {}
    for name, site in sorted(roster.sites.items()):
        if site.simulate is None:
            problems.append(Problem(name, "no `simulate: cohort:` in the roster", stops=True))
            continue
        cache = _cache(runs, name)
        found, cases = _of_site(study, name, site.simulate, sites_path, lines, cache)
        problems += found
        if cases is not None:
            sound[name] = cases
    problems += [*_of_folds(study, roster, sound), *_of_all(study, roster, sound)]
    return [*problems, *_of_masks(study, roster, sound, runs)]


def _of_site(
    study: Study,
    name: str,
    site: SimulatedSite,
    sites_path: Path,
    lines: Mapping[SettingPath, int],
    cache: Path | None,
) -> tuple[list[Problem], tuple[Case, ...] | None]:
    """Return what is wrong with a site's cohort, and its cases where they can be used."""
    folder, renames = sites_path.parent / site.cohort, site.columns
    further = [sites_path.parent / named for named in site.further_folders]
    checked = check(study.cohort, folder, renames=renames, further=further, cache=cache)
    problems: list[Problem] = []
    for own, why in strange_renames(renames, [folder]).items():
        at = ("sites", name, "simulate", "columns", own)
        finding = Finding(str(sites_path), line_of(at, lines), ".".join(at), why)
        problems.append(Problem(name, str(finding), stops=True))
    problems += problems_of(study, name, folder, checked)
    problems += _too_small(name, checked.flow.n_patients, site.policy)
    if checked.findings:
        return problems, None
    said = formulas_in_words(study, checked.cases, site.policy)
    problems += [Problem(name, text, is_warning=True) for text in said]
    return problems, drawn(study, checked.cases)


def _of_folds(
    study: Study, roster: Roster, sound: Mapping[str, tuple[Case, ...]]
) -> Iterator[Problem]:
    """Yield steps that too few sites will answer, and of others who will refuse their folds."""
    # With a cohort that cannot be used yet nobody knows who will answer.
    lost = list(hopeless(study, roster, sound)) if len(sound) == len(roster.sites) else []
    alike: dict[str, list[str]] = {}
    for one in lost:
        alike.setdefault(one.text, []).append(one.step)
    for text, steps in alike.items():
        where = f"steps.{steps[0]}" if len(steps) == 1 else f"steps {', '.join(steps)}"
        yield Problem("all sites", f"{where}: {text}", stops=True)
    told = {one.step for one in lost}
    for name, cases in sound.items():
        too_many = saturation_in_words(study, roster, name, cases)
        yield from (Problem(name, text, is_warning=True) for text in too_many)
        site = roster.sites[name].simulate
        if name in roster.developing and site is not None:
            policy, n = site.policy, len(roster.developing)
            said = [*folds_in_words(study, cases, policy, n, told)]
            said += selections_in_words(study, cases, policy, n)
            yield from (Problem(name, text, is_warning=True) for text in said)


def _of_all(
    study: Study, roster: Roster, sound: Mapping[str, tuple[Case, ...]]
) -> Iterator[Problem]:
    """Yield what is the matter with the cases of all sites together."""
    yield from (Problem("all sites", t, is_warning=True) for t in several_rows(study, sound))
    yield from (Problem("all sites", t, is_warning=True) for t in one_class(study, roster, sound))
    developing = {name: cases for name, cases in sound.items() if name in roster.developing}
    all_here = len(developing) == len(roster.developing)
    if len(sound) == len(roster.sites):
        groups = {name: dict(groups_of(roster, step)) for name, step in study.bound.items()}
        said = beside_in_words(study, groups, sound)
        yield from (Problem("all sites", text, is_warning=True) for text in said)
    for one in doubts(study, developing, all_here=all_here):
        yield Problem(one.site or "all sites", one.text, one.stops, not one.stops)


def _of_masks(
    study: Study, roster: Roster, sound: Mapping[str, tuple[Case, ...]], runs: Path | None
) -> Iterator[Problem]:
    """Yield labels that are to be learnt and that no developing site has drawn."""
    developing = {name: cases for name, cases in sound.items() if name in roster.developing}
    if len(developing) == len(roster.developing):
        for one in undrawn(study, developing, {name: _cache(runs, name) for name in developing}):
            yield Problem("all sites", one.text, one.stops, not one.stops)


def _cache(runs: Path | None, name: str) -> Path | None:
    """Return where to remember what was in images; None where nothing can be written."""
    if runs is None:
        return None
    folder = runs / ".checks" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # the check is only slower without
        return None
    return folder if os.access(folder, os.W_OK) else None


def problems_of(study: Study, site: str, folder: Path, checked: Checked) -> Iterable[Problem]:
    """Yield what a check found in a cohort, in words."""
    for finding in checked.findings:
        yield Problem(site, placed(finding, folder), stops=True)
    for warning in checked.warnings:
        yield Problem(site, placed(warning, folder), is_warning=True)
    for text, is_warning in problems_in_words(study, folder, checked):
        yield Problem(site, text, is_warning=is_warning)


def _too_small(site: str, n_patients: int, policy: PolicySettings) -> Iterable[Problem]:
    if 0 < n_patients < policy.smallest_cohort:
        text = f"{n_patients} patients fit the study, its policy asks for {policy.smallest_cohort}"
        yield Problem(site, f"will refuse everything: {text}", is_warning=True)
