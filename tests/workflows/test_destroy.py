"""Destroy, where it is not alone in the account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.cloud import Cloud

from dockeree.aws import leftovers
from dockeree.aws.tags import Owner
from dockeree.errors import DockereeError, StateLocked, StepsFailed
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of, vpc_of
from dockeree.steps.networking import CreateInternetGateway, CreateRouteTable, CreateSubnets, CreateVpc
from dockeree.steps.runner import run_steps
from dockeree.steps.storage import STORAGE
from dockeree.workflows.destroy import destroy, inventory

NETWORK = (ClaimCluster, CreateVpc, CreateInternetGateway, CreateSubnets, CreateRouteTable)


def test_nothing_there_is_nothing_to_do(cloud: Cloud) -> None:
    summary = destroy(cloud.cluster(), NETWORK)
    assert summary.removed == ()
    assert summary.left == ()
    assert not (cloud.folder / ".dockeree").exists()


def test_something_of_somebody_elses_in_the_network_is_named(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, NETWORK)
    subnet_id = cluster.state.get("subnet-a")
    ec2 = cloud.api.client("ec2")
    foreign = ec2.create_network_interface(SubnetId=subnet_id, Description="the operator's own")["NetworkInterface"]
    with pytest.raises(StepsFailed) as caught:
        destroy(cluster, NETWORK)
    assert f"{foreign['NetworkInterfaceId']} (the operator's own)" in caught.value.message
    assert "not of this cluster" in caught.value.hint
    [left] = [text for text in cluster.report.warned if text.startswith("Left")]  # type: ignore[attr-defined]
    assert vpc_of(cluster).id in left
    ec2.delete_network_interface(NetworkInterfaceId=foreign["NetworkInterfaceId"])
    assert destroy(cloud.cluster(), NETWORK).left == ()


def test_what_no_step_removes_is_found_and_named(cloud: Cloud) -> None:
    """A volume with the cluster's tags that outlived its instance."""
    cluster = cloud.cluster()
    run_steps(cluster, NETWORK)
    tags = owner_of(cluster).tag_specifications("worker", "volume")
    ec2 = cloud.api.client("ec2")
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=8, TagSpecifications=tags)["VolumeId"]
    summary = destroy(cluster, NETWORK)
    assert [str(item) for item in summary.left] == [f"volume {volume}"]
    assert inventory(cloud.cluster()).is_claimed, "the claim is the way to what is left"
    assert cluster.state.exists
    ec2.delete_volume(VolumeId=volume)
    assert destroy(cloud.cluster(), NETWORK).left == ()
    assert not inventory(cloud.cluster()).is_claimed


def test_another_clusters_resources_are_not_touched(cloud: Cloud, tmp_path: Any) -> None:
    other = cloud.cluster(name="demo-2")
    run_steps(other, NETWORK)
    run_steps(cloud.cluster(), NETWORK)
    standing = leftovers.search(other.aws, owner_of(other))
    destroy(cloud.cluster(), NETWORK)
    assert leftovers.search(other.aws, owner_of(other)) == standing


def test_every_cluster_of_a_name_goes(cloud: Cloud) -> None:
    """Two ids, as after a claim that was deleted by hand while another operator worked."""
    run_steps(cloud.cluster(), NETWORK)
    tags = Owner("demo", "0000000b").tag_specifications("vpc", "vpc")
    second = cloud.api.client("ec2").create_vpc(CidrBlock="10.32.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]
    summary = destroy(cloud.cluster(), NETWORK)
    assert f"VPC {second}" in [str(item) for item in summary.removed]
    assert summary.left == ()


def test_it_does_not_run_beside_another_command(cloud: Cloud) -> None:
    from dockeree.aws.lock import cluster_lock

    run_steps(cloud.cluster(), NETWORK)
    with cluster_lock(cloud.aws(), "demo", "dockeree up"), pytest.raises(StateLocked, match="dockeree up"):
        destroy(cloud.cluster(), NETWORK)
    assert inventory(cloud.cluster()).counts["subnet"] == 3


def test_buckets_are_kept_with_what_is_in_them_and_named(cloud: Cloud) -> None:
    steps = (*NETWORK, *STORAGE)
    run_steps(cloud.cluster(backup={"recipients": ["age1" + "q" * 58]}), steps)
    found = inventory(cloud.cluster())
    assert len(found.kept_buckets) == 2
    assert found.keeps[:2] == found.kept_buckets
    assert not [item for item in found.removes if item.kind == "bucket"]
    summary = destroy(cloud.cluster(), steps)
    assert summary.left == ()
    assert summary.kept_buckets == found.kept_buckets
    assert len(cloud.api.client("s3").list_buckets()["Buckets"]) == 2
    assert not inventory(cloud.cluster()).is_claimed


@pytest.mark.parametrize("is_standing", [True, False])
def test_buckets_go_when_told_also_after_the_cluster(cloud: Cloud, is_standing: bool) -> None:
    steps = (*NETWORK, *STORAGE)
    run_steps(cloud.cluster(backup={"recipients": ["age1" + "q" * 58]}), steps)
    s3 = cloud.api.client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        s3.put_object(Bucket=bucket["Name"], Key="ca/x", Body=b"x")
        s3.put_object(Bucket=bucket["Name"], Key="ca/x", Body=b"y")
    if not is_standing:
        destroy(cloud.cluster(), steps)
    cluster = replace(cloud.cluster(), deletes=frozenset({"backups", "images"}))
    removes = [item for item in inventory(cluster).removes if item.kind == "bucket"]
    assert len(removes) == 2
    summary = destroy(cluster, steps)
    assert summary.left == ()
    assert set(removes) <= set(summary.removed)
    assert s3.list_buckets()["Buckets"] == []
    assert inventory(cluster).removes == ()


def test_a_bucket_that_cannot_be_deleted_is_left_and_the_claim_with_it(cloud: Cloud) -> None:
    cluster = replace(cloud.cluster(), deletes=frozenset({"images"}))
    run_steps(cluster, (*NETWORK, *STORAGE))
    denied = {"service": "s3", "action": "DeleteBucket", "code": "AccessDenied", "status": 403}
    cloud.api.control("POST", "/lab/faults", denied)
    with pytest.raises(DockereeError, match="AccessDenied"):
        destroy(cluster, (*NETWORK, *STORAGE))
    assert inventory(cluster).is_claimed
    assert destroy(cluster, (*NETWORK, *STORAGE)).left == ()
    assert cloud.api.client("s3").list_buckets()["Buckets"] == []
