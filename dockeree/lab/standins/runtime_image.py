"""The layer that all stand-in images share: Python with OpenSSL and cryptography, and busybox. About 12 MB packed.

Its files come from the packages of the node image's base tree, so that nothing is downloaded for it. It holds no shell
but busybox's and no package manager; byte code lies beside the sources, made so that it is never checked against them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from filelock import FileLock

from dockeree.lab.nodes.machines.container_image import PackedLayer
from dockeree.lab.nodes.machines.small_images import busybox_path
from dockeree.lab.settings import cache_dir
from dockeree.lab.world import LabError

FORMAT = 1
"""Raised when this file makes something else of the same tree."""
PYTHON = "usr/bin/python3.11"
STANDARD_LIBRARY = "usr/lib/python3.11"
PACKAGES = "usr/lib/python3/dist-packages"

LIBRARIES = (
    "ld-linux-*.so.*",
    "libc.so.6",
    "libm.so.6",
    "libz.so.1",
    "libexpat.so.1",
    "libssl.so.3",
    "libcrypto.so.3",
    "libffi.so.8",
    "libbz2.so.1.0",
    "liblzma.so.5",
    "libuuid.so.1",
    "libgcc_s.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "libnss_files.so.2",
    "libnss_dns.so.2",
    "libresolv.so.2",
    # cryptography asks OpenSSL for its legacy algorithms as it is loaded.
    "ossl-modules/legacy.so",
)
"""What the interpreter, its modules and cryptography are linked against, and what the name lookup loads."""

LEFT_OUT = (
    "test",
    "idlelib",
    "lib2to3",
    "distutils",
    "ensurepip",
    "tkinter",
    "turtledemo",
    "turtle.py",
    "pydoc_data",
    "pydoc.py",
    "venv",
    "unittest",
    "doctest.py",
    "sqlite3",
    "dbm",
    "curses",
    "config-*",
    "*/test",
    "lib-dynload/_test*",
    "lib-dynload/_sqlite3.*",
    "lib-dynload/_curses*",
    "lib-dynload/_dbm.*",
    "lib-dynload/_crypt.*",
    "lib-dynload/nis.*",
    "lib-dynload/readline.*",
    "lib-dynload/ossaudiodev.*",
    "lib-dynload/_xx*",
    "lib-dynload/xx*",
)
"""Parts of the standard library that a program in a container does not need, or whose libraries are not here."""
KEPT_PACKAGES = ("cryptography", "_cffi_backend*")

ETC = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/ssl/openssl.cnf": "",
}
LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "usr/bin/python3": "python3.11",
    "usr/lib/ssl/openssl.cnf": "/etc/ssl/openssl.cnf",
}
SHELL_COMMANDS = ("sh", "ls", "cat", "ps", "ip", "netstat", "wget", "nc", "sleep", "env", "hostname")


def ensure_runtime_layer(root: Path) -> PackedLayer:
    """The layer, packed now when it is not in the cache: about three seconds. `root` is the node image's base tree.

    Raises LabError when the tree lacks a file that the layer needs, or the host has no static busybox.
    """
    busybox = busybox_path()
    if busybox is None:
        raise LabError("No statically linked busybox on this host (apt-get install busybox-static)")
    folder = cache_dir() / "stand-ins"
    folder.mkdir(parents=True, exist_ok=True)
    key = _key(root, Path(busybox))
    packed, diff_id = folder / f"runtime-{key}.tar.gz", folder / f"runtime-{key}.diff-id"
    with FileLock(folder / ".lock"):
        if not (packed.exists() and diff_id.exists()):
            for outdated in folder.glob("runtime-*"):
                outdated.unlink()
            tar = runtime_tar(root, Path(busybox))
            # mtime 0: the same content is the same digest on each day.
            packed.write_bytes(gzip.compress(tar, compresslevel=6, mtime=0))
            diff_id.write_text(f"sha256:{hashlib.sha256(tar).hexdigest()}")
    return PackedLayer(packed, diff_id.read_text())


def runtime_tar(root: Path, busybox: Path) -> bytes:
    """The layer as a tar: the same tree gives the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("root", "run", "tmp", "var", "var/run", "var/log"):
            add_folder(tar, name, 0o1777 if name == "tmp" else 0o755)
        for name, target in sorted(LINKS.items()):
            add_link(tar, name, target)
        for name, text in sorted(ETC.items()):
            add_file(tar, name, text.encode())
        add_file(tar, "usr/bin/busybox", busybox.read_bytes(), 0o755)
        for command in SHELL_COMMANDS:
            add_link(tar, f"usr/bin/{command}", "busybox")
        add_file(tar, PYTHON, _read(root / PYTHON), 0o755)
        for path in _libraries(root):
            if path.is_symlink():
                add_link(tar, str(path.relative_to(root)), str(path.readlink()))
            else:
                add_file(tar, str(path.relative_to(root)), path.read_bytes(), 0o755)
        for path in _modules(root):
            _add_module(tar, root, path)
    return buffer.getvalue()


def add_folder(tar: tarfile.TarFile, name: str, mode: int = 0o755) -> None:
    """Add a folder of root's."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    tar.addfile(entry)


def add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    """Add a symbolic link."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def add_file(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """Add a file of root's. Folders above it need no entry: the engine makes them."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def never_checked(byte_code: bytes) -> bytes:
    """A .pyc that Python takes without looking at its source (PEP 552: flag 0b01, then eight bytes of a hash).

    Debian's byte code holds the time of its source, which differs in each build of the tree.
    """
    return byte_code[:4] + (1).to_bytes(4, "little") + bytes(8) + byte_code[16:]


def _key(root: Path, busybox: Path) -> str:
    """What the layer depends on. The base tree's folder is named after its recipe and is never changed."""
    recipe = repr((FORMAT, LIBRARIES, LEFT_OUT, KEPT_PACKAGES, ETC, LINKS, SHELL_COMMANDS))
    parts = [recipe.encode(), root.parent.name.encode(), _read(root / PYTHON), busybox.read_bytes()]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:12]


def _libraries(root: Path) -> Iterator[Path]:
    for pattern in LIBRARIES:
        found = sorted((*root.glob(f"usr/lib/*-linux-gnu*/{pattern}"), *root.glob(f"usr/lib64/{pattern}")))
        if not found:
            raise LabError(f"The node image's base has no {pattern}")
        for path in found:
            yield path
            target = path.resolve()
            if path.is_symlink() and target.parent == path.parent.resolve() and target.name not in LIBRARIES:
                yield target


def _modules(root: Path) -> Iterator[Path]:
    library, packages = root / STANDARD_LIBRARY, root / PACKAGES
    for path in sorted(library.rglob("*")):
        if path.is_file() and not _is_left_out(str(path.relative_to(library))):
            yield path
    for pattern in KEPT_PACKAGES:
        for found in sorted(packages.glob(pattern)):
            if not found.name.endswith((".dist-info", ".egg-info")):
                yield from [found] if found.is_file() else sorted(path for path in found.rglob("*") if path.is_file())


def _is_left_out(name: str) -> bool:
    parents = [name, *(str(parent) for parent in Path(name).parents)]
    return any(fnmatch(parent, pattern) for pattern in LEFT_OUT for parent in parents)


def _add_module(tar: tarfile.TarFile, root: Path, path: Path) -> None:
    """Byte code in the place of its source, as Python takes it where there is none; what has none as it is."""
    name = str(path.relative_to(root))
    if path.parent.name == "__pycache__" or path.suffix in (".pyi", ".txt"):
        return
    if path.suffix == ".py":
        byte_code = path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc"
        if byte_code.exists():
            add_file(tar, name + "c", never_checked(byte_code.read_bytes()))
            return
    add_file(tar, name, path.read_bytes())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise LabError(f"The node image's base has no {path.name}") from error
