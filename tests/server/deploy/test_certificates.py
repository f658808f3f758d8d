"""Certificates and connection keys do what they are for, and nothing else."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from server.deploy.certificates import Authority, Pair, authority_from, new_authority

HOSTS = ("127.0.0.1", "localhost", "coordinator.hospital.example")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return new_authority("a test", days=2)


def _shake_hands(folder: Path, server: Pair, trusted: Authority, host: str) -> None:
    """Let a client that trusts one authority meet a server, in memory."""
    (folder / "server.pem").write_bytes(server.public)
    (folder / "server.key").write_bytes(server.private)
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(folder / "server.pem", folder / "server.key")
    calling = ssl.create_default_context(cadata=trusted.pem().decode())
    calling.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = calling.wrap_bio(down, up, server_hostname=host)
    host_side = listening.wrap_bio(up, down, server_side=True)
    waiting = [client, host_side]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting


@pytest.mark.parametrize("host", HOSTS)
def test_a_site_that_trusts_the_authority_accepts_its_server(
    tmp_path: Path, authority: Authority, host: str
) -> None:
    _shake_hands(tmp_path, authority.issue(HOSTS, days=1), authority, host)


def test_a_server_of_another_authority_is_refused(tmp_path: Path, authority: Authority) -> None:
    other = new_authority("a test", days=2).issue(HOSTS, days=1)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(tmp_path, other, authority, "localhost")


def test_a_server_under_another_name_is_refused(tmp_path: Path, authority: Authority) -> None:
    server = authority.issue(["localhost"], days=1)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"match|mismatch"):
        _shake_hands(tmp_path, server, authority, "127.0.0.1")


def test_a_server_cannot_sign_other_servers(authority: Authority) -> None:
    server = x509.load_pem_x509_certificate(authority.issue(["localhost"], days=1).public)
    limits = server.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not limits.ca
    own = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert own.ca
    assert own.path_length == 0


def test_a_certificate_is_renewed_by_the_authority_sites_trust_already(
    tmp_path: Path, authority: Authority
) -> None:
    again = authority_from(authority.pem(), authority.private_pem())
    _shake_hands(tmp_path, again.issue(HOSTS, days=1), authority, "localhost")
