"""The tar of a backup: the manifest, then the certificates and keys that it describes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dockeree.backup.certificates import is_signed_by, key_fits
from dockeree.backup.errors import DamagedBackup
from dockeree.backup.manifest import Manifest, parse, read_all
from dockeree.node.root_ca import ALL_FILES, CLUSTER_ROOT, KEYS, NODE_FILE, ROOTS, unpack, wipe

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Archive:
    """A backup taken apart: what it says it holds, and what it holds, by the files' names below docker's folder."""

    manifest: Manifest
    files: Mapping[str, bytearray]

    def wipe(self) -> None:
        """Overwrite the keys."""
        wipe(*self.files.values())


def pack(manifest: Manifest, files: Mapping[str, bytes | bytearray]) -> bytearray:
    """The tar: the manifest first, every file 0600 and root's, so that the same contents give the same bytes."""
    moment = int(datetime.fromisoformat(manifest.created_at).timestamp())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in {MANIFEST: manifest.dump(), **files}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), 0o600, moment
            member.uname = member.gname = "root"
            tar.addfile(member, io.BytesIO(data))
    packed = bytearray(buffer.getbuffer())
    with buffer.getbuffer() as view:
        view[:] = bytes(len(view))
    return packed


def take_apart(tar: bytes | bytearray) -> Archive:
    """The parts of `pack`. Raises DamagedBackup when it is not whole, or holds anything else."""
    try:
        files = unpack(tar, (MANIFEST, *ALL_FILES))
    except ValueError as error:
        raise DamagedBackup(f"the archive is damaged: {error}") from error
    return Archive(parse(bytes(files.pop(MANIFEST))), files)


def check(archive: Archive) -> None:
    """Whether every key fits its certificate, and the certificates are those that the manifest names.

    Raises DamagedBackup that names the file.
    """
    if read_all(archive.files) != archive.manifest.certificates:
        raise DamagedBackup("the archive's certificates are not those that its manifest names")
    check_keys(archive.files)


def check_keys(files: Mapping[str, bytes | bytearray]) -> None:
    """Whether every key fits its certificate. Raises DamagedBackup that names the file."""
    for certificate_file, key_file in KEYS.items():
        if not key_fits(certificate_file, bytes(files[certificate_file]), key_file, bytes(files[key_file])):
            raise DamagedBackup(f"{key_file} is not the key of {certificate_file}")


def signs_its_nodes(files: Mapping[str, bytes | bytearray]) -> bool:
    """Whether the cluster's root signed the certificate of the node that the files were read on.

    Not so while a swarm changes its root (`docker swarm ca --rotate`), or when UCP's copy of it is an old one.
    """
    root = ROOTS[CLUSTER_ROOT]
    return is_signed_by(NODE_FILE, bytes(files[NODE_FILE]), root, bytes(files[root]))
