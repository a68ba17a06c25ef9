"""Files that are the operator's alone, replaced as a whole: the state, the key, the host keys."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make `folder` and the `.dockeree` above it, both 0700."""
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def write_private_file(path: Path, data: bytes) -> None:
    """Replace `path` as a whole, 0600: a new file, fsynced, renamed over the old one, the folder fsynced."""
    new = new_path(path)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_new_private_file(path: Path, data: bytes) -> None:
    """Create `path`, 0600: whole or not at all, and never over a file that is there.

    Raises FileExistsError when there is one, OSError.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:  # is 0600
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        # A link, unlike a rename, replaces nothing.
        os.link(file.name, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def new_path(path: Path) -> Path:
    """Where the new contents of `path` stand until they are whole; a kill in between leaves it behind."""
    return path.with_name(f"{path.name}.new")
