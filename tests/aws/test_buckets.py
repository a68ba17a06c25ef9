"""The cluster's buckets over the lab's S3: made right, found again, and gone with everything in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.s3.models import s3_backends
from support.cloud import Cloud, changing

from dockeree.aws import buckets, objects
from dockeree.aws.bucket_settings import tls_only_policy
from dockeree.aws.buckets import Bucket, cluster_bucket, delete_bucket, ensure_bucket, find_tags
from dockeree.aws.tags import Owner
from dockeree.aws.waits import Waits
from dockeree.errors import AwsError
from dockeree.lab.aws.policies import Ask, Decision, evaluate

OWNER = Owner("demo", "0000000a", (("team", "platform"),))
PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    return cloud.api.client("s3")


def bucket_of(cloud: Cloud, kind: Any = "backups", region: str = "us-east-1") -> Bucket:
    return cluster_bucket(cloud.aws(region), "demo", kind)


def test_names_fit_where_the_longest_cluster_meets_the_longest_region(cloud: Cloud) -> None:
    assert bucket_of(cloud).name == "dockeree-demo-123456789012-us-east-1-backups"
    longest = cluster_bucket(cloud.aws("ap-southeast-2"), "a23456789012", "backups")
    assert len(longest.name) <= buckets.LONGEST_NAME


@pytest.mark.parametrize("kind", buckets.BUCKET_KINDS)
def test_a_bucket_is_private_encrypted_and_reached_by_tls_alone(cloud: Cloud, s3: Any, kind: Any) -> None:
    bucket = bucket_of(cloud, kind)
    # As buckets were before 2023: nothing by itself.
    assert ensure_bucket(cloud.aws(), OWNER, bucket, Waits())
    s3.delete_public_access_block(Bucket=bucket.name)
    s3.delete_bucket_ownership_controls(Bucket=bucket.name)
    s3.delete_bucket_policy(Bucket=bucket.name)
    assert ensure_bucket(cloud.aws(), OWNER, bucket, Waits())
    assert s3.get_public_access_block(Bucket=bucket.name)["PublicAccessBlockConfiguration"] == PRIVATE
    [rule] = s3.get_bucket_ownership_controls(Bucket=bucket.name)["OwnershipControls"]["Rules"]
    assert rule == {"ObjectOwnership": "BucketOwnerEnforced"}
    [rule] = s3.get_bucket_encryption(Bucket=bucket.name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    policy = s3.get_bucket_policy(Bucket=bucket.name)["Policy"]
    assert json.loads(policy) == tls_only_policy(bucket)
    for arn, action in ((f"{bucket.arn}/ca/x.age", "s3:GetObject"), (bucket.arn, "s3:DeleteBucket")):
        plain, secure = ({"aws:securetransport": (word,)} for word in ("false", "true"))
        assert evaluate([policy], Ask(action, arn, plain)) is Decision.DENIED
        assert evaluate([policy], Ask(action, arn, secure)) is Decision.NOT_ALLOWED
    versioning = s3.get_bucket_versioning(Bucket=bucket.name).get("Status")
    assert versioning == ("Enabled" if kind == "backups" else None)
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket.name)["TagSet"]}
    assert tags == {"Name": f"demo-{kind}", "team": "platform", "dockeree:cluster": "demo",
                    "dockeree:id": "0000000a", "dockeree:role": kind}  # fmt: skip


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_tags_come_with_the_creating_call_and_a_second_time_changes_nothing(cloud: Cloud, region: str) -> None:
    aws, bucket = cloud.aws(region), bucket_of(cloud, region=region)
    calls = changing(cloud.calls(lambda: ensure_bucket(aws, OWNER, bucket, Waits())))
    assert calls[0] == "s3 CreateBucket"
    assert "s3 PutBucketTagging" not in calls
    again: list[bool] = []
    assert changing(cloud.calls(lambda: again.append(ensure_bucket(aws, OWNER, bucket, Waits())))) == []
    assert again == [False]


def test_a_bucket_that_an_earlier_cluster_left_is_taken_over_with_what_is_in_it(cloud: Cloud) -> None:
    aws, bucket = cloud.aws(), bucket_of(cloud)
    ensure_bucket(aws, OWNER, bucket, Waits())
    objects.put_object(aws, bucket, "ca/1.age", b"kept", "application/octet-stream")
    later = Owner("demo", "0000000b")
    assert ensure_bucket(aws, later, bucket, Waits())
    assert find_tags(aws, bucket) == later.tags("backups")
    assert objects.get_object(aws, bucket, "ca/1.age", 100) == b"kept"


def test_a_name_in_another_account_is_said_so(cloud: Cloud) -> None:
    aws, bucket = cloud.aws(), bucket_of(cloud)
    s3_backends["111122223333"]["aws"].create_bucket(bucket.name, "us-east-1")
    with pytest.raises(AwsError, match=f"the bucket {bucket.name} cannot be used") as caught:
        ensure_bucket(aws, OWNER, bucket, Waits())
    assert "another account" in caught.value.hint
    with pytest.raises(AwsError):
        objects.put_object(aws, bucket, "k", b"x", "text/plain")


def test_an_answer_lost_on_the_way_and_a_name_still_being_deleted(cloud: Cloud) -> None:
    """CreateBucket was carried out and its answer lost: the next attempt finds the bucket its own."""
    aws, bucket = cloud.aws("eu-west-1"), bucket_of(cloud, region="eu-west-1")
    aborted = {"service": "s3", "action": "CreateBucket", "code": "OperationAborted", "status": 409}
    cloud.api.control("POST", "/lab/faults", aborted)
    owned = {"service": "s3", "action": "PutBucketVersioning", "code": "NoSuchBucket", "status": 404}
    cloud.api.control("POST", "/lab/faults", owned)
    waits = Waits(cloud.cluster().clock)
    assert ensure_bucket(aws, OWNER, bucket, waits)
    assert find_tags(aws, bucket) == OWNER.tags("backups")
    assert aws.s3.get_bucket_versioning(**bucket.place)["Status"] == "Enabled"


def test_another_operator_was_quicker(cloud: Cloud) -> None:
    aws, bucket = cloud.aws("eu-west-1"), bucket_of(cloud, region="eu-west-1")
    there = {"LocationConstraint": "eu-west-1"}
    cloud.api.client("s3", "eu-west-1").create_bucket(Bucket=bucket.name, CreateBucketConfiguration=there)
    assert buckets._create(aws, bucket, OWNER) == {}
    assert ensure_bucket(aws, OWNER, bucket, Waits())
    assert find_tags(aws, bucket) == OWNER.tags("backups")


def test_deleting_takes_versions_markers_and_unfinished_uploads_page_by_page(
    cloud: Cloud, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "7")
    aws, bucket = cloud.aws(), bucket_of(cloud)
    ensure_bucket(aws, OWNER, bucket, Waits())
    for number in range(12):
        for _version in range(2):
            s3.put_object(Bucket=bucket.name, Key=f"ca/{number:02}", Body=b"x")
    for number in range(5):
        s3.delete_object(Bucket=bucket.name, Key=f"ca/{number:02}")
    uploads = [s3.create_multipart_upload(Bucket=bucket.name, Key=f"blobs/{n}")["UploadId"] for n in range(3)]
    s3.upload_part(Bucket=bucket.name, Key="blobs/0", UploadId=uploads[0], PartNumber=1, Body=b"part")
    calls = cloud.calls(lambda: delete_bucket(aws, bucket, Waits()))
    assert calls.count("s3 ListObjectVersions") >= 4, "29 versions and markers, 7 a page"
    assert calls.count("s3 AbortMultipartUpload") == 3
    assert find_tags(aws, bucket) is None
    assert not delete_bucket(aws, bucket, Waits()), "already gone is fine"


def test_what_somebody_writes_meanwhile_goes_too_and_a_lock_is_named(cloud: Cloud, s3: Any) -> None:
    aws, bucket = cloud.aws(), bucket_of(cloud, "images")
    ensure_bucket(aws, OWNER, bucket, Waits())
    written: list[str] = []

    def write(service: str, operation: str) -> None:
        if operation == "DeleteBucket" and not written:
            written.append("late")
            s3.put_object(Bucket=bucket.name, Key="late", Body=b"x")

    aws.observers.append(write)
    assert delete_bucket(aws, bucket, Waits())
    assert written == ["late"]

    s3.create_bucket(Bucket=bucket.name, ObjectLockEnabledForBucket=True)
    s3.put_object(
        Bucket=bucket.name, Key="held", Body=b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate="2099-01-01"
    )
    with pytest.raises(AwsError, match=f"AccessDenied: held in {bucket.name}") as caught:
        delete_bucket(aws, bucket, Waits())
    assert "lock" in caught.value.hint


def test_objects_are_read_whole_or_not_at_all(cloud: Cloud, s3: Any) -> None:
    aws, bucket = cloud.aws(), bucket_of(cloud)
    ensure_bucket(aws, OWNER, bucket, Waits())
    objects.put_object(aws, bucket, "k", b"x" * 1000, "text/plain")
    assert objects.get_object(aws, bucket, "k", 1000) == b"x" * 1000
    assert objects.get_object(aws, bucket, "none", 1000) is None
    with pytest.raises(AwsError, match="more than 999"):
        objects.get_object(aws, bucket, "k", 999)
    # What S3 keeps is damaged: its own checksum shows it, three times.
    with cloud.api.lab.lock:
        s3_backends["123456789012"]["aws"].get_object(bucket.name, "k").value = b"y" + b"x" * 999
    with pytest.raises(AwsError, match="checksum") as caught:
        objects.get_object(aws, bucket, "k", 1000)
    assert caught.value.code == "FlexibleChecksumError"
    asked = [call for call in cloud.api.control("GET", "/lab/calls") if call["action"] == "GetObject"]
    assert len(asked) == 3 + objects.DOWNLOADS
