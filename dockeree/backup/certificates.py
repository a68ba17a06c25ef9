"""What a certificate says, and whether a key fits it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockeree.backup.errors import DamagedBackup

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True)
class Certificate:
    """One certificate of a backup: the file it stands in, its SHA-256 (64 hex digits), and what it says.

    `not_after` is ISO 8601, UTC.
    """

    path: str
    fingerprint_sha256: str
    subject: str
    not_after: str


def read_certificates(path: str, pem: bytes) -> tuple[Certificate, ...]:
    """Every certificate in a PEM file: the first is the file's own, what follows are those that signed it.

    Raises DamagedBackup when it holds none, or something else.
    """
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - late, as boto3 is: only backups need it

    return tuple(
        Certificate(
            path=path,
            fingerprint_sha256=certificate.fingerprint(hashes.SHA256()).hex(),
            subject=certificate.subject.rfc4514_string(),
            not_after=certificate.not_valid_after_utc.isoformat(timespec="seconds"),
        )
        for certificate in _load(path, pem)
    )


def key_fits(certificate_path: str, certificate_pem: bytes, key_path: str, key_pem: bytes) -> bool:
    """Whether a private key (PEM, without a passphrase) is the first certificate's.

    Raises DamagedBackup when either cannot be read.
    """
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see read_certificates
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    certificate = _load(certificate_path, certificate_pem)[0]
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:  # its words may quote the key: they stay out of the message
        raise DamagedBackup(f"{key_path} is no private key in PEM form, or has a passphrase") from error
    halves = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*halves) == certificate.public_key().public_bytes(*halves)


def is_signed_by(path: str, pem: bytes, authority_path: str, authority_pem: bytes) -> bool:
    """Whether a certificate in `authority_pem` signed the first one in `pem`, or one of the chain behind that.

    A swarm whose root was rotated has such a chain: the new root's key in a certificate that the old root signed.
    """
    chain = _load(path, pem)
    linked = [chain[0]]
    for certificate in chain[1:]:
        if _issued(linked[-1], certificate):
            linked.append(certificate)
    authorities = _load(authority_path, authority_pem)
    return any(_issued(certificate, authority) for certificate in linked for authority in authorities)


def names_in(path: str, pem: bytes) -> tuple[str, ...]:
    """The DNS names that the first certificate is for. Raises DamagedBackup when it cannot be read."""
    from cryptography import x509  # noqa: PLC0415 - see read_certificates

    try:
        extension = _load(path, pem)[0].extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(extension.value.get_values_for_type(x509.DNSName))


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see read_certificates

    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _load(path: str, pem: bytes) -> list[x509.Certificate]:
    from cryptography import x509  # noqa: PLC0415 - see read_certificates

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise DamagedBackup(f"{path} holds no certificate in PEM form") from error
