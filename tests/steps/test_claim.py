"""The claim: two operators, one cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cloud import Cloud, changing

from dockeree.aws import clusters
from dockeree.aws.clusters import Claim
from dockeree.aws.tags import Owner
from dockeree.errors import DockereeError
from dockeree.steps import claim as claim_step
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.networking import CreateVpc
from dockeree.steps.runner import run_steps


def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_the_second_operator_gets_the_same_id(cloud: Cloud, tmp_path: Path) -> None:
    one, two = cloud.cluster(), cloud.cluster(folder=elsewhere(tmp_path))
    assert run_steps(one, (ClaimCluster,)).changed
    assert not run_steps(two, (ClaimCluster,)).changed
    assert one.id == two.id
    assert len(one.id) == 8
    assert one.state.account == "123456789012"


def test_of_two_at_the_same_moment_one_wins(cloud: Cloud, tmp_path: Path) -> None:
    """Both have looked and found the name free; the other's claim comes first."""
    cluster = cloud.cluster()
    other = Claim("0000beef", "2026-11-24T10:00:00+00:00", "arn:aws:iam::123456789012:user/ada")
    assert clusters.create_claim(cluster.aws, Owner("demo", other.id), other)
    assert claim_step._take(cluster) == other


def test_a_cluster_that_lost_its_claim_keeps_its_id(cloud: Cloud, tmp_path: Path) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, (ClaimCluster, CreateVpc))
    cloud.api.client("ssm").delete_parameter(Name="/dockeree/demo/cluster")
    other = cloud.cluster(folder=elsewhere(tmp_path))
    run_steps(other, (ClaimCluster, CreateVpc))
    assert other.id == cluster.id


def test_two_clusters_of_a_name_without_a_claim_are_not_chosen_between(cloud: Cloud) -> None:
    ec2 = cloud.api.client("ec2")
    for cluster_id in ("0000000a", "0000000b"):
        tags = Owner("demo", cluster_id).tag_specifications("vpc", "vpc")
        ec2.create_vpc(CidrBlock="10.32.0.0/16", TagSpecifications=tags)
    with pytest.raises(DockereeError, match="0000000a, 0000000b"):
        run_steps(cloud.cluster(), (ClaimCluster,))


def test_a_parameter_that_is_no_claim_is_left_alone(cloud: Cloud) -> None:
    cloud.api.client("ssm").put_parameter(Name="/dockeree/demo/cluster", Value="hello", Type="String")
    calls: list[str] = []

    def run() -> None:
        with pytest.raises(DockereeError, match="not a claim"):
            run_steps(cloud.cluster(), (ClaimCluster,))

    calls = cloud.calls(run)
    assert changing(calls) == []


def test_a_newer_dockerees_cluster_is_left_alone(cloud: Cloud) -> None:
    claim = Claim("0000000a", "2030-01-01T00:00:00+00:00", "ada", format_version=99).dump()
    cloud.api.client("ssm").put_parameter(Name="/dockeree/demo/cluster", Value=claim, Type="String")
    with pytest.raises(DockereeError, match="newer dockeree"):
        run_steps(cloud.cluster(), (ClaimCluster,))


def test_two_vpcs_of_one_cluster_are_an_error(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, (ClaimCluster, CreateVpc))
    tags = Owner("demo", cluster.id).tag_specifications("vpc", "vpc")
    cloud.api.client("ec2").create_vpc(CidrBlock="10.32.0.0/16", TagSpecifications=tags)
    with pytest.raises(DockereeError, match="more than one VPC of demo"):
        run_steps(cloud.cluster(), (ClaimCluster, CreateVpc))
