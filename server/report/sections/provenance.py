"""How the sums were protected, what left the sites, and how to repeat the run."""

from collections.abc import Iterable, Iterator, Mapping

from server.report.blocks import Block, Code, Heading, Items, Note, Row, Section, Table, Text
from server.report.numbers import NONE, plural, whole
from server.report.record import Record, split_problem
from server.report.sections.outcome import minute_of
from server.report.words import listed, part_in_words


def privacy(record: Record) -> Iterator[Section]:
    """Make the section about what left the sites."""
    blocks: list[Block] = [
        Text(
            "Sites answer with sums over their cases. In a sum over two or more sites each "
            "of them adds pairwise masks that cancel in the total, so that the coordinator "
            "reads the total and no site's part of it. A number of one site alone goes out "
            "in clear, only where that site's policy allows it, and with small counts "
            "hidden at the site."
        ),
        *_sent(record),
    ]
    smallest = min((len(sites) for sites in _groups(record).values() if len(sites) > 1), default=0)
    if smallest == 2:
        text = (
            "A sum over two sites: once the total is known, each of the two can work out "
            "the other's part."
        )
        blocks.append(Note(text, "warn"))
    yield Section("privacy", "What left the sites", blocks)


def provenance(record: Record) -> Iterator[Section]:
    """Make the section about versions and repetition."""
    run, events = record.run, record.events
    roster, about = run.roster, run.about
    versions = about.get("versions", {})
    simulated = bool(about.get("simulated"))
    entries = [
        ("Study", f"{run.study.name}, sha256 {run.study_hash}"),
        ("Run", run.id),
        ("Where", "all sites simulated on one machine" if simulated else "deployed sites"),
        ("Started", minute_of(events[0]) if events else "not yet"),
        ("Ended", minute_of(events[-1]) if record.ended else "not yet"),
        ("Rounds", whole(len(record.rounds))),
        ("Seed", str(roster.seed)),
        ("Quorum", f"{plural(roster.quorum, 'site')} at least in a sum over several"),
        ("Deadline of a round", f"{roster.deadline_s:g} s"),
    ]
    if isinstance(versions, dict) and versions:
        named = [f"{name} {version}" for name, version in versions.items()]
        entries.append(("Versions", ", ".join(named)))
    keys = [f"{site} {key[:16]}" for site, key in sorted(run.keys.items())]
    if keys:
        entries.append(("Sites' identity keys, first 16 digits", ", ".join(keys)))
    blocks: list[Block] = [Items(tuple(entries)), Heading("To repeat this run")]
    verb = "consortium simulate study.yaml --sites sites.yaml"
    said = "The run folder holds the study and the roster as they were. "
    if simulated:
        said += "On the same cohorts, with the versions above:"
        blocks += [Text(said), Code(verb)]
    else:
        said += "The same sites must join, with the same cohorts and the versions above."
        blocks.append(Text(said))
    blocks.append(
        Text(
            "Statistics repeat to the last printed digit. Trained weights repeat to the "
            "bit only on the same kind of processor with the same number of threads."
        )
    )
    yield Section("provenance", "Provenance", blocks)


def _groups(record: Record) -> Mapping[str, tuple[str, ...]]:
    """Return the sites behind every problem that was asked."""
    asked = dict.fromkeys(p for line in record.rounds for p in line.problems)
    return {problem: record.sites_of(problem) for problem in asked}


def _sent(record: Record) -> Iterator[Table]:
    """Return a table of all sums: of which step, over which sites, how protected."""
    asks: dict[str, int] = {}
    for line in record.rounds:
        for problem in line.problems:
            asks[problem] = asks.get(problem, 0) + 1
    named = _names_of_sums(record)
    rows: dict[tuple[str, ...], list[str]] = {}
    for problem, sites in _groups(record).items():
        step, part = split_problem({"problem": problem})
        refused = part in record.failed.get(step, {}) and len(sites) == 1
        how = "masked" if len(sites) > 1 else "refused" if refused else "in clear"
        kind = part.partition(".")[0]
        key: tuple[str, ...] = (
            step,
            _KINDS.get(kind, part_in_words(part)),
            how,
            whole(asks[problem]),
        )
        key = (*key, _in_short(named.get(problem, {})) or NONE) if named else key
        rows.setdefault(key, []).extend(sites)
    head = ("Step", "Sum over", "How", "Sums asked", *(("Names of the sums",) if named else ()))
    if rows:
        body = tuple(
            Row(step, (f"{what}: {listed(sites)}", *more))
            for (step, what, *more), sites in rows.items()
        )
        yield Table("Sums that left the sites", head, body, words=True)


_UPDATE = "update."


def _in_short(names: Iterable[str]) -> str:
    """Return names of sums, the arrays of a network's weights as one."""
    arrays = [n for n in names if _UPDATE in n]
    others = [n for n in names if _UPDATE not in n]
    if arrays:
        others.insert(0, f"the network's change ({plural(len(arrays), 'array')})")
    return ", ".join(others)


_KINDS = {"site": "each alone", "local": "each alone, its own network"}


def _names_of_sums(record: Record) -> dict[str, dict[str, None]]:
    """Return the names of the sums of each problem, where the journal has them."""
    found: dict[str, dict[str, None]] = {}
    for event in record.of("total", "round"):
        fields = event.get("fields", {})
        by_problem = fields if event["event"] == "round" else {event.get("problem"): fields}
        for problem, names in by_problem.items():
            if names:
                found.setdefault(str(problem), {}).update(dict.fromkeys(map(str, names)))
    return found
