"""Ids, join tokens and the root certificate of a swarm, in docker's formats."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 25
DIGEST_LENGTH = 50


def base36(number: int, length: int) -> str:
    """`number` in base 36, padded to `length`."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
    return digits.rjust(length, "0")


def new_id() -> str:
    """An id of a node, service, task or swarm: 25 digits of base 36."""
    return base36(secrets.randbits(128), ID_LENGTH)


@dataclass(frozen=True)
class RootCa:
    """A swarm's root certificate. Its digest is part of every join token, so that a joining node can pin it."""

    pem: str
    digest: str


def new_root_ca() -> RootCa:
    """Make a root certificate as `swarm init` does: EC P-256, CN swarm-ca, twenty years."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-ca")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=20 * 365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoded = certificate.public_bytes(serialization.Encoding.DER)
    digest = base36(int.from_bytes(hashlib.sha256(encoded).digest(), "big"), DIGEST_LENGTH)
    return RootCa(certificate.public_bytes(serialization.Encoding.PEM).decode(), digest)


def new_token(ca: RootCa) -> str:
    """A join token: version, digest of the root certificate, secret."""
    return f"SWMTKN-1-{ca.digest}-{new_id()}"


def token_digest(token: str) -> str | None:
    """The certificate digest in a token, None where it is no token."""
    parts = token.split("-")
    if len(parts) != 4 or parts[:2] != ["SWMTKN", "1"]:
        return None
    fits = len(parts[2]) == DIGEST_LENGTH and len(parts[3]) == ID_LENGTH and set(parts[2] + parts[3]) <= set(DIGITS)
    return parts[2] if fits else None
