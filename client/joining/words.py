"""A study in words, for the hospital that is to approve it: what it asks, what would leave."""

import inspect
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from client.joining.privacy_words import privacy_in_words
from client.site import SiteSettings
from common.analyses.derive import Derive
from common.cohort import MISSING, Column
from common.deployment import Offer, fingerprint
from common.study import Study, schema_of
from common.tasks.predict import Predict
from common.tasks.train import Train

_WIDTH = 92


def in_words(study: Study, offer: Offer, settings: SiteSettings) -> str:
    """Return a study in words, with what this site's policy makes of it."""
    parts = [
        [f"{study.title or study.name}", *_wrapped(study.description)],
        list(_who(offer, settings)),
        list(_reads(study)),
        ["What it asks", *(line for step in _steps(study, settings) for line in step)],
        list(_leaves(study, settings)),
        [
            f"study {offer.study}",
            f"code  {offer.bundle}",
        ],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _who(offer: Offer, settings: SiteSettings) -> Iterator[str]:
    yield "Who takes part (compare the fingerprints with these hospitals, not with the coordinator;"
    yield "each sees its own with `consortium site status`)"
    for name, site in offer.sites.items():
        here = "  <- this site" if name == settings.name else ""
        known = settings.partners.get(name)
        changed = "  DIFFERS from the key you know" if known not in {None, site.key} else ""
        role = "trains and validates" if site.role == "develop" else "validates only"
        yield f"  {name:<16} {role:<21} {fingerprint(site.key)}{here}{changed}"


def _reads(study: Study) -> Iterator[str]:
    cohort = study.cohort
    yield "What it reads at this site"
    for name, image in cohort.images.items():
        yield f"  image {name} ({image.modality})"
    for name, mask in cohort.masks.items():
        yield f"  mask {name} on {mask.on}: {', '.join(mask.labels)}"
    read = {c for step in study.bound.values() for c in (*step.columns(), *step.cases.where)}
    for name, column in cohort.columns.items():
        unused = "" if name in read else ", read by no step"
        coded = column.missing if column.missing != MISSING else ()
        taken = f", taken as missing: {', '.join(repr(code) for code in coded)}" if coded else ""
        yield f"  column {name}: {_kind(column)}{taken}{unused}"


def _kind(column: Column) -> str:
    if column.levels:
        return ", ".join(column.levels)
    bounds = f", {column.range[0]:g} to {column.range[1]:g}" if column.range else ""
    return f"{column.type}{bounds}{' ' + column.unit if column.unit else ''}"


def _steps(study: Study, settings: SiteSettings) -> Iterator[list[str]]:
    for name, step in study.bound.items():
        what, rounds = _about(step)
        lines = [f"  {name} ({step.kind})", f"    {what}"]
        if step.columns():
            lines += _wrapped(f"columns: {', '.join(step.columns())}", 4)
        lines += [line for text in _selects(step) for line in _wrapped(text, 4)]
        lines += _wrapped(f"rounds: {_rounds(step, rounds)}", 4)
        lines += _wrapped(f"over: {', '.join(step.over)}", 4)
        lines += _wrapped(f"leaves this site: {_what_leaves(study, step)}", 4)
        lines += [f"    ! {text}" for text in _against_policy(step, settings)]
        yield lines


def _selects(step: Any) -> Iterator[str]:
    """Say of which cases a step is, where not of all, and what it makes of their columns."""
    said = step.cases.model_dump(mode="json", exclude_defaults=True)
    for what, of in said.items():
        yield f"only cases of {what}: {json.dumps(of, ensure_ascii=False)}"
    if isinstance(step, Derive):
        for name, formula in step.make.items():
            words = formula.model_dump(mode="json", exclude={"op", "title", "unit"})
            words = {key: value for key, value in words.items() if value not in (None, "")}
            yield f"makes {name}, a {formula.op}: {json.dumps(words, ensure_ascii=False)}"


def _about(step: Any) -> tuple[str, str]:
    """Return the first line of a step's own description, and what it says on rounds."""
    doc = inspect.getdoc(type(step)) or ""
    found = [part for part in doc.split("\n\n") if part.startswith("Rounds:")]
    rounds = " ".join(found[0].removeprefix("Rounds:").split()) if found else "see its description"
    return doc.partition("\n")[0], rounds


def _rounds(step: Any, said: str) -> str:
    return str(step.rounds + 1) if isinstance(step, Train) else said


def _what_leaves(study: Study, step: Any) -> str:
    if isinstance(step, Train):
        loss = "" if step.privacy is not None else "their loss, "
        bound = step.largest_update_norm
        within = "" if bound is None else f", shrunk to a norm of {bound:g} in all"
        noise = "" if step.privacy is None else ", made with noise"
        return (
            f"each round the number of cases, {loss}and for every weight of the network "
            f"the number of cases times its change{noise}{within}; scores added up when it "
            "validates"
        )
    if isinstance(step, Predict):
        return "how many cases were predicted; masks and scores stay here"
    if step.needs():
        return "sums of the kind that this step's description names"
    contract = study.contract()
    ask = next(step.solve(contract, alone=False), None)
    if ask is None:
        return "how many rows its columns fill; the columns stay here"
    schema = schema_of(step, ask, contract)
    n_values = sum(field.size for field in schema.values())
    names = list(schema)
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"first {', '.join(names[:8])}{more}: {n_values} sums, then such again each round"


def _against_policy(step: Any, settings: SiteSettings) -> Iterator[str]:
    """Say what this site's policy will refuse of a step."""
    policy = settings.policy
    if "each" in step.over and not policy.per_site:
        yield "this site's own answer: refused by your policy (per_site: false)"
        if len(step.over) > 1:
            yield (
                f"the totals: refused too where fewer than {policy.fewest_sites} sites keep their "
                "own, as yours would follow"
            )
    if isinstance(step, Train) and step.baselines and not policy.per_site:
        yield "baselines of this site alone: refused by your policy (per_site: false)"
    if isinstance(step, Train) and "ensemble" in step.baselines and not policy.share_network:
        yield "a network trained here alone: kept by your policy (share_network: false)"


def _leaves(study: Study, settings: SiteSettings) -> Iterator[str]:
    policy = settings.policy
    yield "What leaves"
    text = (
        "Sums over at least "
        f"{policy.smallest_cohort} patients of this site, masked so that only the total over at "
        f"least {policy.fewest_sites} sites can be read. "
    )
    text += (
        "Sums of this site alone may go out in clear (per_site: true), never with a cell of 1 to "
        f"{policy.smallest_cell - 1} patients. "
        if policy.per_site
        else "Nothing of this site alone. "
    )
    text += "No image, no row, no value of a patient. "
    yield from _wrapped(text, 2)
    yield "Privacy cost"
    for text in privacy_in_words(study, policy):
        yield from _wrapped(text, 2)


def _wrapped(text: str, indent: int = 0) -> list[str]:
    space = " " * indent
    return textwrap.wrap(
        " ".join(text.split()), _WIDTH, initial_indent=space, subsequent_indent=space + "  " * 1
    )
