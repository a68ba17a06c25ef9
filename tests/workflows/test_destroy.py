"""Destroy, where it is not alone in the account."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud

from dockeree.aws import leftovers
from dockeree.aws.tags import Owner
from dockeree.errors import StateLocked, StepsFailed
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of, vpc_of
from dockeree.steps.networking import CreateInternetGateway, CreateRouteTable, CreateSubnets, CreateVpc
from dockeree.steps.runner import run_steps
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
