"""Storage: the bucket of the root CAs' backups and the bucket of the registry's images.

Both outlive the cluster unless `destroy` is told otherwise (`Cluster.deletes`), and the next cluster of the same name
takes them over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dockeree.aws import buckets
from dockeree.aws.buckets import Bucket, BucketKind
from dockeree.backup.catalogue import PREFIX
from dockeree.errors import PreflightError
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of, waits_of
from dockeree.steps.step import Step

if TYPE_CHECKING:
    from dockeree.context import Cluster


class CreateBackupBucket(Step):
    """The bucket of the root CAs' backups: versions kept, written by operators, put to and never read by managers."""

    title = "Create the bucket of the CA backups"
    undo_title = "Delete the bucket of the CA backups"
    group = "storage"
    after = (ClaimCluster,)

    def run(self, cluster: Cluster) -> bool:
        return has_backups(cluster) and _ensure(cluster, "backups")

    def undo(self, cluster: Cluster) -> bool:
        return _delete(cluster, "backups")


class CreateImageBucket(Step):
    """The bucket of the registry's images, which managers read and write."""

    title = "Create the bucket of the images"
    undo_title = "Delete the bucket of the images"
    group = "storage"
    after = (ClaimCluster,)

    def run(self, cluster: Cluster) -> bool:
        return cluster.config.has_dtr and _ensure(cluster, "images")

    def undo(self, cluster: Cluster) -> bool:
        return _delete(cluster, "images")


STORAGE: tuple[type[Step], ...] = (CreateBackupBucket, CreateImageBucket)


def has_backups(cluster: Cluster) -> bool:
    """Whether there are root CAs to back up, and nobody has decided to go without."""
    return cluster.config.ucp.enabled and not cluster.config.backup.skip


def backup_bucket(cluster: Cluster) -> Bucket:
    """The bucket of the backups, there or not."""
    return buckets.cluster_bucket(cluster.aws, cluster.name, "backups")


def image_bucket(cluster: Cluster) -> Bucket:
    """The bucket of the images, there or not."""
    return buckets.cluster_bucket(cluster.aws, cluster.name, "images")


def bucket_statements(cluster: Cluster) -> list[dict[str, Any]]:
    """What the managers' role may do in the buckets that this configuration has."""
    statements = [buckets.put_statement(backup_bucket(cluster), PREFIX)] if has_backups(cluster) else []
    if cluster.config.has_dtr and cluster.config.dtr.s3.credentials == "role" and cluster.config.dtr.on == "managers":
        statements += buckets.registry_statements(image_bucket(cluster))
    return statements


def find_buckets(cluster: Cluster) -> list[Bucket]:
    """Those of the cluster's buckets that are there. Raises AwsError."""
    candidates = [buckets.cluster_bucket(cluster.aws, cluster.name, kind) for kind in buckets.BUCKET_KINDS]
    return [bucket for bucket in candidates if buckets.find_tags(cluster.aws, bucket) is not None]


def check_buckets(cluster: Cluster) -> None:
    """Whether the buckets that this configuration needs can be this cluster's.

    Raises PreflightError for a name too long for S3, AwsError for one that another account has taken.
    """
    needed = {"backups": has_backups(cluster), "images": cluster.config.has_dtr}
    for kind in buckets.BUCKET_KINDS:
        bucket = buckets.cluster_bucket(cluster.aws, cluster.name, kind)
        if needed[kind] and len(bucket.name) > buckets.LONGEST_NAME:
            raise PreflightError(f"the bucket {bucket.name} would have more than {buckets.LONGEST_NAME} characters")
        if needed[kind]:
            buckets.find_tags(cluster.aws, bucket)


def _ensure(cluster: Cluster, kind: BucketKind) -> bool:
    bucket = buckets.cluster_bucket(cluster.aws, cluster.name, kind)
    changed = buckets.ensure_bucket(cluster.aws, owner_of(cluster), bucket, waits_of(cluster))
    cluster.state.put(f"bucket-{kind}", bucket.name)
    return changed


def _delete(cluster: Cluster, kind: BucketKind) -> bool:
    """Delete the bucket when `destroy` was told to; else it is kept with what is in it."""
    if kind not in cluster.deletes:
        return False
    return buckets.delete_bucket(
        cluster.aws, buckets.cluster_bucket(cluster.aws, cluster.name, kind), waits_of(cluster)
    )
