"""What went otherwise than planned, and what sites refused by their own rules."""

from collections import Counter
from collections.abc import Iterable, Iterator

from server.report.blocks import Block, Heading, Items, Row, Section, Table, Text
from server.report.numbers import plural, whole
from server.report.record import Event, Record, split_problem
from server.report.sections.outcome import minute_of
from server.report.words import (
    failure_in_words,
    is_policy,
    listed,
    loss_in_words,
    part_in_words,
    reason_in_words,
    reason_of,
    reasons_of,
)


def deviations(record: Record) -> Iterator[Section]:
    """Make the section about refusals and deviations."""
    lost = list(record.of("lost"))
    trouble = [e for e in lost if not is_policy(reason_of(e))]
    refused = [e for e in lost if is_policy(reason_of(e))]
    happened = tuple(_once(_happened(record)))
    blocks: list[Block] = [Heading("Deviations")]
    if trouble:
        blocks.append(_table("Sites that gave nothing they were asked for", trouble))
    if happened:
        blocks.append(Items(happened))
    if not trouble and not happened:
        blocks.append(Text("None: every site that was asked replied in every round."))
    blocks.append(Heading("Refusals by a site's policy"))
    if refused:
        blocks.append(_table("What hospitals kept to themselves, by their own rules", refused))
    else:
        blocks.append(Text("None."))
    failures = tuple(_failures(record))
    if failures:
        head = ("Step", "Part", "Why")
        table = Table("Parts of steps without an answer", head, failures, words=True)
        blocks += [Heading("Without an answer"), table]
    yield Section("deviations", "Deviations and refusals", blocks)


def _table(caption: str, lost: Iterable[Event]) -> Table:
    counted: dict[tuple[str, str, str], int] = {}
    for event in lost:
        step, part = split_problem(event)
        what = f"{step}: {part_in_words(part)}"
        key = (str(event.get("site", "")), what, loss_in_words(event))
        counted[key] = counted.get(key, 0) + 1
    rows = tuple(
        Row(site, (what, why, whole(n))) for (site, what, why), n in sorted(counted.items())
    )
    return Table(caption, ("Site", "Step", "Reason", "Times"), rows, words=True)


def _once(happened: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield what happened, of each session say, once and with how often."""
    for (who, what), n in Counter(happened).items():
        yield who, what if n == 1 else f"{what} ({n} times)"


def _happened(record: Record) -> Iterator[tuple[str, str]]:
    for event in record.of("absent", "left_out", "restart"):
        step, part = split_problem(event)
        what = f"step {step} ({part_in_words(part)})"
        if event["event"] == "absent":
            yield str(event.get("site", "")), _not_joined(str(event.get("why", "")))
        elif event["event"] == "left_out":
            yield (
                str(event.get("site", "")),
                f"was left out of {what} for good, as it failed too many rounds in a row",
            )
        else:
            sites = listed(tuple(map(str, event.get("sites", ()))))
            yield what[0].upper() + what[1:], f"began again without a lost site, with {sites}"
    starts = list(record.of("session"))
    if len(starts) > 1:
        times = listed([minute_of(event) for event in starts[1:]])
        yield "Coordinator", f"restarted {plural(len(starts) - 1, 'time')}: {times}"


def _not_joined(why: str) -> str:
    if why in {"", "unreachable"}:
        return "did not join within the time to wait"
    return f"did not take part: {reason_in_words(why)}"


def _failures(record: Record) -> Iterator[Row]:
    """Return what has no answer, but for the refusals of a site listed already.

    Steps that have no answer for one cause share a row.
    """
    steps: dict[tuple[str, str], list[str]] = {}
    for step, parts in record.failed.items():
        for part, why in parts.items():
            reasons = reasons_of(why)
            if "." in part and reasons and all(map(is_policy, reasons)):
                continue
            what = part_in_words(part) if part else "whole step"
            steps.setdefault((what, failure_in_words(why)), []).append(step)
    for about, of in steps.items():
        yield Row(listed(of), about)
