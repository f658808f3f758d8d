"""`consortium site init | approve | join | leave | status`: a hospital joins, and leaves."""

import sys
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from client.joining.place import find_place, read_own_approval_key
from client.working import work_under_way

Folder = Annotated[Path, typer.Argument(help="the site's folder, or its site.yaml")]
_LEAVING_S = 60.0
_AFTER_WITHDRAWAL = (
    "This site refuses it from the next question on. Nothing was sent: the coordinator still "
    "holds your approval\nand learns of this when it asks; you may want to tell it.\n"
)


def register(app: typer.Typer) -> None:
    """Add these commands to `consortium site`."""
    for name, command in (
        ("init", init),
        ("approve", approve_offer),
        ("join", join),
        ("leave", leave),
        ("status", status),
    ):
        app.command(name)(command)


def init(
    kit: Annotated[Path, typer.Argument(help="kit-NAME.zip, from the coordinator")],
    cohort: Annotated[Path, typer.Option("--cohort", help="folder with cohort.csv")],
    folder: Annotated[Path, typer.Option("--folder", help="for the site; a new one")],
) -> None:
    """Make this site's keys and settings from the coordinator's kit."""
    from client.joining.enrol import check_folders, enrol, enrolment_file
    from common.deployment import fingerprint, site_fingerprint

    check_folders(folder, cohort)
    place, enrolment = enrol(kit, folder, cohort)
    sys.stdout.write(
        f"{place.folder / 'site.yaml'}: your settings; the policy in it is strict until you "
        "change it\n"
        f"{enrolment_file(place.folder, place.kit)}: mail this to the coordinator (public keys "
        "only)\n"
        "Read this fingerprint to the coordinator over the phone:\n"
        f"  {site_fingerprint(enrolment)}\n"
        "and this one, of the key that signs your answers, to the other hospitals; they see it "
        "when they approve a study:\n"
        f"  {fingerprint(enrolment.identity)}\n"
        f"{place.approval_key}: whoever holds it lets code in; the running site does not need "
        "it, so you may keep it elsewhere\n"
        f"Next: consortium site check {quote(str(place.folder))}\n"
    )


def approve_offer(
    site: Folder,
    offer: Annotated[
        Path | None, typer.Argument(help="offer-....zip, from the coordinator")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    show: Annotated[bool, typer.Option("--show", help="only show it; let nothing in")] = False,
    key: Annotated[
        Path | None, typer.Option("--key", help="the approval key, if elsewhere")
    ] = None,
    withdraw: Annotated[str, typer.Option(help="let this study in no more (its sha256)")] = "",
) -> None:
    """Show in words what a study asks; let it and its code in if you say yes."""
    from client.joining.approve import (
        approval_file,
        approve,
        check_can_be_noted,
        read_proposal,
    )
    from client.joining.approve import withdraw as take_back
    from client.joining.words import in_words

    place = find_place(site)
    if withdraw:
        gone = take_back(place, withdraw)
        sys.stdout.write("".join(f"withdrawn: {study}\n" for study in gone))
        sys.stdout.write(_AFTER_WITHDRAWAL if gone else "no such study was let in by command\n")
        raise typer.Exit(0 if gone else 1)
    if offer is None:
        raise typer.BadParameter("which offer?")
    proposal = read_proposal(place, offer)
    own_key = None
    if not show:  # whoever reads all of it and says yes is not to hear only then that it cannot be
        own_key = read_own_approval_key(place, key or place.approval_key)
        check_can_be_noted(place)
    sys.stdout.write(in_words(proposal.study, proposal.offer, place.site.settings) + "\n")
    if own_key is None:
        return
    if not yes and not _says_yes():
        sys.stdout.write("nothing was let in\n")
        raise typer.Exit(1)
    approval = approve(place, proposal, own_key)
    sys.stdout.write(
        f"let in. Mail this to the coordinator: {approval_file(place, approval)}\n"
        f"To take it back: consortium site approve {quote(str(site))} "
        f"--withdraw {approval.study[:12]}\n"
    )


def _says_yes() -> bool:
    try:
        return typer.confirm("Let this study and this code run at this site?")
    except typer.Abort:  # Ctrl-C, or nobody is there to answer
        sys.stdout.write("\nno answer; where there is no terminal, say it beforehand: --yes\n")
        return False


def join(site: Folder) -> None:
    """Join, and stay joined through restarts, saying what is waited for; Ctrl-C leaves."""
    from client.joining.__main__ import keep_joined

    raise typer.Exit(keep_joined(site))


def leave(site: Folder) -> None:
    """Stop everything of this site on this machine, at once."""
    place = find_place(site)
    try:
        stopped = place.standing.stop(_LEAVING_S)
    except TimeoutError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(4) from None
    sys.stdout.write("left: nothing of this site runs any more\n" if stopped else "not joined\n")


def status(site: Folder) -> None:
    """Say whether this site is joined, what it waits for, and what it is working on."""
    from datetime import datetime

    from client import audit
    from client.joining.health import is_well
    from common.deployment import fingerprint
    from common.privacy.identity import public_text

    place = find_place(site)
    well, words = is_well(site)
    sys.stdout.write(f"{place.site.name}: {words}\n")
    note = work_under_way(place.site.workspace)
    if note is not None:
        since = datetime.fromtimestamp(float(note["since"])).astimezone()
        asks = ", ".join(note.get("asks", []))
        sys.stdout.write(f"at work on {note.get('run')}, round {note.get('round')}: {asks}; ")
        sys.stdout.write(f"since {since:%H:%M:%S}\n")
    approved = place.site.policy.approved_studies
    studies = ", ".join(s[:12] for s in approved) or "none yet"
    sys.stdout.write(f"studies let in: {studies}\n")
    identity = fingerprint(public_text(place.site.identity()))
    sys.stdout.write(f"fingerprint for other hospitals: {identity}\n")
    try:
        audit.check(place.site.workspace / "audit.jsonl")
    except audit.AuditBroken as error:
        sys.stdout.write(f"audit log BROKEN: {error}; nothing leaves until a person has looked\n")
        well = False
    raise typer.Exit(0 if well else 1)
