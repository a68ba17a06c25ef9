"""The nodes' host keys: one file per cluster, by EC2 instance id, pinned at first sight.

Public addresses change with every stop and start and come back with other machines behind them; an instance id never
does. The file is OpenSSH's own format, so that `ssh -o HostKeyAlias=i-… -o UserKnownHostsFile=…` reads it too.

A first sight is checked where there is something to check it against: cloud-init prints the fingerprints of a node's
host keys on the console, which comes from AWS and not from whoever answers at the address. It prints them at the end of
the first boot, when sshd has long been there; a key pinned before is confirmed then, and its line says so.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dockeree.ssh.failures import HostKeyChanged
from dockeree.state import make_private_folder, write_private_file

CONFIRMED = "confirmed-by-console"
"""The comment of a line whose key the node's console named."""
_FINGERPRINT = re.compile(r"\bSHA256:[A-Za-z0-9+/]{43}(?![A-Za-z0-9+/])")
_HOST_KEY_BLOCK = re.compile(
    r"-----BEGIN SSH HOST KEY FINGERPRINTS-----(.*?)-----END SSH HOST KEY FINGERPRINTS-----", re.DOTALL
)


def fingerprint(key: bytes) -> str:
    """OpenSSH's fingerprint of a public key in wire format: `SHA256:` and 43 characters of base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def fingerprints_in(console_output: str) -> frozenset[str]:
    """The host keys' fingerprints that cloud-init printed last on a console; empty where it has not (yet).

    A console shows login keys' fingerprints as well, so only the block of host keys counts; of several boots, the last.
    """
    blocks = _HOST_KEY_BLOCK.findall(console_output)
    return frozenset(_FINGERPRINT.findall(blocks[-1])) if blocks else frozenset()


class _Entry(NamedTuple):
    host: str
    kind: str
    key: bytes
    comment: str = ""


class KnownHosts:
    """The pinned keys in one file. For any thread; several processes may use one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()

    def pinned(self, instance_id: str) -> dict[str, bytes]:
        """The keys of a node: type (`ssh-ed25519`) -> public key in wire format."""
        return {entry.kind: entry.key for entry in self._entries() if entry.host == instance_id}

    def is_confirmed(self, instance_id: str) -> bool:
        """Whether a node's key was named by its console. A node never seen has nothing to confirm."""
        return all(entry.comment == CONFIRMED for entry in self._entries() if entry.host == instance_id)

    def confirm(self, instance_id: str, host: str, expected: frozenset[str]) -> None:
        """Confirm a node's pinned keys by the fingerprints on its console. Without any, that is left for later.

        Raises HostKeyChanged when the console names others: whoever was reached at `host` is not the node.
        """
        if not expected:
            return
        with self._locked():
            entries = self._entries()
            for key in [entry.key for entry in entries if entry.host == instance_id]:
                if fingerprint(key) not in expected:
                    raise _not_on_console(instance_id, host, key, expected)
            self._write(
                [entry._replace(comment=CONFIRMED) if entry.host == instance_id else entry for entry in entries]
            )

    def check(self, instance_id: str, host: str, kind: str, key: bytes, expected: frozenset[str] = frozenset()) -> None:
        """Accept `key` of type `kind`, shown by the server at `host`: the pinned one, or at first sight.

        `expected` are the fingerprints that the node's console gave; empty where it gave none.

        Raises HostKeyChanged.
        """
        with self._locked():
            pinned = self.pinned(instance_id)
            if key in pinned.values():
                return
            if pinned:
                raise self._changed(instance_id, host, kind, key, pinned)
            if expected and fingerprint(key) not in expected:
                raise _not_on_console(instance_id, host, key, expected)
            self._write([*self._entries(), _Entry(instance_id, kind, key, CONFIRMED if expected else "")])

    def forget(self, instance_id: str) -> None:
        """Drop the keys of a node; one that has none is fine."""
        with self._locked():
            entries = self._entries()
            kept = [entry for entry in entries if entry.host != instance_id]
            if kept != entries:
                self._write(kept)

    def _changed(self, instance_id: str, host: str, kind: str, key: bytes, pinned: dict[str, bytes]) -> HostKeyChanged:
        before = ", ".join(f"{fingerprint(old)} ({old_kind})" for old_kind, old in sorted(pinned.items()))
        return HostKeyChanged(
            f"the host key of {instance_id} at {host} has changed: it was {before}, "
            f"now it is {fingerprint(key)} ({kind})",
            "Somebody else may answer at this address. Compare with the console output:\n"
            f"aws ec2 get-console-output --instance-id {instance_id} --latest --output text\n"
            "If you know why it changed, drop the old key and try again:\n"
            f"ssh-keygen -R {instance_id} -f {self.path}",
        )

    def _entries(self) -> list[_Entry]:
        """Every line that names a key; comments and markers are left out."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        fields = [line.split(maxsplit=3) for line in lines if line.strip() and not line.startswith(("#", "@"))]
        return [_Entry(f[0], f[1], base64.b64decode(f[2]), " ".join(f[3:])) for f in fields if len(f) >= 3]

    def _write(self, entries: list[_Entry]) -> None:
        lines = [f"{e.host} {e.kind} {base64.b64encode(e.key).decode()} {e.comment}".rstrip() for e in entries]
        write_private_file(self.path, "".join(f"{line}\n" for line in lines).encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the file against other threads and processes: the system's lock on its folder leaves no file behind."""
        make_private_folder(self.path.parent)
        with self._mutex:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                yield
            finally:
                os.close(folder)


def _not_on_console(instance_id: str, host: str, key: bytes, expected: frozenset[str]) -> HostKeyChanged:
    return HostKeyChanged(
        f"{instance_id} at {host} shows the host key {fingerprint(key)}, but its console output names "
        f"{', '.join(sorted(expected))}",
        "Somebody else may answer at this address: do not connect. Compare with "
        f"`aws ec2 get-console-output --instance-id {instance_id} --latest --output text`.",
    )
