"""Take in what sites mail to the coordinator: enrolments and approvals, checked."""

from pathlib import Path

from common.deployment import Approval, Enrolment, as_text, site_fingerprint
from common.errors import ConfigError, Finding
from common.settings import decoded, parse, read_yaml
from server.arrays import write_file
from server.deploy.home import Home

_MODELS: dict[str, type[Enrolment | Approval]] = {"enrolment": Enrolment, "approval": Approval}


def take(home: Home, path: Path, *, replace: bool = False) -> str:
    """Check and keep what a site has sent; return in words what it was.

    Args:
        home: the coordinator.
        path: the file.
        replace: whether a site's keys may take the place of others.

    Raises:
        ConfigError: it is not what it says it is, or not for this deployment.
    """
    received = _read(path)
    wrong = _wrong(home, received, replace=replace)
    if wrong:
        raise ConfigError([Finding(str(path), None, "", text) for text in wrong])
    write_file(home.file_of(received), as_text(received).encode())
    if isinstance(received, Enrolment):
        return (
            f"{received.site}: keys taken in. Have the hospital read you its fingerprint over "
            f"the phone: {site_fingerprint(received)}"
        )
    return f"{received.site}: approves study {received.study[:12]} and code {received.bundle[:12]}"


def _read(path: Path) -> Enrolment | Approval:
    text = decoded(path.read_bytes(), str(path))
    data = read_yaml(text, str(path))[0]
    kind = data.get("kind") if isinstance(data, dict) else None
    if kind not in _MODELS:
        message = f"expected an enrolment or an approval, got kind {kind!r}"
        raise ConfigError([Finding(str(path), None, "kind", message)])
    return parse(_MODELS[kind], text, str(path))


def _wrong(home: Home, received: Enrolment | Approval, *, replace: bool) -> list[str]:
    wrong = []
    if received.deployment != home.settings.name:
        wrong.append(f'is for "{received.deployment}", this is "{home.settings.name}"')
    if received.site not in home.roster.sites:
        wrong.append(f'"{received.site}" is not in the roster')
    enrolled = home.enrolments().get(received.site)
    if isinstance(received, Enrolment):
        if not received.is_genuine():
            wrong.append("the signature does not fit the keys: it was changed on its way")
        if enrolled is not None and enrolled != received and not replace:
            wrong.append(
                f'"{received.site}" has other keys already; if it made new ones: --replace'
            )
    elif enrolled is None:
        wrong.append(f'"{received.site}" has not enrolled yet')
    elif not received.is_genuine(enrolled.approval):
        wrong.append(f'not signed with the approval key of "{received.site}"')
    return wrong
