"""The root certificate authorities on a manager: which files they are, and how they are read as one stream.

UCP keeps them in two volumes, the same on every manager: the cluster's root, which is the swarm's, and the root of the
clients' certificates. The swarm's own folder holds the root's certificate and the node's, and no root key.
"""

from __future__ import annotations

import io
import shlex
import tarfile
from collections.abc import Iterable

from dockeree.errors import CommandFailed, DockereeError
from dockeree.node.engine import DOCKER
from dockeree.ssh.remote import Remote

DOCKER_FOLDER = "/var/lib/docker"
CLUSTER_ROOT = "ucp-cluster-root-ca"
CLIENT_ROOT = "ucp-client-root-ca"
SWARM_ROOT = "swarm-root-ca"
SWARM_ROOT_FILE = "swarm/certificates/swarm-root-ca.crt"
NODE_FILE = "swarm/certificates/swarm-node.crt"

ROOTS = {
    CLUSTER_ROOT: f"volumes/{CLUSTER_ROOT}/_data/cert.pem",
    CLIENT_ROOT: f"volumes/{CLIENT_ROOT}/_data/cert.pem",
    SWARM_ROOT: SWARM_ROOT_FILE,
}
"""The certificates that trust begins with, by name: their files below docker's folder."""
KEYS = {
    ROOTS[CLUSTER_ROOT]: f"volumes/{CLUSTER_ROOT}/_data/key.pem",
    ROOTS[CLIENT_ROOT]: f"volumes/{CLIENT_ROOT}/_data/key.pem",
}
"""Whose private key lies where."""
CERTIFICATE_FILES = (*ROOTS.values(), NODE_FILE)
ALL_FILES = (*CERTIFICATE_FILES, *KEYS.values())

MOST_BYTES_A_FILE = 1024 * 1024
"""A certificate has some 800 bytes; a bundle of roots, some thousands."""
UCP_IMAGE = f"{DOCKER} ps --all --filter 'name=^ucp-proxy$' --format '{{{{.Image}}}}'"
"""UCP's version is this image's tag: every node has the container."""
DTR_IMAGE = f"{DOCKER} ps --all --filter 'name=^dtr-registry-' --format '{{{{.Image}}}}'"
"""Empty on a node without a replica."""


def read_command(files: Iterable[str]) -> str:
    """Write `files`, given below docker's folder, to standard output as one tar stream; nothing touches a disk."""
    words = " ".join(shlex.quote(file) for file in files)
    return f"sudo -n tar --create --file=- --format=ustar --directory={DOCKER_FOLDER} {words}"


def read_files(manager: Remote, files: tuple[str, ...]) -> dict[str, bytearray]:
    """The contents of `files` on a manager.

    Raises CommandFailed with what to do when a file is missing, DockereeError when the stream broke off.
    """
    command = read_command(files)
    try:
        stream = manager.read_bytes(command)
    except CommandFailed as failed:
        failed.hint = f"Is UCP installed on {manager.name}? `dockeree up` installs it."
        raise
    try:
        return unpack(stream, files)
    except ValueError as error:
        raise DockereeError(f"{manager.name}: what tar wrote is not whole: {error}", "Run it again.") from error
    finally:
        wipe(stream)


def unpack(stream: bytes | bytearray, names: tuple[str, ...]) -> dict[str, bytearray]:
    """The files of a tar stream, which must be exactly `names`, each once, each a plain file of less than 1 MiB.

    Raises ValueError that says what is wrong.
    """
    found: dict[str, bytearray] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(stream), mode="r:") as tar:
            for member in tar:
                if member.name not in names or member.name in found:
                    raise ValueError(f"{member.name!r} does not belong there, or is there twice")
                if not member.isreg() or member.size > MOST_BYTES_A_FILE:
                    raise ValueError(f"{member.name} is no plain file, or too large ({member.size} bytes)")
                content = tar.extractfile(member)
                data = content.read() if content is not None else b""
                if len(data) != member.size:
                    raise ValueError(f"{member.name} is cut off")
                found[member.name] = bytearray(data)
    except (tarfile.TarError, OSError, EOFError, OverflowError) as error:
        raise ValueError(f"no tar stream, or a damaged one: {error}") from error
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"{', '.join(missing)} is missing")
    return found


def wipe(*secrets: bytearray) -> None:
    """Overwrite what held a private key, as far as Python lets one: copies that it made itself are not reached."""
    for secret in secrets:
        secret[:] = bytes(len(secret))


def parse_version(stdout: str) -> str | None:
    """The tag of the first image in a list of images, None without any."""
    tags = [line.rpartition(":")[2].partition("@")[0] for line in stdout.split() if ":" in line.rpartition("/")[2]]
    return tags[0] if tags else None
