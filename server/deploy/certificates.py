"""The coordinator's certificates.

A deployment is its own authority: sites trust its certificate and no other. Sites have no
certificates; they are known by keys that they make themselves.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CLOCKS_MAY_DIFFER = timedelta(hours=1)
_PEM = serialization.Encoding.PEM
_NO_PASSWORD = serialization.NoEncryption()


@dataclass(frozen=True)
class Pair:
    """A public and a private half, as they stand in files."""

    public: bytes
    private: bytes


@dataclass(frozen=True)
class Authority:
    """Signs the certificates of one deployment."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> bytes:
        """Return the certificate that sites are told to trust."""
        return self.certificate.public_bytes(_PEM)

    def private_pem(self) -> bytes:
        """Return the key that signs, which never leaves the coordinator."""
        return self.key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, _NO_PASSWORD)

    def issue(self, hosts: Iterable[str], *, days: int) -> Pair:
        """Return the certificate of a server and its key, both in PEM.

        Args:
            hosts: names and addresses by which it is called.
            days: how long it holds.
        """
        names = list(hosts)
        key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        called = x509.SubjectAlternativeName([_general_name(name) for name in names])
        certificate = (
            _draft(_name(names[0]), self.certificate.subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(called, critical=False)
            .add_extension(purpose, critical=False)
            .add_extension(authority, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        form = serialization.PrivateFormat.PKCS8
        return Pair(certificate.public_bytes(_PEM), key.private_bytes(_PEM, form, _NO_PASSWORD))


def new_authority(name: str, *, days: int) -> Authority:
    """Return a fresh authority that may sign servers, but no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _draft(_name(name), _name(name), key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def authority_from(certificate: bytes, key: bytes) -> Authority:
    """Return the authority of two PEM files.

    Raises:
        ValueError: they are no certificate and key.
        TypeError: the key is not one of ours.
    """
    private = serialization.load_pem_private_key(key, None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("expected an elliptic-curve key")
    return Authority(x509.load_pem_x509_certificate(certificate), private)


_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_MAY_DIFFER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
