"""The backups' part of `dockeree status`: the latest one, and whether it still is what the cluster would need."""

from __future__ import annotations

from dataclasses import dataclass

from dockeree.aws import buckets
from dockeree.backup.catalogue import Record, find_latest
from dockeree.context import Cluster
from dockeree.errors import AwsError, DockereeError
from dockeree.ssh.remote import Remote
from dockeree.steps.root_ca import read_fingerprints
from dockeree.steps.storage import backup_bucket
from dockeree.workflows.backup_ca import is_same_trust
from dockeree.workflows.status_document import BackupStatus

MAKE_ONE = "make one: dockeree backup-ca"


@dataclass(frozen=True)
class SeenBackups:
    """The latest backup in the bucket, or why it could not be looked for."""

    latest: Record | None = None
    trouble: str = ""


def see_backups(cluster: Cluster) -> SeenBackups:
    """Look into the bucket. Whoever may not look into it can see the rest of the status all the same."""
    if not cluster.config.ucp.enabled:
        return SeenBackups()
    try:
        bucket = backup_bucket(cluster)
        if buckets.find_tags(cluster.aws, bucket) is None:
            return SeenBackups()
        return SeenBackups(find_latest(cluster.aws, bucket))
    except AwsError as error:
        return SeenBackups(trouble=error.message)


def backup_status(cluster: Cluster, seen: SeenBackups, manager: Remote | None) -> BackupStatus | None:
    """The latest backup against the roots that `manager` has now; None without a backup."""
    if seen.latest is None:
        return None
    now = None
    if manager is not None:
        try:
            now = read_fingerprints(manager)
        except DockereeError as error:
            cluster.report.log(f"the root CAs cannot be read: {error.message}")
    manifest = seen.latest.manifest
    return BackupStatus(manifest.id, manifest.created_at, is_same_trust(seen.latest, now))


def backup_warnings(cluster: Cluster, seen: SeenBackups, latest: BackupStatus | None) -> list[str]:
    """What to do about the backups. None of it makes a cluster less healthy."""
    if not cluster.config.ucp.enabled:
        return []
    if cluster.config.backup.skip:
        return ["the root CAs are not backed up: backup.skip is set"]
    if seen.trouble:
        return [f"the backups of the root CAs cannot be looked at: {seen.trouble}"]
    if latest is None:
        return [f"there is no backup of the root CAs; {MAKE_ONE}"]
    if latest.same_trust is False:
        return [f"the root CAs are others than those of the latest backup {latest.id}; {MAKE_ONE}"]
    return []
