"""Root certificate authorities as UCP and a swarm leave them on a manager, and the stream that tar makes of them."""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

VOLUMES = "volumes/{}/_data/{}"
CLUSTER_CERT, CLUSTER_KEY = (VOLUMES.format("ucp-cluster-root-ca", name) for name in ("cert.pem", "key.pem"))
CLIENT_CERT, CLIENT_KEY = (VOLUMES.format("ucp-client-root-ca", name) for name in ("cert.pem", "key.pem"))
SWARM_ROOT = "swarm/certificates/swarm-root-ca.crt"
SWARM_NODE = "swarm/certificates/swarm-node.crt"
MOMENT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificate(
    common_name: str,
    issuer: Pair | None = None,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    is_authority: bool = False,
) -> Pair:
    """A certificate of this name with its key (a new one, unless given); a root's own, or `issuer`'s."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[0].subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(MOMENT - timedelta(days=1))
        .not_valid_after(MOMENT + timedelta(days=7300))
        .add_extension(x509.BasicConstraints(ca=issuer is None or is_authority, path_length=None), critical=True)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return built, key


def pem(pair: Pair) -> bytes:
    return pair[0].public_bytes(Encoding.PEM)


def key_pem(pair: Pair) -> bytes:
    return pair[1].private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def new_files() -> dict[str, bytes]:
    """The files of a new cluster, by their names below docker's folder."""
    cluster, client = certificate("swarm-ca"), certificate("UCP Client Root CA")
    return {
        CLUSTER_CERT: pem(cluster),
        CLIENT_CERT: pem(client),
        SWARM_ROOT: pem(cluster),
        SWARM_NODE: pem(certificate("node1", cluster)) + pem(cluster),
        CLUSTER_KEY: key_pem(cluster),
        CLIENT_KEY: key_pem(client),
    }


@cache
def _some() -> dict[str, bytes]:
    return new_files()


def files() -> dict[str, bytes]:
    """The files of one cluster, the same in a whole run of the tests."""
    return dict(_some())


def tar_of(contents: dict[str, bytes]) -> bytes:
    """What `tar --create` writes of them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
