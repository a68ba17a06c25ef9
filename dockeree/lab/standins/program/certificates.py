"""Certificate authorities and what they sign: ECDSA over P-256, PEM, as the swarm's own authority does it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT_DAYS = 20 * 365
LEAF_DAYS = 365
CLOCK_SKEW = timedelta(hours=1)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, PEM both."""

    certificate_pem: bytes
    key_pem: bytes

    @cached_property
    def certificate(self) -> x509.Certificate:
        """The first certificate of the PEM text. Raises ValueError."""
        return x509.load_pem_x509_certificate(self.certificate_pem)

    @cached_property
    def key(self) -> PrivateKey:
        """Raises ValueError, or TypeError for one with a passphrase."""
        key = serialization.load_pem_private_key(self.key_pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError("neither an EC nor an RSA key")
        return key

    @property
    def fits(self) -> bool:
        """Whether the key is the certificate's."""
        return public_bytes(self.certificate.public_key()) == public_bytes(self.key.public_key())

    @property
    def common_name(self) -> str:
        """The subject's."""
        return common_name(self.certificate.subject)


def new_root(name: str) -> KeyPair:
    """A self-signed authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
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
    builder = (
        _builder(subject, key, ROOT_DAYS)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    return KeyPair(_pem(builder.sign(key, hashes.SHA256())), key_pem(key))


def issue(
    root: KeyPair,
    name: str,
    *,
    server_names: Iterable[str] = (),
    is_client: bool = False,
    organizational_unit: str = "",
) -> KeyPair:
    """A certificate signed by `root`: for a server of these names and addresses, for a client, or for both."""
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organizational_unit:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, organizational_unit))
    names = list(dict.fromkeys(server_names))
    usages = [
        *([ExtendedKeyUsageOID.SERVER_AUTH] if names else []),
        *([ExtendedKeyUsageOID.CLIENT_AUTH] if is_client else []),
    ]
    builder = (
        _builder(x509.Name(attributes), key, LEAF_DAYS)
        .issuer_name(root.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        # Python's strict verification, its default from 3.13 on, insists on it.
        .add_extension(_key_identifier(root.certificate), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), False)
    return KeyPair(_pem(builder.sign(root.key, hashes.SHA256())), key_pem(key))


def alternative_names(certificate: x509.Certificate) -> set[str]:
    """Names and addresses a server's certificate carries."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    found = names.get_values_for_type(x509.DNSName)
    return {*found, *(str(address) for address in names.get_values_for_type(x509.IPAddress))}


def common_name(name: x509.Name) -> str:
    """A subject's or issuer's; empty when it has none."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 over the DER, as 32 upper-case pairs with colons."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def public_bytes(key: object) -> bytes:
    """A public key in DER, to compare."""
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ValueError("neither an EC nor an RSA key")
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_pem(key: PrivateKey) -> bytes:
    """As OpenSSL's own format, which every engine's swarm reads."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def public_pem(key: PrivateKey) -> bytes:
    """The public half in PEM."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_identifier(root: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        found = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        found = x509.SubjectKeyIdentifier.from_public_key(root.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
