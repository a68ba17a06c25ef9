"""The host's own names: a marked block in /etc/hosts, by which the operator reaches balancers by name.

The file is written in place, never replaced (it may be a bind mount), and only from where it differs. Taking the block
away leaves the file as it was, byte for byte: all that was added lies between the two marks, a newline before the
first of them included.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable
from pathlib import Path

HOSTS_FILE = Path("/etc/hosts")


def _block(tag: str, names: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"{address} {name}" for address, name in sorted(set(names))]
    if not lines:
        return b""
    return "\n".join(["", f"# dockeree lab {tag}: begin", *lines, f"# dockeree lab {tag}: end", ""]).encode()


def _without_block(content: bytes, tag: str) -> bytes:
    begin, end = f"# dockeree lab {tag}: begin".encode(), f"# dockeree lab {tag}: end".encode()
    return re.sub(rb"\n" + re.escape(begin) + rb"\n.*?" + re.escape(end) + rb"\n", b"", content, flags=re.DOTALL)


def _common_length(one: bytes, other: bytes) -> int:
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _rewrite(path: Path, tag: str, names: Iterable[tuple[str, str]]) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # Several labs, one file.
        old = file.readall()
        new = _without_block(old, tag) + _block(tag, names)
        same = _common_length(old, new)
        if same == len(old) == len(new):
            return
        file.seek(same)
        written = memoryview(new)[same:]
        while written:
            written = written[file.write(written) :]
        file.truncate(len(new))


def set_host_names(tag: str, names: Iterable[tuple[str, str]], path: Path = HOSTS_FILE) -> None:
    """Make the lab's block say exactly `names`, pairs of address and name; none means no block. Raises OSError."""
    _rewrite(path, tag, names)


def remove_host_names(tag: str, path: Path = HOSTS_FILE) -> None:
    """Take the lab's block away. A file without one is left untouched. Raises OSError."""
    if path.exists() and f"# dockeree lab {tag}: begin" in path.read_text(errors="replace"):
        _rewrite(path, tag, ())
