"""Keys: made, read, found in an agent."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dockeree.errors import SshError
from dockeree.ssh.keys import generate_private_key, load_identity, public_key, public_key_text

needs_openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no OpenSSH client")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A running ssh-agent, its socket in the environment."""
    socket = tmp_path / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    while not socket.exists():
        assert process.poll() is None
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield
    process.send_signal(signal.SIGTERM)
    process.wait(10)


@pytest.fixture
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def _make(path: Path, *options: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-f", str(path), "-C", "", *options], check=True, stdin=subprocess.DEVNULL)
    return path


def test_generated_keys_differ_and_openssh_reads_them(tmp_path: Path) -> None:
    one, two = generate_private_key(), generate_private_key()
    assert one != two
    path = tmp_path / "key"
    path.write_text(one)
    path.chmod(0o600)
    assert public_key_text(one).startswith("ssh-ed25519 AAAA")
    if shutil.which("ssh-keygen"):
        read = subprocess.run(["ssh-keygen", "-y", "-f", str(path)], capture_output=True, text=True, check=True)
        assert read.stdout.strip() == public_key_text(one)


@needs_openssh
@pytest.mark.parametrize(
    "options", [("-t", "ed25519"), ("-t", "rsa", "-b", "2048"), ("-t", "ecdsa"), ("-t", "rsa", "-m", "PEM")]
)
def test_every_usual_kind_of_key_is_read(tmp_path: Path, no_agent: None, options: tuple[str, ...]) -> None:
    path = _make(tmp_path / "key", "-N", "", *options)
    assert public_key(path).text == path.with_name("key.pub").read_text().strip()
    path.with_name("key.pub").unlink()
    with load_identity(path) as identity:
        pass
    assert public_key(path).text == f"{identity.keys[0].get_name()} {identity.keys[0].get_base64()}"


@needs_openssh
def test_an_encrypted_key_needs_the_agent(tmp_path: Path, no_agent: None) -> None:
    path = _make(tmp_path / "key", "-N", "passphrase")
    with pytest.raises(SshError, match="is encrypted") as encrypted:
        load_identity(path)
    assert encrypted.value.hint == f"Add it to the agent: ssh-add {path}"


@needs_openssh
def test_a_public_key_is_enough_when_the_agent_holds_the_private_one(
    tmp_path: Path, agent: None, start_server: Any, operator: Any, client_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = str(tmp_path / "agent.sock")
    server = start_server()
    _make(tmp_path / "another", "-N", "")
    client_key.with_name("operator.pub").write_text(public_key_text(client_key.read_text()) + "\n")
    for key in (tmp_path / "another", client_key):
        subprocess.run(["ssh-add", "-q", str(key)], check=True, env={**os.environ, "SSH_AUTH_SOCK": socket})
    client_key.unlink()
    monkeypatch.setenv("SSH_AUTH_SOCK", socket)
    remote = operator.connect(server)
    assert remote.run("echo by the agent").stdout == "by the agent\n"
    with load_identity(client_key) as one, load_identity(None) as all_of_them:
        assert (len(one.keys), len(all_of_them.keys)) == (1, 2)


def test_no_key_at_all_is_said(tmp_path: Path, no_agent: None) -> None:
    with pytest.raises(SshError, match="the agent holds none"):
        load_identity(None)
    with pytest.raises(SshError, match="cannot be read: No such file"):
        load_identity(tmp_path / "missing")
    broken = tmp_path / "broken"
    broken.write_text("not a key")
    with pytest.raises(SshError, match="is not a private key"):
        load_identity(broken)
