"""The images that every lab serves: `busybox`, and `dockeree/web:1`, which tells over HTTP which container answered.

Both are the host's own statically linked busybox (Debian's busybox-static) and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from dockeree.lab.nodes.machines.container_image import ContainerImage
from dockeree.lab.nodes.machines.registry import add_image, storage_dir
from dockeree.lab.world import LabError

WEB = "dockeree/web:1"
BUSYBOX = "library/busybox:latest"

WEB_PAGE = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n%s\\n' "$(hostname)"
"""
"""busybox's httpd runs cgi-bin/index.cgi where a folder has no index.html."""


def ensure_small_images() -> None:
    """Have both images in the lab's storage: a second, once for each version of the host's busybox.

    Raises LabError when the host has no busybox that is statically linked.
    """
    binary = _static_busybox()
    images = _images(binary)
    fingerprint = hashlib.sha256(binary + repr([(image.name, image.command) for image in images]).encode()).hexdigest()
    marker = storage_dir().with_name("registry-small-images")
    if storage_dir().exists() and marker.exists() and marker.read_text() == fingerprint:
        return
    for image in images:
        add_image(image)
    marker.write_text(fingerprint)


def busybox_path() -> str | None:
    """The host's statically linked busybox; None where there is none."""
    found = shutil.which("busybox")
    # A program that asks for a dynamic loader names it (PT_INTERP) among the first bytes of its file.
    return found if found and b"/ld-" not in Path(found).read_bytes()[:4096] else None


def _static_busybox() -> bytes:
    path = busybox_path()
    if path is None:
        raise LabError("No statically linked busybox on this host (apt-get install busybox-static)")
    return Path(path).read_bytes()


def _images(binary: bytes) -> tuple[ContainerImage, ContainerImage]:
    busybox = ContainerImage(name=BUSYBOX, root=_root(binary, {}), command=("sh",))
    web = ContainerImage(
        name=WEB,
        root=_root(binary, {"www/cgi-bin/index.cgi": WEB_PAGE}),
        command=("sh", "-c", 'exec httpd -f -p "$PORT" -h /www'),
        environment={"PORT": "8080"},
        ports=("8080/tcp",),
        # As process 1 of its container httpd has no handler for SIGTERM and would be waited for in vain.
        stop_signal="SIGKILL",
    )
    return busybox, web


def _root(binary: bytes, files: dict[str, str]) -> bytes:
    """A root file system as a tar: busybox, a link for each of its commands, and `files`, executable."""
    commands = subprocess.run([busybox_path() or "busybox", "--list"], capture_output=True, text=True, check=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("www", 0o755)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        contents = {
            "bin/busybox": binary,
            "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
            "etc/group": b"root:x:0:\n",
            **{name: content.encode() for name, content in files.items()},
        }
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644 if name.startswith("etc/") else 0o755
            tar.addfile(entry, io.BytesIO(content))
        for command in sorted(set(commands.stdout.split()) - {"busybox"}):
            entry = tarfile.TarInfo(f"bin/{command}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return buffer.getvalue()
