"""Keys that open the nodes: the operator's own file, its agent, or a key pair of the cluster's own."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dockeree.errors import SshError


@dataclass(frozen=True)
class PublicKey:
    """A public key: `kind` as in OpenSSH (`ssh-ed25519`), `blob` its wire format, in base64."""

    kind: str
    blob: str

    @property
    def text(self) -> str:
        """One line as in `authorized_keys`, without comment: what ImportKeyPair takes."""
        return f"{self.kind} {self.blob}"


@dataclass(frozen=True)
class Identity:
    """The keys to offer to a node, in order: an agent's first, as it may hold what a file keeps encrypted."""

    keys: tuple[paramiko.PKey, ...]
    source: str
    """Where they come from, for messages."""


def generate_private_key() -> str:
    """A new ed25519 private key in OpenSSH's format, unencrypted."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def public_key(path: Path) -> PublicKey:
    """The public half of the key at `path`: of `path`.pub where there is one, else computed from the private key.

    Raises SshError when neither can be read.
    """
    beside = path.with_name(f"{path.name}.pub")
    if beside.exists():
        fields = beside.read_text(encoding="utf-8").split()
        if len(fields) >= 2:
            return PublicKey(fields[0], fields[1])
        raise SshError(f"{beside} is not an OpenSSH public key", f"Make it anew: ssh-keygen -y -f {path} > {beside}")
    key = _private_key(path)
    return PublicKey(key.get_name(), key.get_base64())


def public_key_text(private_key: str) -> str:
    """The `authorized_keys` line, without comment, of the text of an unencrypted private key.

    Raises SshError when it is no such key.
    """
    try:
        key = _parse_private_key(private_key)
    except (paramiko.SSHException, ValueError) as error:
        raise SshError(f"this is not an unencrypted private key: {error}") from error
    return f"{key.get_name()} {key.get_base64()}"


def load_identity(key_path: Path | None) -> Identity:
    """What to offer: the agent's key that matches `key_path` and the file itself, or without a path all agent keys.

    Raises SshError when the file cannot be read and the agent does not hold its key, or there is no key at all.
    """
    agent_keys = paramiko.Agent().get_keys()
    if key_path is None:
        if not agent_keys:
            raise SshError(
                "no SSH key: none is configured and the agent holds none",
                "Start the agent and add a key (ssh-add), or set `ssh.key` in the configuration.",
            )
        return Identity(tuple(agent_keys), "the SSH agent")
    wanted = public_key(key_path)
    held = tuple(key for key in agent_keys if key.get_base64() == wanted.blob)
    if key_path.exists() and not (held and _is_encrypted(key_path)):
        return Identity((*held, _private_key(key_path)), str(key_path))
    if not held:
        raise SshError(
            f"{key_path} does not exist, and the agent does not hold the key of {key_path.name}.pub",
            "Add it to the agent (ssh-add), or set `ssh.key` in the configuration to the private key.",
        )
    return Identity(held, f"the SSH agent's key {key_path.name}")


def _private_key(path: Path) -> paramiko.PKey:
    try:
        return _parse_private_key(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SshError(f"the SSH key {path} cannot be read: {error.strerror}") from error
    except paramiko.PasswordRequiredException as error:
        raise SshError(f"the SSH key {path} is encrypted", f"Add it to the agent: ssh-add {path}") from error
    except (paramiko.SSHException, ValueError) as error:
        raise SshError(f"{path} is not a private key that can be used: {error}") from error


def _parse_private_key(text: str) -> paramiko.PKey:
    """paramiko's classes each read one kind of key and refuse the others; the last refusal is raised."""
    refusal: paramiko.SSHException = paramiko.SSHException("no known kind of key")
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text))
        except paramiko.PasswordRequiredException:
            raise
        except paramiko.SSHException as error:
            refusal = error
    raise refusal


def _is_encrypted(path: Path) -> bool:
    try:
        _parse_private_key(path.read_text(encoding="utf-8"))
    except paramiko.PasswordRequiredException:
        return True
    except (OSError, paramiko.SSHException, ValueError):
        return False
    return False
