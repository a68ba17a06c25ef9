"""TLS whose one direction ends before the other, and the pump between two connections."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockeree.lab.standins.program.certificates import issue, new_root
from dockeree.lab.standins.program.streams import PlainStream, TlsStream, pump

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return make_contexts(tmp_path_factory.mktemp("certificates"))


def make_contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    root = new_root(f"test {folder.name}")
    leaf = issue(root, "server", server_names=["127.0.0.1"], is_client=True)
    (folder / "leaf.pem").write_bytes(leaf.certificate_pem + leaf.key_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "leaf.pem")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cadata=root.certificate_pem.decode())
    return server, client


def connect(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> tuple[TlsStream, TlsStream]:
    here, there = socket.socketpair()
    server = TlsStream(here, contexts[0], server_side=True)
    client = TlsStream(there, contexts[1], server_side=False)
    shaking = threading.Thread(target=server.shake_hands)
    shaking.start()
    client.shake_hands()
    shaking.join()
    return server, client


@pytest.fixture
def pair(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[tuple[TlsStream, TlsStream]]:
    server, client = connect(contexts)
    yield server, client
    client.close()
    server.close()


def read_all(stream: TlsStream | PlainStream) -> bytes:
    content = bytearray()
    while chunk := stream.receive():
        content += chunk
    return bytes(content)


def test_a_side_that_has_ended_still_reads(pair: tuple[TlsStream, TlsStream]) -> None:
    server, client = pair
    client.send(b"question")
    # What has arrived already must not be lost when the own side ends.
    server.send(b"early ")
    client.end()
    assert read_all(server) == b"question"
    server.send(b"late")
    server.end()
    assert read_all(client) == b"early late"


def test_the_other_side_sees_the_end_once_and_for_all(pair: tuple[TlsStream, TlsStream]) -> None:
    server, client = pair
    client.end()
    assert server.receive() == b""
    assert server.receive() == b""


def test_a_torn_connection_is_an_end(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = connect(contexts)
    server.send(b"x")
    assert client.receive() == b"x"
    client._connection.close()
    assert server.receive() == b""
    server.close()


def test_a_certificate_of_another_authority_is_refused(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], tmp_path: Path
) -> None:
    _, stranger = make_contexts(tmp_path)
    here, there = socket.socketpair()
    server = TlsStream(here, contexts[0], server_side=True)
    refusals: list[Exception] = []

    def shake() -> None:
        try:
            server.shake_hands()
            server.receive()
        except OSError as error:
            refusals.append(error)

    shaking = threading.Thread(target=shake)
    shaking.start()
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsStream(there, stranger, server_side=False).shake_hands()
    there.close()
    shaking.join()
    here.close()
    assert "unknown ca" in str(refusals[0])


def test_the_pump_carries_megabytes_both_ways_at_once_and_the_end_of_each(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    proxy, client = connect(contexts)
    left, right = socket.socketpair()
    engine = PlainStream(right)
    pumping = threading.Thread(target=pump, args=(proxy, PlainStream(left)))
    pumping.start()
    received: list[bytes] = []

    def echo() -> None:
        content = read_all(engine)
        engine.send(content[::-1])
        engine.close()

    def send() -> None:
        client.send(b"ab" * (2 * MEGABYTE))
        client.end()

    threads = [threading.Thread(target=echo), threading.Thread(target=send)]
    for thread in threads:
        thread.start()
    received.append(read_all(client))
    for thread in (*threads, pumping):
        thread.join(10)
        assert not thread.is_alive()
    assert received[0] == b"ba" * (2 * MEGABYTE)
    client.close()
