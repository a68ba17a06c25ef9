"""Rules: put back when they are missing, taken off when they are no longer wanted, left when somebody else's."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud, changing

from dockeree.aws import security_groups
from dockeree.aws.security_groups import Rule
from dockeree.config import Config
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import group_ids_of, owner_of
from dockeree.steps.networking import CreateVpc
from dockeree.steps.ports import wanted_rules
from dockeree.steps.runner import run_steps
from dockeree.steps.security_groups import CreateSecurityGroups

STEPS = (ClaimCluster, CreateVpc, CreateSecurityGroups)
GROUPS = {role: f"sg-{role}" for role in ("managers", "workers", "ucp", "dtr", "apps")}


def rules(**changes: Any) -> dict[str, set[Rule]]:
    values: dict[str, Any] = {"admin_cidrs": ["203.0.113.0/24"], "ssh_port": 22, "apps_ports": [80, 443]} | changes
    return wanted_rules(GROUPS, **values)


def opened(role: str, direction: str = "ingress") -> dict[str, set[str]]:
    """By port (`tcp 443`): who may."""
    found: dict[str, set[str]] = {}
    for rule in rules()[role]:
        if rule.direction == direction:
            ports = "" if rule.from_port is None else f" {rule.from_port}"
            ports += "" if rule.to_port == rule.from_port else f"-{rule.to_port}"
            found.setdefault(f"{rule.protocol}{ports}", set()).add(rule.peer)
    return found


def test_managers_admit_the_documented_ports_and_no_others() -> None:
    nodes = {"sg-managers", "sg-workers"}
    assert opened("managers") == {
        "tcp 22": {"203.0.113.0/24"},
        "tcp 179": nodes,
        "udp 4789": nodes,
        "tcp 7946": nodes,
        "udp 7946": nodes,
        "tcp 10250": nodes,
        "tcp 12376": nodes,
        "4": nodes,
        "50": nodes,
        "tcp 2376-2377": nodes,
        "tcp 12379-12388": nodes,
        "tcp 12390": nodes,
        "tcp 443": {"sg-ucp"},
        "tcp 6443": {"sg-ucp"},
        "tcp 4443": {"sg-dtr"},
    }


def test_workers_admit_nothing_of_the_managers_ports_and_applications_from_their_balancer_alone() -> None:
    nodes = {"sg-managers", "sg-workers"}
    assert opened("workers") == {
        "tcp 22": {"203.0.113.0/24"},
        "tcp 179": nodes,
        "udp 4789": nodes,
        "tcp 7946": nodes,
        "udp 7946": nodes,
        "tcp 10250": nodes,
        "tcp 12376": nodes,
        "4": nodes,
        "50": nodes,
        "tcp 80": {"sg-apps"},
        "tcp 443": {"sg-apps"},
    }


def test_balancers_admit_their_clients_and_reach_their_targets_alone() -> None:
    clients = {"203.0.113.0/24", "sg-managers", "sg-workers"}
    assert opened("ucp") == {"tcp 443": clients, "tcp 6443": clients}
    assert opened("dtr") == {"tcp 443": clients}
    assert opened("apps") == {"tcp 80": {"0.0.0.0/0"}, "tcp 443": {"0.0.0.0/0"}}
    assert opened("ucp", "egress") == {"tcp 443": {"sg-managers"}, "tcp 6443": {"sg-managers"}}
    assert opened("dtr", "egress") == {"tcp 4443": {"sg-managers"}}
    assert opened("apps", "egress") == {"tcp 80": {"sg-workers"}, "tcp 443": {"sg-workers"}}


def test_nothing_but_applications_is_open_to_everybody() -> None:
    for role, wanted in rules().items():
        for rule in wanted:
            assert rule.peer != "0.0.0.0/0" or role == "apps"


def test_nodes_keep_their_way_out_and_balancers_lose_it(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, STEPS)
    for role, group_id in group_ids_of(cluster).items():
        found = {item.rule for item in security_groups.find_rules(cluster.aws, owner_of(cluster), group_id)}
        assert (security_groups.ALL_OUTWARDS in found) == (role in {"managers", "workers"})


def test_a_missing_rule_is_put_back(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, STEPS)
    group_id = group_ids_of(cluster)["managers"]
    owner = owner_of(cluster)
    swarm = next(item for item in security_groups.find_rules(cluster.aws, owner, group_id) if item.rule.to_port == 2377)
    cluster.aws.ec2.revoke_security_group_ingress(GroupId=group_id, SecurityGroupRuleIds=[swarm.id])
    result = run_steps(cloud.cluster(), STEPS)
    assert result.changed
    assert swarm.rule in {item.rule for item in security_groups.find_rules(cluster.aws, owner, group_id)}


def test_a_foreign_rule_is_left_and_named(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, STEPS)
    group_id = group_ids_of(cluster)["workers"]
    cluster.aws.ec2.authorize_security_group_ingress(
        GroupId=group_id,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 9100, "ToPort": 9100, "IpRanges": [{"CidrIp": "198.51.100.0/24"}]}
        ],
    )
    again = cloud.cluster()
    assert changing(cloud.calls(lambda: run_steps(again, STEPS))) == []
    assert again.report.warned == [  # type: ignore[attr-defined]
        "security group demo-workers has a rule that is not dockeree's: ingress tcp 9100 from 198.51.100.0/24"
    ]


def test_another_admin_address_replaces_the_one_before(cloud: Cloud) -> None:
    run_steps(cloud.cluster(), STEPS)
    cluster = cloud.cluster(admin_cidrs=["198.51.100.7/32"])
    assert run_steps(cluster, STEPS).changed
    for role in ("managers", "workers", "ucp", "dtr"):
        found = security_groups.find_rules(cluster.aws, owner_of(cluster), group_ids_of(cluster)[role])
        peers = {item.rule.peer for item in found}
        assert "198.51.100.7/32" in peers
        assert "203.0.113.0/24" not in peers


def test_ssh_is_opened_where_the_image_listens(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    from dockeree.steps.security_groups import ssh_port

    config = Config.model_validate({"name": "demo", "admin_cidrs": ["auto"], "ssh": {"port": 2222}})
    assert ssh_port(config) == 2222
    monkeypatch.setenv("DOCKEREE_SSH_PORT", "2022")
    assert ssh_port(config) == 2022


def test_rules_that_are_there_already_do_not_stop_those_that_are_not(cloud: Cloud) -> None:
    """A first attempt whose answer was lost, and botocore's second: AWS refuses the whole call."""
    cluster = cloud.cluster()
    run_steps(cluster, STEPS)
    group_id, owner = group_ids_of(cluster)["dtr"], owner_of(cluster)
    there = security_groups.find_rules(cluster.aws, owner, group_id)
    new = Rule("ingress", "tcp", 8443, 8443, "203.0.113.0/24")
    from dockeree.aws.security_groups import _authorize
    from dockeree.steps.found import waits_of

    _authorize(cluster.aws, owner, group_id, "dtr", [*(item.rule for item in there), new], waits_of(cluster))
    found = [item.rule for item in security_groups.find_rules(cluster.aws, owner, group_id)]
    assert sorted(found) == sorted([*(item.rule for item in there), new])
