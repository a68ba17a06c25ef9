"""The buckets at the end of a cluster: which `destroy` deletes, which it keeps, and what is in those."""

from __future__ import annotations

from dockeree.aws import buckets
from dockeree.aws.buckets import Bucket
from dockeree.aws.leftovers import Resource
from dockeree.backup.catalogue import count_backups
from dockeree.context import Cluster
from dockeree.errors import AwsError
from dockeree.steps.storage import STORAGE

KIND = "bucket"


def look_at_buckets(cluster: Cluster) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
    """The cluster's buckets that are there: those that will be deleted, and those that are kept, in words.

    Raises AwsError when one that is to be deleted cannot be looked at.
    """
    removed, kept = [], []
    for kind in buckets.BUCKET_KINDS:
        bucket = buckets.cluster_bucket(cluster.aws, cluster.name, kind)
        if kind in cluster.deletes:
            removed += [Resource(KIND, bucket.name)] if buckets.find_tags(cluster.aws, bucket) is not None else []
        else:
            kept += _kept(cluster, bucket)
    return tuple(removed), tuple(kept)


def delete_buckets(cluster: Cluster) -> list[Resource]:
    """Delete the buckets that `destroy` was told to delete, also where no cluster is left; those still there after."""
    for step in STORAGE:
        step().undo(cluster)
    return list(look_at_buckets(cluster)[0]) if cluster.deletes else []


def _kept(cluster: Cluster, bucket: Bucket) -> list[str]:
    try:
        if buckets.find_tags(cluster.aws, bucket) is None:
            return []
        return [f"the bucket {bucket.name}{_contents(cluster, bucket)}: --delete-{bucket.kind} deletes it"]
    except AwsError as error:
        # Whoever may not look at buckets can take the rest of a cluster away all the same.
        return [f"the bucket {bucket.name}, if there is one: {error.message}"]


def _contents(cluster: Cluster, bucket: Bucket) -> str:
    if bucket.kind != "backups":
        return ""
    count = count_backups(cluster.aws, bucket)
    return f" ({count} CA backup{'' if count == 1 else 's'})"
