"""The cluster's address book: a YAML file beside the configuration, and the lock on it.

    FOLDER/.dockeree/NAME/state.yaml    ids, decisions and client tokens; never a secret
                         /ssh.key       the cluster's private key, when it has one of its own
                         /known_hosts   the nodes' pinned host keys, by instance id
                         /lock          held by the command at work: the operating system's lock
                         /lock-owner    who holds it, for the message

Files are 0600, folders 0700. Losing all of it loses nothing: `up` finds everything again by its tags.

The state is written whole to a new file, fsynced and renamed over the old one after every change, so that a
`kill -9` at any moment leaves the state before the change or the state after it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dockeree.errors import DockereeError
from dockeree.private_files import make_private_folder as make_private_folder
from dockeree.private_files import new_path
from dockeree.private_files import write_private_file as write_private_file
from dockeree.state_lock import hold_lock, owner_path

FORMAT_VERSION = 1
"""What this version writes. A file with a higher number is refused; lower numbers are read."""


class StateError(DockereeError):
    """The state file cannot be used: written by a newer dockeree, or damaged."""


class _Contents(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(strict=True)

    format_version: int = FORMAT_VERSION
    name: str
    cluster_id: str = ""
    region: str = ""
    account: str = ""
    created_at: str = ""
    decisions: dict[str, str] = Field(default_factory=dict)
    ids: dict[str, str] = Field(default_factory=dict)
    tokens: dict[str, str] = Field(default_factory=dict)


class State:
    """One cluster's address book, for any thread; every change is on disk when the method returns."""

    def __init__(self, path: Path, contents: _Contents) -> None:
        self.path = path
        self._contents = contents
        self._mutex = threading.RLock()

    @classmethod
    def open(cls, folder: Path, name: str) -> State:
        """The state of cluster `name` below `folder`, the configuration's folder. Nothing is written until a change.

        Raises StateError when the file is damaged, another cluster's, or written by a newer dockeree.
        """
        path = folder / ".dockeree" / name / "state.yaml"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls(path, _Contents(name=name))
        except UnicodeDecodeError as error:
            raise _damaged(path, str(error)) from error
        return cls(path, _parse(path, text, name))

    @property
    def folder(self) -> Path:
        """The folder of this cluster's files."""
        return self.path.parent

    @property
    def ssh_key_path(self) -> Path:
        """Where the cluster's own private key is kept."""
        return self.folder / "ssh.key"

    @property
    def known_hosts_path(self) -> Path:
        """The pinned host keys, in OpenSSH's format, by instance id."""
        return self.folder / "known_hosts"

    @property
    def lock_path(self) -> Path:
        """The file that the operating system's lock is on."""
        return self.folder / "lock"

    @property
    def exists(self) -> bool:
        """Whether the state has ever been saved."""
        return self.path.exists()

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self._contents.name

    @property
    def cluster_id(self) -> str:
        """The cluster's id, 8 hexadecimal digits; empty until it is claimed."""
        return self._contents.cluster_id

    @property
    def region(self) -> str:
        """The region that the cluster stands in; empty until it is claimed."""
        return self._contents.region

    @property
    def account(self) -> str:
        """The account's number, 12 digits; empty until it is claimed."""
        return self._contents.account

    @property
    def created_at(self) -> str:
        """When the name was claimed, ISO 8601, UTC."""
        return self._contents.created_at

    def record_cluster(self, *, cluster_id: str, region: str, account: str, created_at: str) -> None:
        """Keep what the claim of the name answered. What was known of another cluster of that name is dropped."""
        claimed: dict[str, Any] = {
            "cluster_id": cluster_id,
            "region": region,
            "account": account,
            "created_at": created_at,
        }
        with self._mutex:
            if self.cluster_id not in ("", cluster_id):
                claimed |= {"decisions": {}, "ids": {}, "tokens": {}}
            self._change(**claimed)

    @property
    def ids(self) -> dict[str, str]:
        """A copy of the address book: what it is -> its id in AWS."""
        with self._mutex:
            return dict(self._contents.ids)

    def get(self, key: str) -> str | None:
        """The id kept under `key`, None when there is none."""
        return self._contents.ids.get(key)

    def put(self, key: str, value: str) -> None:
        """Keep an id under `key`."""
        self._put("ids", key, value)

    def forget(self, key: str) -> None:
        """Drop the id kept under `key`; one that is not there is fine."""
        self._drop("ids", key)

    @property
    def decisions(self) -> dict[str, str]:
        """A copy of what was decided once and stays: the machine image, the zones."""
        with self._mutex:
            return dict(self._contents.decisions)

    def decision(self, key: str) -> str | None:
        """What was decided for `key`, None when it is open."""
        return self._contents.decisions.get(key)

    def decide(self, key: str, value: str) -> None:
        """Keep a decision."""
        self._put("decisions", key, value)

    @property
    def tokens(self) -> dict[str, str]:
        """A copy of the client tokens: what is meant to be created -> the token of the creating call."""
        with self._mutex:
            return dict(self._contents.tokens)

    def token_for(self, key: str) -> str:
        """The client token of intent `key`: the same at each call, on disk before it is used for the first time.

        AWS answers a repeated creating call with the same token with what the first one created.
        """
        with self._mutex:
            return self._contents.tokens.get(key) or self.new_token(key)

    def new_token(self, key: str) -> str:
        """Replace the token of intent `key`: a terminated instance's token answers IdempotentInstanceTerminated."""
        token = str(uuid.uuid4())
        self._put("tokens", key, token)
        return token

    def save(self) -> None:
        """Write the state as it is."""
        with self._mutex:
            self._write(self._contents)

    def remove(self) -> None:
        """Delete the cluster's local files. A file that is not dockeree's stays, and its folder with it."""
        with self._mutex:
            ours = (self.path, self.ssh_key_path, self.known_hosts_path, owner_path(self.lock_path), self.lock_path)
            for path in ours:
                new_path(path).unlink(missing_ok=True)
                path.unlink(missing_ok=True)
            self._contents = _Contents(name=self.name)
            with suppress(OSError):
                self.folder.rmdir()
                self.folder.parent.rmdir()

    @contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Hold this cluster's local lock while `command` works (state_lock.py).

        Raises StateLocked with who holds it, where, since when and with which command.
        """
        with hold_lock(self.lock_path, self.name, command):
            try:
                yield
            finally:
                # Before the lock ends: afterwards the folder may be the next command's.
                self._remove_empty_folder()

    def _remove_empty_folder(self) -> None:
        """A command that found nothing to keep leaves nothing behind."""
        if {path.name for path in self.folder.glob("*")} <= {self.lock_path.name, owner_path(self.lock_path).name}:
            self.remove()

    def _put(self, section: str, key: str, value: str) -> None:
        with self._mutex:
            entries = getattr(self._contents, section)
            if entries.get(key) != value:
                self._change(**{section: {**entries, key: value}})

    def _drop(self, section: str, key: str) -> None:
        with self._mutex:
            entries = getattr(self._contents, section)
            if key in entries:
                self._change(**{section: {other: value for other, value in entries.items() if other != key}})

    def _change(self, **fields: Any) -> None:
        """Write the changed state, then take it for the state: what memory says is always on disk."""
        changed = self._contents.model_copy(update=fields)
        if changed != self._contents or not self.exists:
            self._write(changed)
            self._contents = changed

    def _write(self, contents: _Contents) -> None:
        make_private_folder(self.folder)
        values = contents.model_dump() | {"format_version": FORMAT_VERSION}
        text = "# dockeree's address book. Nothing is lost with it: `dockeree up` finds everything again.\n"
        write_private_file(self.path, (text + yaml.safe_dump(values, sort_keys=False)).encode())


def _parse(path: Path, text: str, name: str) -> _Contents:
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _damaged(path, str(error).replace("\n", " ")) from error
    version = values.get("format_version") if isinstance(values, dict) else None
    if not isinstance(version, int):
        raise _damaged(path, "it has no format_version")
    if version > FORMAT_VERSION:
        raise StateError(
            f"{path} has format {version}, written by a newer dockeree; this one reads up to {FORMAT_VERSION}",
            f"Update dockeree. Or, as it is only an address book: move it away and run `dockeree up`:\n"
            f"mv {path} {path}.away",
        )
    try:
        contents = _Contents.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise _damaged(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if contents.name != name:
        raise _damaged(path, f"it is the state of {contents.name}")
    return contents


def _damaged(path: Path, reason: str) -> StateError:
    return StateError(
        f"{path} cannot be read: {reason}",
        f"It is only an address book: move it away and run `dockeree up`, which finds everything again:\n"
        f"mv {path} {path}.away",
    )
