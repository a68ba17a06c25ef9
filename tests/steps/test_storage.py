"""The cluster's buckets as steps: made when they are needed, kept or deleted, and who may do what in them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.cloud import Cloud, changing

from dockeree.aws import roles
from dockeree.aws.buckets import find_tags
from dockeree.context import Cluster
from dockeree.errors import PreflightError
from dockeree.steps.access import CreateRoles
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of
from dockeree.steps.root_ca import check_keys
from dockeree.steps.runner import run_steps, undo_steps
from dockeree.steps.storage import STORAGE, backup_bucket, check_buckets, find_buckets, image_bucket
from dockeree.workflows.buckets import delete_buckets, look_at_buckets

STEPS = (ClaimCluster, *STORAGE)
WITH_BACKUPS: dict[str, Any] = {"backup": {"recipients": ["age1" + "q" * 58]}}


def kinds(cluster: Cluster) -> list[str]:
    return [bucket.kind for bucket in find_buckets(cluster)]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (WITH_BACKUPS, ["backups", "images"]),
        ({"backup": {"skip": True}}, ["images"]),
        (WITH_BACKUPS | {"dtr": {"enabled": False}}, ["backups"]),
        (WITH_BACKUPS | {"ucp": {"enabled": False}}, []),
    ],
)
def test_each_bucket_is_made_when_something_needs_it(cloud: Cloud, config: Any, expected: list[str]) -> None:
    cluster = cloud.cluster(**config)
    run_steps(cluster, STEPS)
    assert kinds(cluster) == expected
    assert changing(cloud.calls(lambda: run_steps(cloud.cluster(**config), STEPS))) == []


def test_the_way_down_keeps_both_unless_told_and_the_next_cluster_finds_them(cloud: Cloud) -> None:
    cluster = cloud.cluster(**WITH_BACKUPS)
    run_steps(cluster, STEPS)
    s3 = cloud.api.client("s3")
    s3.put_object(Bucket=backup_bucket(cluster).name, Key="ca/20261124T120000Z-aaaaaa.json", Body=b"{}")
    assert not undo_steps(cluster, STEPS).changed
    removed, kept = look_at_buckets(cluster)
    assert removed == ()
    assert kept == (
        "the bucket dockeree-demo-123456789012-us-east-1-backups (1 CA backup): --delete-backups deletes it",
        "the bucket dockeree-demo-123456789012-us-east-1-images: --delete-images deletes it",
    )
    # A later cluster of that name, with an id of its own.
    cloud.api.client("ssm").delete_parameter(Name="/dockeree/demo/cluster")
    later = cloud.cluster(folder=cloud.folder / "later", **WITH_BACKUPS)
    (cloud.folder / "later").mkdir()
    run_steps(later, STEPS)
    assert later.id != cluster.id
    assert find_tags(later.aws, backup_bucket(later)) == owner_of(later).tags("backups")
    assert s3.get_object(Bucket=backup_bucket(later).name, Key="ca/20261124T120000Z-aaaaaa.json")["Body"].read()


@pytest.mark.parametrize("deletes", [{"backups"}, {"images"}, {"backups", "images"}])
def test_what_is_to_be_deleted_goes_and_the_rest_stays(cloud: Cloud, deletes: set[str]) -> None:
    cluster = replace(cloud.cluster(**WITH_BACKUPS), deletes=frozenset(deletes))
    run_steps(cluster, STEPS)
    assert {item.id.rpartition("-")[2] for item in look_at_buckets(cluster)[0]} == deletes
    assert undo_steps(cluster, STEPS).changed
    assert set(kinds(cluster)) == {"backups", "images"} - deletes
    assert delete_buckets(cluster) == []
    assert not undo_steps(cluster, STEPS).changed


def test_who_may_not_look_at_buckets_is_told_so_and_goes_on(cloud: Cloud) -> None:
    cluster = cloud.cluster(**WITH_BACKUPS)
    run_steps(cluster, STEPS)
    denied = {"service": "s3", "action": "GetBucketTagging", "code": "AccessDenied", "status": 403, "times": 2}
    cloud.api.control("POST", "/lab/faults", denied)
    assert [text.partition(":")[0] for text in look_at_buckets(cluster)[1]] == [
        f"the bucket {bucket(cluster).name}, if there is one" for bucket in (backup_bucket, image_bucket)
    ]


def as_manager(cloud: Cloud, cluster: Cluster) -> Any:
    """An S3 client that may do what the managers' role may."""
    iam = cloud.api.client("iam")
    name = roles.role_name(owner_of(cluster), "manager")
    policy = iam.get_role_policy(RoleName=name, PolicyName="dockeree")["PolicyDocument"]
    iam.create_user(UserName="as-manager")
    iam.put_user_policy(UserName="as-manager", PolicyName="same", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="as-manager")["AccessKey"]
    return cloud.api.client("s3", credentials=(key["AccessKeyId"], key["SecretAccessKey"]))


def test_managers_put_backups_and_do_nothing_else_with_them(cloud: Cloud) -> None:
    cluster = cloud.cluster(**WITH_BACKUPS)
    run_steps(cluster, (*STEPS, CreateRoles))
    manager, bucket = as_manager(cloud, cluster), backup_bucket(cluster).name
    manager.put_object(Bucket=bucket, Key="ca/1.age", Body=b"x")
    refusals = [
        lambda: manager.put_object(Bucket=bucket, Key="elsewhere", Body=b"x"),
        lambda: manager.get_object(Bucket=bucket, Key="ca/1.age"),
        lambda: manager.list_objects_v2(Bucket=bucket),
        lambda: manager.list_object_versions(Bucket=bucket),
        lambda: manager.delete_object(Bucket=bucket, Key="ca/1.age"),
        lambda: manager.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}),
        lambda: manager.delete_bucket_policy(Bucket=bucket),
    ]
    for refused in refusals:
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()
    answer = manager.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "ca/1.age"}]})
    assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]


def test_managers_do_with_images_what_a_registry_does(cloud: Cloud) -> None:
    cluster = cloud.cluster(**WITH_BACKUPS)
    run_steps(cluster, (*STEPS, CreateRoles))
    manager, bucket = as_manager(cloud, cluster), image_bucket(cluster).name
    manager.put_object(Bucket=bucket, Key="docker/registry/v2/a", Body=b"x")
    assert manager.get_object(Bucket=bucket, Key="docker/registry/v2/a")["Body"].read() == b"x"
    manager.head_object(Bucket=bucket, Key="docker/registry/v2/a")
    assert manager.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    manager.get_bucket_location(Bucket=bucket)
    upload = manager.create_multipart_upload(Bucket=bucket, Key="b")["UploadId"]
    manager.upload_part(Bucket=bucket, Key="b", UploadId=upload, PartNumber=1, Body=b"y")
    assert manager.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert manager.list_parts(Bucket=bucket, Key="b", UploadId=upload)["Parts"]
    manager.abort_multipart_upload(Bucket=bucket, Key="b", UploadId=upload)
    manager.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "docker/registry/v2/a"}]})
    with pytest.raises(ClientError, match="AccessDenied"):
        manager.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize("dtr", [{"enabled": False}, {"s3": {"credentials": "user"}}, {"on": "dedicated"}])
def test_managers_without_a_registry_of_their_own_reach_no_images(cloud: Cloud, dtr: dict[str, Any]) -> None:
    cluster = cloud.cluster(dtr=dtr, **WITH_BACKUPS)
    run_steps(cluster, (*STEPS, CreateRoles))
    name = roles.role_name(owner_of(cluster), "manager")
    policy = cloud.api.client("iam").get_role_policy(RoleName=name, PolicyName="dockeree")["PolicyDocument"]
    assert "images" not in json.dumps(policy)


def test_workers_reach_no_bucket(cloud: Cloud) -> None:
    cluster = cloud.cluster(**WITH_BACKUPS)
    run_steps(cluster, (*STEPS, CreateRoles))
    name = roles.role_name(owner_of(cluster), "worker")
    policy = cloud.api.client("iam").get_role_policy(RoleName=name, PolicyName="dockeree")["PolicyDocument"]
    assert "s3" not in json.dumps(policy)


def test_a_name_too_long_for_a_bucket_is_said_before_anything_is_made(cloud: Cloud) -> None:
    class FarAway:
        """A region with a longer name than any so far."""

        def __init__(self, aws: Any) -> None:
            self._aws = aws
            self.region = "southsouthwest-antarctica-1"

        def identity(self) -> Any:
            return self._aws.identity()

    cluster = cloud.cluster(name="a23456789012", **WITH_BACKUPS)
    with pytest.raises(PreflightError, match="more than 63 characters"):
        check_buckets(replace(cluster, aws=FarAway(cluster.aws)))  # type: ignore[arg-type]
    check_buckets(cluster)


def test_without_keys_preflight_says_what_to_set(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKEREE_BACKUP_PASSPHRASE", raising=False)
    for config in ({"backup": {"skip": True}}, {"ucp": {"enabled": False}, "backup": {}}):
        check_keys(cloud.cluster(**config))
    with pytest.raises(Exception, match="cannot be locked") as caught:
        check_keys(cloud.cluster(backup={}))
    for word in ("backup.recipients", "DOCKEREE_BACKUP_PASSPHRASE", "backup.skip: true"):
        assert word in caught.value.hint  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="is no recipient"):
        check_keys(cloud.cluster(**WITH_BACKUPS))
    monkeypatch.setenv("DOCKEREE_BACKUP_PASSPHRASE", "a dozen words or so")
    check_keys(cloud.cluster(backup={}))
