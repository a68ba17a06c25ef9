"""`dockeree backup-ca`: the root CAs' backups made, listed, proved and fetched."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockeree.aws import buckets
from dockeree.aws.tags import Owner
from dockeree.backup import archive, catalogue, encryption
from dockeree.backup.catalogue import Catalogue, Record
from dockeree.backup.encryption import Keys
from dockeree.backup.errors import BackupError, DamagedBackup
from dockeree.backup.manifest import check_id
from dockeree.context import Cluster
from dockeree.errors import DockereeError
from dockeree.node.root_ca import wipe
from dockeree.private_files import write_new_private_file
from dockeree.steps.found import waits_of
from dockeree.steps.root_ca import Backup, back_up, choose_manager, read_fingerprints
from dockeree.steps.storage import backup_bucket

BACK_UP = "backup/BackUp"
MAKE_ONE = "Make one: dockeree backup-ca"


@dataclass(frozen=True)
class Entry:
    """A backup in the list. `same_trust`: the roots are those that the cluster has now; None where none answers."""

    record: Record
    same_trust: bool | None

    def to_json(self) -> dict[str, Any]:
        """An item of `backup-ca list -o json`; keys are only ever added."""
        manifest = self.record.manifest
        versions = manifest.versions
        return {
            "id": manifest.id,
            "created_at": manifest.created_at,
            "size_bytes": self.record.size_bytes,
            "fingerprints": manifest.fingerprints,
            "versions": {"engine": versions.engine, "ucp": versions.ucp, "dtr": versions.dtr},
            "same_trust": self.same_trust,
        }


@dataclass(frozen=True)
class Listing:
    """Every backup, newest first, and what in the bucket is none."""

    entries: tuple[Entry, ...]
    catalogue: Catalogue
    bucket: str
    silence: str = ""
    """Why the cluster could not be asked for its roots."""


@dataclass(frozen=True)
class Found:
    """A backup as it lies in the bucket: its record, and its archive, still locked."""

    record: Record
    locked: bytes


@dataclass(frozen=True)
class Verification:
    """A backup that holds what it says. `signs_nodes`: its root signed the certificate of the node it was read on."""

    record: Record
    signs_nodes: bool


def make_backup(cluster: Cluster, keys: Keys) -> Backup:
    """Back the root CAs up now, whether they have changed or not.

    Raises BackupError, AwsError, SshError and whatever else keeps it from being whole: then there is no backup.
    """
    if not cluster.config.ucp.enabled:
        raise BackupError(f"{cluster.name} has no UCP: there are no root CAs of its own to back up")
    if not keys.can_lock:
        raise BackupError("the backup cannot be locked", encryption.SET_ONE)
    encryption.check_recipients(keys.recipients)
    began = time.monotonic()
    report = cluster.report
    report.plan([(BACK_UP, "Back up the root CAs", ())])
    report.started(BACK_UP)
    try:
        made = _make(cluster.for_step(BACK_UP), keys)
    except BaseException as error:
        report.failed(BACK_UP, time.monotonic() - began, error)
        raise
    report.finished(BACK_UP, time.monotonic() - began, changed=True)
    return made


def list_backups(cluster: Cluster) -> Listing:
    """Every backup, and whether the cluster, where it answers, has the same roots still. Raises AwsError."""
    bucket = backup_bucket(cluster)
    if buckets.find_tags(cluster.aws, bucket) is None:
        return Listing((), Catalogue(()), bucket.name)
    found = catalogue.list_backups(cluster.aws, bucket)
    now, silence = _fingerprints_now(cluster) if found.records else (None, "")
    entries = tuple(Entry(record, is_same_trust(record, now)) for record in found.records)
    return Listing(entries, found, bucket.name, silence)


def find(cluster: Cluster, backup_id: str | None) -> Found:
    """Download a backup: that of an id, or the newest one.

    Raises BackupError when there is none, DamagedBackup when it is not as it was written, AwsError.
    """
    bucket = backup_bucket(cluster)
    if buckets.find_tags(cluster.aws, bucket) is None:
        raise BackupError(f"there are no backups: there is no bucket {bucket.name}", MAKE_ONE)
    if backup_id is not None:
        record: Record | None = catalogue.read_record(cluster.aws, bucket, backup_id)
    else:
        record = catalogue.find_latest(cluster.aws, bucket)
    if record is None:
        raise BackupError(f"there are no backups in {bucket.name}", MAKE_ONE)
    return Found(record, catalogue.read_archive(cluster.aws, bucket, record))


def verify(found: Found, keys: Keys) -> Verification:
    """Open a backup, and compare every part with every other.

    Raises DamagedBackup that says which part is wrong; BackupError when it cannot be opened.
    """
    opened = encryption.decrypt(found.locked, keys)
    apart = archive.take_apart(opened)
    try:
        if apart.manifest != found.record.manifest:
            raise DamagedBackup(f"the record of {found.record.id} is not the manifest in its archive")
        archive.check(apart)
        return Verification(found.record, archive.signs_its_nodes(apart.files))
    finally:
        wipe(opened)
        apart.wipe()


def fetch(cluster: Cluster, backup_id: str, folder: Path) -> Path:
    """Write a backup's archive, locked as it is, to `ID.age` in `folder`: whole or not at all, 0600, a new file.

    Raises BackupError when there is such a file already, or it cannot be written; and as `find` does.
    """
    path = folder / f"{check_id(backup_id)}{catalogue.ARCHIVE_SUFFIX}"
    if os.path.lexists(path):
        raise _is_there(path)
    found = find(cluster, backup_id)
    try:
        write_new_private_file(path, found.locked)
    except FileExistsError:
        raise _is_there(path) from None
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror}") from error
    return path


def is_same_trust(record: Record, fingerprints: dict[str, str] | None) -> bool | None:
    """Whether a backup's roots are these; None where nobody could say which they are now."""
    return None if fingerprints is None else record.manifest.fingerprints == fingerprints


def _make(cluster: Cluster, keys: Keys) -> Backup:
    manager = choose_manager(cluster)
    bucket = backup_bucket(cluster)
    if buckets.find_tags(cluster.aws, bucket) is None:
        # `backup.skip` was set when the cluster was made; who asks for a backup now gets one.
        owner = Owner(cluster.name, manager.cluster_id, tuple(sorted(cluster.config.tags.items())))
        buckets.ensure_bucket(cluster.aws, owner, bucket, waits_of(cluster))
    return back_up(cluster, manager, keys)


def _fingerprints_now(cluster: Cluster) -> tuple[dict[str, str] | None, str]:
    try:
        return read_fingerprints(choose_manager(cluster).remote), ""
    except DockereeError as error:
        return None, error.message


def _is_there(path: Path) -> BackupError:
    return BackupError(f"{path} is there already, and stays as it is", f"Move it away: mv {path} {path}.old")
