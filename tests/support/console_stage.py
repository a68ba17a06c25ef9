"""A cluster for the tests of UCP's and DTR's steps: instances in the lab's API, machines and consoles in memory."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.cloud import Cloud, NotingReport
from support.fake_consoles import Consoles, Node
from support.fake_swarm import FakeMachines

from dockeree.aws import load_balancers
from dockeree.aws.load_balancers import LoadBalancer
from dockeree.context import Cluster
from dockeree.steps.found import owner_of
from dockeree.steps.swarm import InitSwarm, JoinManagers

ROLES = ("manager-a", "manager-b", "manager-c")
HOSTS = {role: f"demo-0123abcd-{role}-1.elb.us-east-1.amazonaws.com" for role in ("ucp", "dtr", "apps")}


@dataclass
class Stage:
    """The cluster, its consoles, and what was typed on its nodes."""

    cluster: Cluster
    machines: FakeMachines
    consoles: Consoles
    addresses: list[str]
    ids: list[str]

    def node(self, index: int) -> Node:
        return self.consoles.node(self.addresses[index])

    def labels(self, index: int) -> dict[str, str]:
        engine = self.machines.engines[self.addresses[index]]
        assert engine.swarm is not None
        found: dict[str, str] = engine.swarm.nodes[engine.node_id]["Spec"]["Labels"]
        return found

    @property
    def report(self) -> NotingReport:
        assert isinstance(self.cluster.report, NotingReport)
        return self.cluster.report

    def typed(self, part: str) -> list[str]:
        """The changing commands that hold `part`."""
        return [command for command in self.machines.changing if part in command]

    def configured(self, **sections: Any) -> None:
        """Another configuration, as a file changed between two runs."""
        values = self.cluster.config.model_dump() | sections
        self.cluster = replace(self.cluster, config=type(self.cluster.config).model_validate(values))


def make_stage(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Three managers in one swarm, with balancers in front."""
    monkeypatch.delenv("DOCKEREE_UCP_PASSWORD", raising=False)
    machines = FakeMachines()
    consoles = Consoles(machines)
    cluster = cloud.cluster(ucp={"enabled": True}, dtr={"enabled": True})
    cluster.state.record_cluster(cluster_id="0123abcd", region="us-east-1", account="123456789012", created_at="now")
    by_id = {}
    ec2 = cloud.api.client("ec2")
    image = ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
    for role in ROLES:
        tags = owner_of(cluster).tag_specifications(role, "instance")
        answer = ec2.run_instances(
            ImageId=image, InstanceType="m5.large", MinCount=1, MaxCount=1, TagSpecifications=tags
        )
        by_id[answer["Instances"][0]["InstanceId"]] = answer["Instances"][0]["PrivateIpAddress"]
    for address in by_id.values():
        machines.engine(address)
    deadline = time.monotonic() + 30
    while not all(_is_public(instance) for instance in _instances(ec2, list(by_id))):
        assert time.monotonic() < deadline
        time.sleep(0.02)

    def connect(*, name: str, host: str, host_key_id: str) -> Any:
        return consoles.remote(name, by_id[host_key_id])

    def find_balancers(aws: Any, owner: Any) -> dict[str, LoadBalancer]:
        return {role: LoadBalancer("arn", role, role, host, "Z1", "active", (), ()) for role, host in HOSTS.items()}

    monkeypatch.setattr(load_balancers, "find_balancers", find_balancers)
    stage = Stage(replace(cluster, connect=connect), machines, consoles, list(by_id.values()), list(by_id))
    assert InitSwarm().run(stage.cluster)
    assert JoinManagers().run(stage.cluster)
    return stage


def _instances(ec2: Any, ids: list[str]) -> list[dict[str, Any]]:
    pages = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    return [instance for page in pages for instance in page["Instances"]]


def _is_public(instance: dict[str, Any]) -> bool:
    return instance["State"]["Name"] == "running" and bool(instance.get("PublicIpAddress"))
