"""A node's file system: paths, contents, modes and owners. What lies under /run and /tmp is gone after a reboot."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from datetime import datetime

from dockeree.lab.nodes.simulated.pace import utc_now

VOLATILE = ("/run/", "/tmp/")


@dataclass
class Entry:
    """A file, or a folder where `content` is None. `mode` holds the permission bits alone."""

    content: bytes | None
    mode: int
    owner: str = "root"
    group: str = "root"
    changed_at: datetime = field(default_factory=utc_now)

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder."""
        return self.content is None


class FileError(Exception):
    """What the kernel refused, in its words: `No such file or directory`, `Permission denied`, …"""


class FileSystem:
    """Absolute paths to entries. Symbolic links do not exist here."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {"/": Entry(None, 0o755)}

    def clear_volatile(self) -> None:
        """What a reboot does to the folders that live in memory."""
        for path in [path for path in self._entries if path.startswith(VOLATILE)]:
            del self._entries[path]

    def get(self, path: str) -> Entry | None:
        """The entry at `path`, None where there is none."""
        return self._entries.get(normal(path))

    def exists(self, path: str) -> bool:
        """Whether anything lies at `path`."""
        return self.get(path) is not None

    def children(self, path: str) -> list[str]:
        """The names in a folder, sorted."""
        prefix = normal(path).rstrip("/") + "/"
        return sorted(
            {name[len(prefix) :].split("/")[0] for name in self._entries if name.startswith(prefix) and name != prefix}
        )

    def read(self, path: str, user: str = "root") -> bytes:
        """A file's content. Raises FileError as the kernel would refuse `user`."""
        entry = self._visible(path, user)
        if entry.content is None:
            raise FileError("Is a directory")
        if not may(entry, user, 4):
            raise FileError("Permission denied")
        return entry.content

    def write(
        self, path: str, content: bytes, *, user: str = "root", mode: int | None = None, append: bool = False
    ) -> None:
        """Write a file; its folder must exist. A new file gets `mode`, 0644 by default."""
        path = normal(path)
        entry = self._entries.get(path)
        if entry is not None and entry.is_folder:
            raise FileError("Is a directory")
        if entry is None:
            self._writable_parent(path, user)
            self._entries[path] = Entry(content, 0o644 if mode is None else mode, user, user)
            return
        if not may(entry, user, 2):
            raise FileError("Permission denied")
        entry.content = (entry.content or b"") + content if append else content
        entry.mode = entry.mode if mode is None else mode
        entry.changed_at = utc_now()

    def make_folders(self, path: str, *, user: str = "root", mode: int = 0o755, parents: bool = True) -> None:
        """Create a folder, and those above it with `parents`; with it an existing folder is fine."""
        path = normal(path)
        entry = self._entries.get(path)
        if entry is not None:
            if entry.is_folder and parents:
                return
            raise FileError("File exists")
        parent = posixpath.dirname(path)
        if parents and parent not in self._entries:
            self.make_folders(parent, user=user)
        self._writable_parent(path, user)
        self._entries[path] = Entry(None, mode, user, user)

    def remove(self, path: str, *, user: str = "root", recursive: bool = False) -> None:
        """Remove a file, or with `recursive` a folder and what is in it."""
        path = normal(path)
        entry = self._visible(path, user)
        if entry.is_folder and not recursive:
            raise FileError("Is a directory")
        self._writable_parent(path, user)
        for name in [name for name in self._entries if name == path or name.startswith(path + "/")]:
            del self._entries[name]

    def change(
        self, path: str, *, user: str = "root", mode: int | None = None, owner: str = "", group: str = ""
    ) -> None:
        """chmod and chown."""
        entry = self._visible(path, user)
        if user not in ("root", entry.owner) or (owner and user != "root"):
            raise FileError("Operation not permitted")
        entry.mode = entry.mode if mode is None else mode
        entry.owner = owner or entry.owner
        entry.group = group or entry.group

    def _visible(self, path: str, user: str) -> Entry:
        path = normal(path)
        above = posixpath.dirname(path)
        while above != "/":
            folder = self._entries.get(above)
            if folder is not None and not folder.is_folder:
                raise FileError("Not a directory")
            if folder is not None and not may(folder, user, 1):
                raise FileError("Permission denied")
            above = posixpath.dirname(above)
        entry = self._entries.get(path)
        if entry is None:
            raise FileError("No such file or directory")
        return entry

    def _writable_parent(self, path: str, user: str) -> None:
        parent = self._visible(posixpath.dirname(path), user)
        if not parent.is_folder:
            raise FileError("Not a directory")
        if not may(parent, user, 2):
            raise FileError("Permission denied")


def may(entry: Entry, user: str, bit: int) -> bool:
    """Whether `user` may read (4), write (2) or enter (1) an entry."""
    if user == "root":
        return True
    if user == entry.owner:
        return bool(entry.mode >> 6 & bit)
    return bool((entry.mode >> 3 if user == entry.group else entry.mode) & bit)


def normal(path: str) -> str:
    """`path` without double slashes, dots and a slash at its end."""
    return posixpath.normpath("/" + path.lstrip("/"))
