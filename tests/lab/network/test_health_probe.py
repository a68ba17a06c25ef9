"""A health check's own connection: whatever came of it, nothing of it is left in the event loop."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dockeree.lab.network import namespaces
from dockeree.lab.network.health import Probe
from dockeree.lab.world import HealthCheck


@pytest.fixture(autouse=True)
def _no_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    def outgoing_socket(namespace: str, source: str) -> socket.socket:
        connection = socket.socket()
        connection.setblocking(False)
        return connection

    monkeypatch.setattr(namespaces, "outgoing_socket", outgoing_socket)


def certificate(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "target")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "both.pem"
    path.write_bytes(pem + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


@pytest.mark.parametrize("protocol", ["HTTPS", "HTTP", "TCP"])
def test_the_next_socket_may_have_the_same_descriptor_at_once(
    protocol: Literal["HTTPS", "HTTP", "TCP"], tmp_path: Path
) -> None:
    async def checks() -> list[bool]:
        context = certificate(tmp_path) if protocol == "HTTPS" else None
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        check = HealthCheck(protocol, None, "/_ping", 10, 5, 2, 2)
        probe = Probe("", "", "127.0.0.1", port, check, "target")
        answers = [await probe.ask() for _ in range(20)]
        server.close()
        return answers

    assert asyncio.run(checks()) == [True] * 20
