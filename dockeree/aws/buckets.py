"""The cluster's two buckets: what they are called, how they are kept, and how they go.

Names are fixed, and bucket names are everybody's: somebody else's account may hold one. So every call says whose the
bucket must be (ExpectedBucketOwner), and S3 refuses when it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from dockeree.aws.bucket_settings import BUCKET_KINDS as BUCKET_KINDS
from dockeree.aws.bucket_settings import Bucket as Bucket
from dockeree.aws.bucket_settings import BucketKind as BucketKind
from dockeree.aws.bucket_settings import ensure_settings, set_tags
from dockeree.aws.tags import Owner, as_dict
from dockeree.aws.waits import Waits
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

T = TypeVar("T")

LONGEST_NAME = 63
FIRST_REGION = "us-east-1"
"""The one region that must not be named in the creating call."""
NEW_BUCKET_SECONDS = 180.0
"""How long S3 may answer OperationAborted for a name that was deleted a moment ago, or NoSuchBucket for a new one."""
MOST_PER_DELETION = 1000
"""DeleteObjects takes so many."""
MOST_EMPTYINGS = 20
"""How often a bucket is emptied again into which somebody still writes."""

_PASSING_CODES = frozenset({"NoSuchBucket", "OperationAborted"})


def cluster_bucket(aws: Aws, cluster: str, kind: BucketKind) -> Bucket:
    """The cluster's bucket of one kind in the account and region at work."""
    identity = aws.identity()
    name = f"dockeree-{cluster}-{identity.account}-{aws.region}-{kind}"
    return Bucket(kind, name, identity.account, identity.partition)


def find_tags(aws: Aws, bucket: Bucket) -> dict[str, str] | None:
    """The bucket's tags, None when there is no such bucket.

    Raises AwsError when it is another account's, or may not be looked at.
    """
    try:
        return as_dict(aws.s3.get_bucket_tagging(**bucket.place)["TagSet"])
    except AwsError as error:
        if error.code == "NoSuchTagSet":
            return {}
        if error.code == "NoSuchBucket":
            return None
        if error.code == "AccessDenied":
            raise _not_ours(bucket, error) from error
        raise


def ensure_bucket(aws: Aws, owner: Owner, bucket: Bucket, waits: Waits) -> bool:
    """The bucket, private, encrypted, reached by TLS alone, the backups' with versions; whether anything was changed.

    A bucket that an earlier cluster of the same name left is taken over as it is, with what is in it.
    """
    tags = find_tags(aws, bucket)
    changed = tags is None

    def retry(call: Callable[[], T]) -> T:
        return waits.retry(call, _is_passing, awaited=f"bucket {bucket.name}", timeout_seconds=NEW_BUCKET_SECONDS)

    if tags is None:
        tags = retry(partial(_create, aws, bucket, owner))
    if tags != owner.tags(bucket.kind):
        retry(partial(set_tags, aws, bucket, owner))
        changed = True
    return retry(partial(ensure_settings, aws, bucket)) or changed


def put_statement(bucket: Bucket, prefix: str) -> dict[str, Any]:
    """Lets a role write objects below `prefix`, and neither read, list nor delete any."""
    return {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"{bucket.arn}/{prefix}*"}


def registry_statements(bucket: Bucket) -> list[dict[str, Any]]:
    """What Docker's registry needs of its bucket, as the storage driver's documentation lists it."""
    of_the_bucket = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
    of_objects = [
        "s3:PutObject",
        "s3:GetObject",
        "s3:DeleteObject",
        "s3:ListMultipartUploadParts",
        "s3:AbortMultipartUpload",
    ]
    return [
        {"Effect": "Allow", "Action": of_the_bucket, "Resource": bucket.arn},
        {"Effect": "Allow", "Action": of_objects, "Resource": f"{bucket.arn}/*"},
    ]


def delete_bucket(aws: Aws, bucket: Bucket, waits: Waits) -> bool:
    """Delete the bucket with every version, delete marker and unfinished upload in it; True when it was there.

    Raises AwsError when something in it cannot be deleted, or somebody goes on writing.
    """
    for _ in range(MOST_EMPTYINGS):
        waits.cancelled()
        try:
            _empty(aws, bucket, waits)
            aws.s3.delete_bucket(**bucket.place)
        except AwsError as error:
            if error.code == "NoSuchBucket":
                return False
            if error.code == "BucketNotEmpty":
                continue  # something was written since
            raise
        return True
    raise AwsError(
        f"the bucket {bucket.name} fills as fast as it is emptied",
        "Stop what writes there, then run the same command again.",
        code="BucketNotEmpty",
    )


def _create(aws: Aws, bucket: Bucket, owner: Owner) -> dict[str, str]:
    """Create the bucket with its tags; the tags that it has then."""
    where: Any = {"Tags": owner.tag_list(bucket.kind)}
    if aws.region != FIRST_REGION:
        where["LocationConstraint"] = aws.region
    try:
        aws.s3.create_bucket(Bucket=bucket.name, CreateBucketConfiguration=where, ObjectOwnership="BucketOwnerEnforced")
    except AwsError as error:
        if error.code == "BucketAlreadyOwnedByYou":  # another operator was quicker, or an answer was lost
            return find_tags(aws, bucket) or {}
        if error.code == "BucketAlreadyExists":
            raise _not_ours(bucket, error) from error
        raise
    return owner.tags(bucket.kind)


def _empty(aws: Aws, bucket: Bucket, waits: Waits) -> None:
    uploads = aws.s3.get_paginator("list_multipart_uploads").paginate(**bucket.place)
    for upload in [upload for page in uploads for upload in page.get("Uploads", ())]:
        _abort(aws, bucket, upload)
    gone = 0
    for batch in _batches(aws, bucket):
        waits.cancelled()
        answer = aws.s3.delete_objects(**bucket.place, Delete={"Objects": batch, "Quiet": True})
        for failed in answer.get("Errors", ()):
            raise _not_deleted(bucket, failed)
        gone += len(batch)
        waits.detail(f"{gone} objects deleted")


def _abort(aws: Aws, bucket: Bucket, upload: Any) -> None:
    try:
        aws.s3.abort_multipart_upload(**bucket.place, Key=upload["Key"], UploadId=upload["UploadId"])
    except AwsError as error:
        if error.code != "NoSuchUpload":  # ended since
            raise


def _not_deleted(bucket: Bucket, failed: Any) -> AwsError:
    code, key = failed.get("Code", ""), failed.get("Key")
    return AwsError(
        f"s3:DeleteObjects: {code}: {key} in {bucket.name}: {failed.get('Message')}",
        "An object lock, or a policy of the account's, may hold it.",
        code=code,
        operation="DeleteObjects",
    )


def _batches(aws: Aws, bucket: Bucket) -> Iterator[list[Any]]:
    """Every version and delete marker, a page at a time: a page has 1000 of both together at most."""
    for page in aws.s3.get_paginator("list_object_versions").paginate(**bucket.place):
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        for start in range(0, len(found), MOST_PER_DELETION):
            part = found[start : start + MOST_PER_DELETION]
            yield [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in part]


def _is_passing(error: AwsError) -> bool:
    return error.code in _PASSING_CODES


def _not_ours(bucket: Bucket, error: AwsError) -> AwsError:
    return AwsError(
        f"the bucket {bucket.name} cannot be used: {error.message}",
        f"Either another account has taken this name, or the permission is missing. Whose it is: aws s3api head-bucket "
        f"--bucket {bucket.name} --expected-bucket-owner {bucket.account}. Another `name` gives other buckets.",
        code=error.code,
        operation=error.operation,
    )
