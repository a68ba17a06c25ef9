"""Keys that open the nodes: the operator's own file, its agent, or a key pair of the cluster's own."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

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
    """The keys to offer to a node, in order: an agent's first, as it may hold what a file keeps encrypted.

    A context manager: an agent's keys sign through the connection to it, which is one login's alone (requests of
    several threads would mix on it) and ends with the `with`.
    """

    keys: tuple[paramiko.PKey, ...]
    source: str
    """Where they come from, for messages."""
    agent: paramiko.Agent

    def __enter__(self) -> Identity:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.agent.close()


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
    agent = paramiko.Agent()
    try:
        keys, source = _usable_keys(agent.get_keys(), key_path)
    except BaseException:
        agent.close()
        raise
    return Identity(keys, source, agent)


def _usable_keys(
    agent_keys: tuple[paramiko.AgentKey, ...], key_path: Path | None
) -> tuple[tuple[paramiko.PKey, ...], str]:
    if key_path is None:
        if not agent_keys:
            raise SshError(
                "no SSH key: none is configured and the agent holds none",
                "Start the agent and add a key (ssh-add), or set `ssh.key` in the configuration.",
            )
        return agent_keys, "the SSH agent"
    wanted = public_key(key_path)
    held = tuple(key for key in agent_keys if key.get_base64() == wanted.blob)
    if key_path.exists() and not (held and _is_encrypted(key_path)):
        return (*held, _private_key(key_path)), str(key_path)
    if not held:
        raise SshError(
            f"{key_path} does not exist, and the agent does not hold the key of {key_path.name}.pub",
            "Add it to the agent (ssh-add), or set `ssh.key` in the configuration to the private key.",
        )
    return held, f"the SSH agent's key {key_path.name}"


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
    """A key in OpenSSH's or PEM format. cryptography reads it: paramiko's own reader fails on some ECDSA keys.

    Raises PasswordRequiredException when it is encrypted, ValueError or SSHException when it is no key that fits.
    """
    key = _load(text.encode())
    if isinstance(key, RSAPrivateKey):
        return paramiko.RSAKey(key=key)
    if isinstance(key, EllipticCurvePrivateKey):
        return paramiko.ECDSAKey(vals=(key, key.public_key()))
    if isinstance(key, Ed25519PrivateKey):
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        return paramiko.Ed25519Key.from_private_key(io.StringIO(plain))
    raise paramiko.SSHException(f"its kind, {type(key).__name__}, is not one that nodes take")


def _load(data: bytes) -> object:
    try:
        return load_ssh_private_key(data, None)
    except TypeError as error:  # cryptography's answer to an encrypted key without a password
        raise paramiko.PasswordRequiredException from error
    except (ValueError, UnsupportedAlgorithm):
        pass
    try:
        return load_pem_private_key(data, None)
    except TypeError as error:
        raise paramiko.PasswordRequiredException from error
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error


def _is_encrypted(path: Path) -> bool:
    try:
        _parse_private_key(path.read_text(encoding="utf-8"))
    except paramiko.PasswordRequiredException:
        return True
    except (OSError, paramiko.SSHException, ValueError):
        return False
    return False
