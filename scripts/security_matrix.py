"""Attack a deployment in real processes, and print what became of each attack.

    .venv/bin/python scripts/security_matrix.py [--only NAME ...] [--out FILE.md] [--list]

Coordinator (SuperLink behind nginx, TLS), four sites with keys and policies of their own.
The attackers hold what such attackers would: a site its kit and keys, a dishonest
coordinator its whole machine. Every attack must be refused, and the line that shows it is
printed. Exits with 3 where one was not.
"""

import hashlib
import io
import json
import shutil
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from client import audit  # noqa: E402
from client.cli import site_app  # noqa: E402
from client.joining.connection import NODE, Connection  # noqa: E402
from client.joining.place import Place, find_place  # noqa: E402
from common.errors import Reason  # noqa: E402
from common.machine.processes import Processes  # noqa: E402
from common.privacy.identity import new_identity, private_text  # noqa: E402
from scripts.matrix import (  # noqa: E402
    STUDY,
    Row,
    Stage,
    answers,
    arguments,
    events,
    finish,
    line_with,
    make_sites,
    report,
    stage,
    try_all,
    wait_for,
)
from server.deploy.control import Signed  # noqa: E402
from server.run import Run  # noqa: E402

# `rest` looks at everybody but the one patient of each site with a rare code.
ATTACKS = (
    STUDY
    + """\
  rest: {kind: describe, of: [age, marker], cases: {where: {code: [usual]}}}
  where_from: {kind: describe, of: [postcode]}
"""
)
POLICY = {"columns": ["age", "marker", "code"]}
RUN_S = 2400.0
UNSIGNED = "west"
_CONTENT = ".info/CONTENT"
TITLE = "Security matrix"


def main() -> int:
    """Try every attack, or those asked for."""
    stand: list[Stage] = []
    cells = {name: partial(make, stand) for name, make in ATTACKERS.items()}
    asked = arguments(__doc__ or "", list(cells))
    with tempfile.TemporaryDirectory(prefix="security-") as temporary:
        folder = asked.folder or Path(temporary)
        roster = make_sites(folder, POLICY, quorum=3, deadline_s=240, wait_s=100, patience=1)
        with stage(folder / "all", roster, ATTACKS, unapproved=(UNSIGNED,)) as standing:
            stand.append(standing)
            chosen = asked.only or list(cells)
            rows = try_all(TITLE, {name: cells[name] for name in chosen}, asked.out)
    return report(TITLE, rows, asked.out)


# -- at the door --------------------------------------------------------------------------


def no_key(stand: list[Stage]) -> Row:
    """Call the sites' API with the certificate of the authority, but without any key."""
    status, said = _post(stand[0], "/v1/fleet/activate-node", b"")
    ok = "SuperNode authentication" in said and status in {400, 401, 403}
    return Row("an outsider without a key", "refused", f"HTTP {status}", said, ok)


def false_coordinator(stand: list[Stage]) -> Row:
    """Stand in for the coordinator with a certificate of another authority."""
    here = stand[0].here
    other = here.folder / "other-authority.pem"
    from server.deploy.certificates import new_authority

    other.write_bytes(new_authority("an impostor", days=1).pem())
    trust = ssl.create_default_context(cafile=str(other))
    try:
        url = f"https://{here.home.address}/health"
        urllib.request.urlopen(url, timeout=20, context=trust)
    except urllib.error.URLError as error:
        what = "a certificate that the kit's authority did not sign"
        return Row(what, "not believed", "no connection", str(error.reason), True)
    return Row("a false certificate", "not believed", "believed", url, False)


def unregistered(stand: list[Stage]) -> Row:
    """Connect a SuperNode with a fresh key that nobody has registered."""
    what = "a node whose key is not registered"
    return _connect(stand[0], what, "2004", _fresh_key)


def anothers_key(stand: list[Stage]) -> Row:
    """Connect with a copy of the connection key of a site that is joined."""

    def steal(place: Place) -> None:
        shutil.copy(find_place(stand[0].here.sites["south"]).connection_key, place.connection_key)

    what = "another site's connection key, while that site is joined"
    return _connect(stand[0], what, "2004", steal)


def control_api(stand: list[Stage], path: str) -> Row:
    """Call an API that is not for sites, through the door sites have, with a site's key."""
    status, said = _post(stand[0], path, b"")
    log = stand[0].here.home.proxy.folder / "access.log"
    line = line_with(log, path) or said
    return Row(f"a site calls {path}", "refused", f"HTTP {status}", line, status == 403)


def _post(standing: Stage, path: str, body: bytes) -> tuple[int, str]:
    here = standing.here
    trust = ssl.create_default_context(cafile=str(here.home.link.folder / "ca.pem"))
    request = urllib.request.Request(f"https://{here.home.address}{path}", body)
    request.add_header("content-type", "application/protobuf")
    try:
        with urllib.request.urlopen(request, timeout=30, context=trust) as answer:  # noqa: S310
            return answer.status, answer.read(300).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(300).decode(errors="replace")


def _connect(standing: Stage, what: str, code: str, change: Callable[[Place], None]) -> Row:
    """Run a real SuperNode of a copy of a site's folder, with a key that is not its own."""
    copy = Path(tempfile.mkdtemp(dir=standing.here.folder)) / "intruder"
    original = standing.here.sites["north"]
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("logs", "workspace", "flower"))
    place = find_place(copy)
    change(place)
    log = copy / "logs" / f"{NODE}.log"
    with Processes(copy / "logs") as processes:
        processes.start(Connection(place).plans()[0])
        took = wait_for(lambda: processes.ended() is not None, "the intruder is refused", 240)
    line = line_with(log, f"[code {code}]", code, "ERROR")
    ok = code in line and not line_with(log, "SuperNode ID:")
    return Row(what, "refused at the door", "its SuperNode ended", line, ok, took)


def _fresh_key(place: Place) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP384R1())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
    place.connection_key.write_bytes(key.private_bytes(*form, serialization.NoEncryption()))


# -- code, study, columns, patients ---------------------------------------------------------


def unsigned_bundle(stand: list[Stage]) -> Row:
    """Send one site a bundle that all others have signed and it has not."""
    run = _the_run(stand[0])
    lost = _lost(run, UNSIGNED)
    line = line_with(
        stand[0].here.sites[UNSIGNED] / "logs" / f"{NODE}.log", "FAB verification failed"
    )
    others = sorted(set(run.roster.sites) - {UNSIGNED})
    ok = bool(lost) and _is_answered(run, "table1") and _sites_of(run) == others
    happened = f"{UNSIGNED} did not run it ({lost}); the other three answered table1"
    return Row("a bundle this hospital has not signed", "does not run there", happened, line, ok)


def unapproved_column(stand: list[Stage]) -> Row:
    """Ask for a column that the policies do not open."""
    return _refused_step(stand[0], "where_from", Reason.COLUMN_NOT_ALLOWED, "an unapproved column")


def one_less(stand: list[Stage]) -> Row:
    """Ask for the same sums of everybody, and of everybody but one."""
    what = "the same asked twice, the second time with one patient less"
    return _refused_step(stand[0], "rest", Reason.DIFFERENCING, what)


def changed_bundle(stand: list[Stage]) -> Row:
    """Change the code after it was signed, and send it with the signatures it had."""
    standing = stand[0]
    signed, _ = standing.here.offered.signed(standing.here.home)
    content = _with_another_gate(signed.content)
    sha256 = hashlib.sha256(content).hexdigest()
    run = standing.run(Signed(content, sha256, signed.verifications))
    ended = finish(run, RUN_S)
    log = standing.here.sites["north"] / "logs" / f"{NODE}.log"
    line = line_with(log, "FAB verification failed")
    released = _released(standing, run.run)
    happened = f"run {ended}; sums that left any site: {released}"
    ok = released == 0 and bool(line)
    return Row("code changed after it was signed", "runs nowhere", happened, line, ok)


def changed_study(stand: list[Stage]) -> Row:
    """Ask by a study that differs from the approved one, under code that is signed."""
    standing = stand[0]
    run = standing.run(study=ATTACKS.replace("[usual]", "[rare]"))
    ended = finish(run, RUN_S)
    reasons = _reasons(run.run)
    line = line_with(_site_log(standing, "north"), str(Reason.STUDY_NOT_APPROVED))
    released = _released(standing, run.run)
    ok = released == 0 and str(Reason.STUDY_NOT_APPROVED) in reasons
    happened = f"run {ended}: {', '.join(sorted(reasons))}; sums that left: {released}"
    return Row("a study changed after it was approved", "refused", happened, line, ok)


def _with_another_gate(bundle: bytes) -> bytes:
    """Return a bundle whose gate lets everything out."""
    changed, gate = io.BytesIO(), "client/disclosure.py"
    with ZipFile(io.BytesIO(bundle)) as old, ZipFile(changed, "w") as new:
        files = {info.filename: old.read(info) for info in old.infolist()}
        files[gate] += b"\n# no rules any more\n"
        # Flower's own list of contents is made to fit: only the signature tells.
        line = f"{gate},{hashlib.sha256(files[gate]).hexdigest()},{8 * len(files[gate])}"
        lines = files[_CONTENT].decode().splitlines()
        whole = [line if one.startswith(f"{gate},") else one for one in lines]
        files[_CONTENT] = "\n".join(whole).encode()
        for name, data in files.items():
            new.writestr(name, data)
    return changed.getvalue()


def _refused_step(standing: Stage, step: str, reason: Reason, what: str) -> Row:
    run = _the_run(standing)
    path = find_place(standing.here.sites["north"]).site.workspace / "audit.jsonl"
    found = [e for e in audit.entries(path) if e.get("event") == "refusal" and e["step"] == step]
    line = f"{found[0]['reason']}: {found[0]['detail']}" if found else ""
    ok = bool(found) and found[0]["reason"] == reason and not _is_answered(run, step)
    happened = "every site refused that step; the other steps were answered"
    return Row(what, str(reason), happened if ok else "NOT refused so", line, ok)


# -- identity and log -----------------------------------------------------------------------


def another_identity(stand: list[Stage]) -> Row:
    """Answer in a site's name with an identity that is not its own."""
    standing = stand[0]
    path = standing.here.sites["east"] / "identity.key"
    before = path.read_bytes()
    path.write_text(private_text(new_identity()))
    run = standing.run()
    ended = finish(run, RUN_S)
    path.write_bytes(before)
    lost = _lost(run.run, "east")
    ok = str(Reason.ROSTER_MISMATCH) in lost and _released(standing, run.run) == 0
    happened = f"east was not taken in, and without it there are too few; run {ended}"
    return Row("a site's name with another identity", "not taken in", happened, lost, ok)


def changed_log(stand: list[Stage]) -> Row:
    """Change a word in a line of a site's audit log."""
    return _tampered(stand[0], "north", "a line of the audit log changed")


def cut_log(stand: list[Stage]) -> Row:
    """Cut the last line off a site's audit log."""
    return _tampered(stand[0], "south", "the audit log's last line cut off")


@dataclass(frozen=True)
class _Spoilt:
    """A run with two sites' logs spoilt; what `site audit` says, how many sums left, by site."""

    run: Run
    said: dict[str, tuple[int, str]]
    released: dict[str, int]


def _tampered(standing: Stage, name: str, what: str) -> Row:
    found = _spoilt(standing)
    code, said = found.said[name]
    log = line_with(_site_log(standing, name), str(Reason.AUDIT_BROKEN))
    released = found.released[name]
    ok = code != 0 and str(Reason.AUDIT_BROKEN) in log and released == 0
    happened = f"`site audit` exits with {code} ({said}); sums that left {name}: {released}"
    return Row(what, str(Reason.AUDIT_BROKEN), happened, log, ok)


def _spoilt(standing: Stage) -> _Spoilt:
    """Spoil the logs of two sites, run the study, and put everything right again."""
    if id(standing) in _SPOILT:
        return _SPOILT[id(standing)]
    _the_run(standing)
    sites = standing.here.sites
    logs = {n: find_place(sites[n]).site.workspace / "audit.jsonl" for n in ("north", "south")}
    kept = {p: p.read_bytes() for log in logs.values() for p in (log, audit.head_path(log))}
    lines = kept[logs["north"]].replace(b'"event": "approval"', b'"event": "approved"', 1)
    logs["north"].write_bytes(lines)
    logs["south"].write_bytes(b"".join(kept[logs["south"]].splitlines(keepends=True)[:-1]))
    said, run = {name: _audited(sites[name]) for name in logs}, standing.run()
    finish(run, RUN_S)
    released = {
        name: sum(
            entry.get("event") == "release" and entry["run"] == run.run.id
            for entry in map(json.loads, path.read_bytes().splitlines())
        )
        for name, path in logs.items()
    }
    for path, data in kept.items():
        path.write_bytes(data)
    _SPOILT[id(standing)] = _Spoilt(run.run, said, released)
    return _SPOILT[id(standing)]


def _audited(folder: Path) -> tuple[int, str]:
    from typer.testing import CliRunner

    done = CliRunner().invoke(site_app, ["audit", str(folder / "site.yaml")])
    return done.exit_code, " ".join(done.output.split())[-120:]


# -- what a run says ------------------------------------------------------------------------

_RUNS: dict[int, Run] = {}
_SPOILT: dict[int, _Spoilt] = {}


def _the_run(standing: Stage) -> Run:
    """Return the one honest run of the study, made where it was not yet."""
    if id(standing) not in _RUNS:
        run = standing.run()
        finish(run, RUN_S)
        _RUNS[id(standing)] = run.run
    return _RUNS[id(standing)]


def _is_answered(run: Run, step: str) -> bool:
    return "development" in answers(run).get(step, {})


def _sites_of(run: Run) -> list[str]:
    totals = events(run, "total")
    return sorted({site for event in totals[-1:] for site in event["sites"]})


def _lost(run: Run, site: str) -> str:
    found = [e for e in events(run, "lost", "absent") if e.get("site") == site]
    return json.dumps(found[0]) if found else ""


def _reasons(run: Run) -> set[str]:
    return {str(e.get("reason") or e.get("why")) for e in events(run, "lost", "absent", "failed")}


def _released(standing: Stage, run: Run) -> int:
    """Return how many sums of a run left any site, by the sites' own logs."""
    return sum(_released_by(standing, name, run) for name in standing.here.sites)


def _released_by(standing: Stage, name: str, run: Run) -> int:
    path = find_place(standing.here.sites[name]).site.workspace / "audit.jsonl"
    return sum(e.get("event") == "release" and e["run"] == run.id for e in audit.entries(path))


def _site_log(standing: Stage, name: str) -> Path:
    return find_place(standing.here.sites[name]).site.workspace / "site.log"


ATTACKERS: dict[str, Callable[[list[Stage]], Row]] = {
    "no_key": no_key,
    "false_coordinator": false_coordinator,
    "unregistered": unregistered,
    "anothers_key": anothers_key,
    "control_api": partial(control_api, path="/v1/control/start-run"),
    "runtime_api": partial(control_api, path="/v1/runtime/claim-task"),
    "unsigned_bundle": unsigned_bundle,
    "unapproved_column": unapproved_column,
    "one_less": one_less,
    "changed_bundle": changed_bundle,
    "changed_study": changed_study,
    "another_identity": another_identity,
    "changed_log": changed_log,
    "cut_log": cut_log,
}


if __name__ == "__main__":
    sys.exit(main())
