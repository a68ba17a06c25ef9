"""The probe of a registry against a real one (Debian's docker-registry): pushed, pulled, compared."""

from __future__ import annotations

import datetime
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.here import Here

from dockeree.node import registry
from dockeree.node.registry import Place

pytestmark = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="no docker-registry here")
CONTENT = registry.probe_content("0123abcd")


def write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(pem)
    private = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    )


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("registry")
    write_certificate(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    tls = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    configuration = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": address, "tls": tls},
    }
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(path)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not listens(int(address.rpartition(":")[2])):
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield Place(address, "dtr.example.com", "admin", "secret")
    finally:
        process.terminate()
        process.wait()


def test_what_is_pushed_is_pulled_and_pushing_again_is_fine(place: Place) -> None:
    here = Here()
    assert registry.pull(here, place, CONTENT).status == 404
    for _ in range(2):
        assert registry.push(here, place, CONTENT).status == 201
        assert registry.pull(here, place, CONTENT).status == 200
    assert not any("secret" in command for command in here.commands)


def test_another_image_under_that_name_is_told(place: Place) -> None:
    here = Here()
    registry.push(here, place, CONTENT)
    answer = registry.pull(here, place, registry.probe_content("ffffffff"))
    assert not answer.is_ok
    assert answer.body == "the image there is another one"
