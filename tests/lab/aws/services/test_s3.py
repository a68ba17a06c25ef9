"""S3: what a new bucket is, and who may have its name."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dockeree.lab.aws.policies import Ask, Decision, evaluate

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


def statement(effect: str, actions: Any, resources: Any, principal: Any = None, **condition: Any) -> dict[str, Any]:
    stated = {"Effect": effect, "Action": actions, "Resource": resources}
    stated |= {"Principal": principal} if principal else {}
    return stated | ({"Condition": condition} if condition else {})


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


TLS_ONLY = statement(
    "Deny", "s3:*", ["arn:aws:s3:::backups", "arn:aws:s3:::backups/*"], "*", Bool={"aws:SecureTransport": "false"}
)


def test_tags_of_the_creating_call(api, s3, refused, user_client):
    tags = [{"Key": "dockeree:cluster", "Value": "demo"}, {"Key": "note", "Value": ""}]
    s3.create_bucket(Bucket="backups", CreateBucketConfiguration={"Tags": tags})
    assert s3.get_bucket_tagging(Bucket="backups")["TagSet"] == tags
    ireland = api.client("s3", "eu-west-1")
    there = {"LocationConstraint": "eu-west-1", "Tags": tags}
    ireland.create_bucket(Bucket="irish", CreateBucketConfiguration=there)
    assert ireland.get_bucket_tagging(Bucket="irish")["TagSet"] == tags
    for wrong in ([tags[0], tags[0]], [{"Key": "aws:own", "Value": ""}]):
        with refused("InvalidTag"):
            s3.create_bucket(Bucket="wrong", CreateBucketConfiguration={"Tags": wrong})
    someone = user_client("s3", document(statement("Allow", "s3:CreateBucket", "*")))
    with refused("AccessDenied"):
        someone.create_bucket(Bucket="tagged", CreateBucketConfiguration={"Tags": tags})
    someone.create_bucket(Bucket="bare")


def test_another_owner_than_expected_is_refused(s3, refused):
    s3.create_bucket(Bucket="backups")
    s3.put_object(Bucket="backups", Key="k", Body=b"x", ExpectedBucketOwner="123456789012")
    for call in (
        lambda **owner: s3.put_object(Bucket="backups", Key="k", Body=b"x", **owner),
        lambda **owner: s3.get_object(Bucket="backups", Key="k", **owner),
        lambda **owner: s3.get_bucket_tagging(Bucket="backups", **owner),
        lambda **owner: s3.list_objects_v2(Bucket="backups", **owner),
    ):
        with refused("AccessDenied"):
            call(ExpectedBucketOwner="111122223333")


def test_an_upload_that_is_not_what_its_sha256_says_is_refused(s3, refused):
    s3.create_bucket(Bucket="backups")
    right, wrong = (base64.b64encode(hashlib.sha256(text).digest()).decode() for text in (b"root", b"other"))
    with refused("BadDigest"):
        s3.put_object(Bucket="backups", Key="k", Body=b"root", ChecksumAlgorithm="SHA256", ChecksumSHA256=wrong)
    assert "Contents" not in s3.list_objects_v2(Bucket="backups")
    s3.put_object(Bucket="backups", Key="k", Body=b"root", ChecksumAlgorithm="SHA256", ChecksumSHA256=right)
    answer = s3.get_object(Bucket="backups", Key="k", ChecksumMode="ENABLED")
    assert answer["ChecksumSHA256"] == right
    assert answer["Body"].read() == b"root"


def test_a_policy_that_forbids_plain_http_lets_https_through(s3):
    """The lab's endpoint stands for AWS's HTTPS one; moto alone would refuse every upload here."""
    s3.create_bucket(Bucket="backups")
    s3.put_bucket_policy(Bucket="backups", Policy=document(TLS_ONLY))
    s3.put_object(Bucket="backups", Key="k", Body=b"x")
    assert s3.get_object(Bucket="backups", Key="k")["Body"].read() == b"x"
    s3.delete_objects(Bucket="backups", Delete={"Objects": [{"Key": "k"}]})
    assert "Contents" not in s3.list_objects_v2(Bucket="backups")
    for secure, expected in (("true", Decision.NOT_ALLOWED), ("false", Decision.DENIED)):
        ask = Ask("s3:PutObject", "arn:aws:s3:::backups/k", {"aws:securetransport": (secure,)})
        assert evaluate([document(TLS_ONLY)], ask) is expected


def test_a_bucket_policy_denies_and_allows_whom_it_names(s3, user_client, refused):
    s3.create_bucket(Bucket="backups")
    s3.put_object(Bucket="backups", Key="k", Body=b"x")
    someone = user_client("s3", document(statement("Allow", "s3:PutObject", "*")), name="someone")
    with refused("AccessDenied"):
        someone.get_object(Bucket="backups", Key="k")
    named = {"AWS": "arn:aws:iam::123456789012:user/someone"}
    s3.put_bucket_policy(
        Bucket="backups",
        Policy=document(
            statement("Allow", "s3:GetObject", "arn:aws:s3:::backups/k", named),
            statement("Deny", "s3:PutObject", "arn:aws:s3:::backups/ca/*", named),
        ),
    )
    assert someone.get_object(Bucket="backups", Key="k")["Body"].read() == b"x"
    someone.put_object(Bucket="backups", Key="other", Body=b"x")
    with refused("AccessDenied"):
        someone.put_object(Bucket="backups", Key="ca/1.age", Body=b"x")
    with refused("AccessDenied"):
        someone.get_object(Bucket="backups", Key="other")
    s3.put_object(Bucket="backups", Key="ca/1.age", Body=b"x")


def test_each_of_many_objects_is_judged_by_itself(s3, user_client):
    s3.create_bucket(Bucket="images")
    for key in ("own/a", "own/b", "other"):
        s3.put_object(Bucket="images", Key=key, Body=b"x")
    someone = user_client("s3", document(statement("Allow", "s3:DeleteObject", "arn:aws:s3:::images/own/*")))
    objects = {"Objects": [{"Key": key} for key in ("own/a", "own/b", "other")]}
    answer = someone.delete_objects(Bucket="images", Delete=objects)
    assert {item["Key"] for item in answer["Deleted"]} == {"own/a", "own/b"}
    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [("other", "AccessDenied")]
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="images")["Contents"]] == ["other"]


def test_head_of_a_bucket_needs_the_right_to_list_it(s3, user_client, refused):
    s3.create_bucket(Bucket="images")
    someone = user_client("s3", document(statement("Allow", "s3:ListBucket", "arn:aws:s3:::images")), name="lister")
    someone.head_bucket(Bucket="images")
    other = user_client("s3", document(statement("Allow", "s3:GetObject", "*")), name="reader")
    with refused("403"):
        other.head_bucket(Bucket="images")
