"""The root CAs of a running cluster, read off a manager, and their backup in S3.

The keys are in this process's memory alone, between one SSH connection and one upload, and never on a disk here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dockeree import __version__
from dockeree.aws import instances
from dockeree.aws.clusters import find_claim
from dockeree.aws.tags import Owner
from dockeree.backup import archive, catalogue, encryption, manifest
from dockeree.backup.catalogue import Record
from dockeree.backup.encryption import Keys
from dockeree.backup.errors import BackupError, DamagedBackup
from dockeree.backup.manifest import Versions
from dockeree.errors import DockereeError
from dockeree.node import root_ca
from dockeree.redaction import register_secret
from dockeree.ssh.remote import Remote
from dockeree.steps.reaching import find_swarm_manager
from dockeree.steps.step import Step
from dockeree.steps.storage import CreateBackupBucket, backup_bucket, has_backups
from dockeree.steps.ucp_settings import AwaitControllers, RepublishJoin

if TYPE_CHECKING:
    from dockeree.context import Cluster

NOT_SIGNED = (
    "the certificate of {node} was not signed by the root CA that UCP keeps: the swarm may be changing its root now. "
    "Take another backup when `docker swarm ca --rotate` has ended: dockeree backup-ca"
)


class BackUpRootCa(Step):
    """A backup when the root CAs are not those of the latest one; without UCP, or with `backup.skip`, none."""

    title = "Back up the root CAs"
    group = "backup"
    after = (CreateBackupBucket, AwaitControllers, RepublishJoin)  # the last: no root is changing any more

    def run(self, cluster: Cluster) -> bool:
        if not has_backups(cluster):
            return False
        latest = catalogue.find_latest(cluster.aws, backup_bucket(cluster))
        manager = choose_manager(cluster)
        if latest is not None and latest.manifest.fingerprints == read_fingerprints(manager.remote):
            cluster.detail(f"{latest.id} holds them already")
            return False
        back_up(cluster, manager, keys_of(cluster))
        return True


@dataclass(frozen=True)
class Manager:
    """The manager that the root CAs are read on, and what its engine says."""

    remote: Remote
    cluster_id: str
    swarm_id: str
    engine_version: str


@dataclass(frozen=True)
class Backup:
    """A backup that was made. `is_opened`: it was read back, opened and compared, not only hashed."""

    record: Record
    is_opened: bool


def keys_of(cluster: Cluster) -> Keys:
    """What locks and opens this cluster's backups: configured, or in the environment. Raises BackupError."""
    keys = encryption.keys_from(cluster.config.backup.recipients, os.environ)
    if keys.passphrase is not None:
        register_secret(keys.passphrase)
    return keys


def check_keys(cluster: Cluster) -> None:
    """Whether `up` can lock a backup at its end. Raises BackupError that says what to set."""
    if not has_backups(cluster):
        return
    keys = keys_of(cluster)
    encryption.check_recipients(keys.recipients)
    if not keys.can_lock:
        raise BackupError("the root CAs' backup cannot be locked", encryption.SET_ONE)


def choose_manager(cluster: Cluster) -> Manager:
    """A manager that answers: all of them hold the same root CAs. Raises DockereeError when none does."""
    claim = find_claim(cluster.aws, cluster.name)
    if claim is None:
        raise DockereeError(f"there is no cluster {cluster.name} in {cluster.aws.region}", "Create it: dockeree up")
    found = instances.find_managers(cluster.aws, Owner(cluster.name, claim.id))
    remote, info = find_swarm_manager(cluster, [manager for _, manager in sorted(found.items())])
    return Manager(remote, claim.id, info.swarm.cluster_id, info.version)


def read_fingerprints(manager: Remote) -> dict[str, str]:
    """The fingerprints of the roots that a manager has now, by name; no key is read. Raises DockereeError."""
    files = root_ca.read_files(manager, root_ca.CERTIFICATE_FILES)
    return manifest.fingerprints_of(manifest.read_all(files))


def back_up(cluster: Cluster, manager: Manager, keys: Keys, tell: Callable[[str], None] | None = None) -> Backup:
    """Read the root CAs, lock them, upload them, read them back and compare.

    The record is written when everything else has gone well, so a failure leaves no backup that looks whole. `tell`
    is told what is done at each moment. Raises DockereeError.
    """
    tell = tell or cluster.detail
    tell(f"reading them on {manager.remote.name}")
    files = root_ca.read_files(manager.remote, root_ca.ALL_FILES)
    try:
        return _lock_and_store(cluster, manager, keys, files, tell)
    finally:
        root_ca.wipe(*files.values())


def _lock_and_store(
    cluster: Cluster, manager: Manager, keys: Keys, files: Mapping[str, bytearray], tell: Callable[[str], None]
) -> Backup:
    archive.check_keys(files)
    if not archive.signs_its_nodes(files):
        cluster.report.warn(NOT_SIGNED.format(node=manager.remote.name))
    made = manifest.describe(
        files,
        cluster=cluster.name,
        cluster_id=manager.cluster_id,
        swarm_id=manager.swarm_id,
        versions=_versions(manager),
        dockeree_version=__version__,
        moment=datetime.now(UTC),
    )
    packed = archive.pack(made, files)
    try:
        tell("locking them")
        locked = encryption.encrypt(packed, keys)
        cluster.check_interrupted()
        tell(f"uploading {made.id}")
        bucket = backup_bucket(cluster)
        record, read_back = catalogue.store_archive(cluster.aws, bucket, made, locked)
        is_opened = keys.can_open(read_back) and _opens_to(packed, read_back, keys)
        catalogue.store_record(cluster.aws, bucket, record)
        return Backup(record, is_opened)
    finally:
        root_ca.wipe(packed)


def _opens_to(packed: bytearray, locked: bytes, keys: Keys) -> bool:
    """Whether the archive opens to what was locked: True, or an error.

    An identity that is none of the recipients' is an error too: whoever set it believes that it opens the backups.
    """
    opened = encryption.decrypt(locked, keys)
    try:
        if opened != packed:
            raise DamagedBackup("the archive opens to something else than what was locked", "Run it again.")
    finally:
        root_ca.wipe(opened)
    return True


def _versions(manager: Manager) -> Versions:
    def version(command: str) -> str | None:
        return root_ca.parse_version(manager.remote.run(command, changes=False).stdout)

    return Versions(manager.engine_version or None, version(root_ca.UCP_IMAGE), version(root_ca.DTR_IMAGE))
