"""S3: what a new bucket is, and who may have its name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


@pytest.fixture
def s3(api: Any) -> Any:
    return api.client("s3")


def policy(principal: Any = "*", condition: Any = None) -> str:
    statement = {
        "Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::backups/*"
    }  # fmt: skip
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_new_bucket_is_encrypted_and_private(s3):
    s3.create_bucket(Bucket="backups")
    (rule,) = s3.get_bucket_encryption(Bucket="backups")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.get_public_access_block(Bucket="backups")["PublicAccessBlockConfiguration"] == PRIVATE
    (ownership,) = s3.get_bucket_ownership_controls(Bucket="backups")["OwnershipControls"]["Rules"]
    assert ownership["ObjectOwnership"] == "BucketOwnerEnforced"
    s3.delete_bucket_encryption(Bucket="backups")
    assert s3.get_bucket_encryption(Bucket="backups")["ServerSideEncryptionConfiguration"]["Rules"] == [rule]


def test_a_public_policy_is_refused_while_blocked(s3, refused):
    s3.create_bucket(Bucket="backups")
    for principal in ("*", {"AWS": "*"}, {"AWS": ["*"]}):
        with refused("AccessDenied"):
            s3.put_bucket_policy(Bucket="backups", Policy=policy(principal))
    with refused("AccessDenied"):
        s3.put_bucket_policy(Bucket="backups", Policy=policy(condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}))
    s3.put_bucket_policy(Bucket="backups", Policy=policy({"AWS": "arn:aws:iam::123456789012:root"}))
    vpce = {"StringEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}}
    s3.put_bucket_policy(Bucket="backups", Policy=policy(condition=vpce))
    s3.delete_public_access_block(Bucket="backups")
    s3.put_bucket_policy(Bucket="backups", Policy=policy())


def test_a_malformed_policy_is_refused(s3, refused):
    s3.create_bucket(Bucket="backups")
    with refused("MalformedPolicy"):
        s3.put_bucket_policy(Bucket="backups", Policy="{]")


def test_public_acls_are_refused(s3, refused):
    s3.create_bucket(Bucket="backups")
    with refused("AccessDenied"):
        s3.put_bucket_acl(Bucket="backups", ACL="public-read")
    s3.delete_public_access_block(Bucket="backups")
    with refused("AccessControlListNotSupported"):
        s3.put_bucket_acl(Bucket="backups", ACL="public-read")


def test_a_bucket_with_versions_is_not_empty(s3, refused):
    s3.create_bucket(Bucket="backups")
    s3.put_bucket_versioning(Bucket="backups", VersioningConfiguration={"Status": "Enabled"})
    version_id = s3.put_object(Bucket="backups", Key="ca.tar", Body=b"root")["VersionId"]
    marker_id = s3.delete_object(Bucket="backups", Key="ca.tar")["VersionId"]
    assert "Contents" not in s3.list_objects_v2(Bucket="backups")
    with refused("BucketNotEmpty"):
        s3.delete_bucket(Bucket="backups")
    s3.delete_object(Bucket="backups", Key="ca.tar", VersionId=version_id)
    with refused("BucketNotEmpty"):
        s3.delete_bucket(Bucket="backups")
    s3.delete_object(Bucket="backups", Key="ca.tar", VersionId=marker_id)
    s3.delete_bucket(Bucket="backups")


def test_an_own_name_again(api, s3, refused):
    s3.create_bucket(Bucket="backups")
    s3.put_object(Bucket="backups", Key="kept", Body=b"x")
    s3.create_bucket(Bucket="backups")  # us-east-1 answers 200
    assert s3.get_object(Bucket="backups", Key="kept")["Body"].read() == b"x"
    ireland = api.client("s3", "eu-west-1")
    there = {"LocationConstraint": "eu-west-1"}
    ireland.create_bucket(Bucket="irish", CreateBucketConfiguration=there)
    with refused("BucketAlreadyOwnedByYou"):
        ireland.create_bucket(Bucket="irish", CreateBucketConfiguration=there)


def test_a_name_of_others(s3, refused):
    from moto.s3.models import s3_backends

    s3_backends["111122223333"]["aws"].create_bucket("taken", "us-east-1")
    with refused("BucketAlreadyExists"):
        s3.create_bucket(Bucket="taken")


def test_other_regions_need_their_location(api, refused):
    ireland = api.client("s3", "eu-west-1")
    with refused("IllegalLocationConstraintException"):
        ireland.create_bucket(Bucket="irish")


def test_object_lock_in_compliance_mode_binds_everybody(s3, refused):
    s3.create_bucket(Bucket="backups", ObjectLockEnabledForBucket=True)
    until = datetime.now(UTC) + timedelta(days=30)
    version_id = s3.put_object(
        Bucket="backups", Key="ca.tar", Body=b"root", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until
    )["VersionId"]
    with refused("AccessDenied"):
        s3.delete_object(Bucket="backups", Key="ca.tar", VersionId=version_id)
    with refused("AccessDenied"):
        s3.delete_object(Bucket="backups", Key="ca.tar", VersionId=version_id, BypassGovernanceRetention=True)
    s3.delete_object(Bucket="backups", Key="ca.tar")  # a delete marker: the version stays
    assert s3.get_object(Bucket="backups", Key="ca.tar", VersionId=version_id)["Body"].read() == b"root"
