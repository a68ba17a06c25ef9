"""A cluster in the lab's account whose managers are machines in memory, with UCP's root CAs on them."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from support import authorities
from support.cloud import Cloud

from dockeree.context import Cluster
from dockeree.errors import CommandFailed
from dockeree.ssh.failures import NobodyAnswers
from dockeree.ssh.remote import Result
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of
from dockeree.steps.runner import run_steps
from dockeree.steps.storage import STORAGE

SWARM_ID = "k4hv5yd8c1l0z8a5s2j7q9x3b"
INFO = json.dumps(
    {
        "Name": "manager",
        "ServerVersion": "25.0.14",
        "Swarm": {
            "NodeID": "n",
            "NodeAddr": "10.32.0.5",
            "LocalNodeState": "active",
            "ControlAvailable": True,
            "Cluster": {"ID": SWARM_ID},
            "RemoteManagers": None,
        },
    }
)


@dataclass
class Machine:
    """A manager's files and what was typed on it. `is_dark`: nobody answers."""

    files: dict[str, bytes] = field(default_factory=authorities.files)
    commands: list[str] = field(default_factory=list)
    is_dark: bool = False
    cut_at: int | None = None
    """Where the stream of the next `tar` breaks off."""


@dataclass
class MachineRemote:
    """A connection to it."""

    name: str
    machine: Machine

    def run(self, command: str, *, check: bool = True, **_options: Any) -> Result:
        self.machine.commands.append(command)
        if self.machine.is_dark:
            raise NobodyAnswers(f"{self.name} does not answer")
        words = shlex.split(command)
        if words[2:4] == ["docker", "info"]:
            return Result(0, INFO, "")
        if words[2:5] == ["docker", "ps", "--all"]:
            images = {"name=^ucp-proxy$": "mirantis/ucp-agent:3.8.12\n", "name=^dtr-registry-": ""}
            return Result(0, images[words[6]], "")
        raise AssertionError(f"no such command here: {command}")

    def read_bytes(self, command: str, *, timeout_seconds: float = 60.0) -> bytearray:
        self.machine.commands.append(command)
        if self.machine.is_dark:
            raise NobodyAnswers(f"{self.name} does not answer")
        words = shlex.split(command)
        assert words[:6] == ["sudo", "-n", "tar", "--create", "--file=-", "--format=ustar"], command
        assert words[6] == "--directory=/var/lib/docker"
        missing = [name for name in words[7:] if name not in self.machine.files]
        if missing:
            words = f"tar: {missing[0]}: Cannot stat: No such file or directory"
            raise CommandFailed(self.name, command, 2, words)
        stream = bytearray(authorities.tar_of({name: self.machine.files[name] for name in words[7:]}))
        return stream if self.machine.cut_at is None else stream[: self.machine.cut_at]

    def close(self) -> None:
        return None


@dataclass
class Scene:
    """The cluster, and the machine that every manager is."""

    cloud: Cloud
    machine: Machine
    cluster: Cluster

    @property
    def bucket(self) -> str:
        return "dockeree-demo-123456789012-us-east-1-backups"

    @property
    def keys(self) -> list[str]:
        """What is in the bucket."""
        listed = self.cloud.api.client("s3").list_objects_v2(Bucket=self.bucket)
        return [item["Key"] for item in listed.get("Contents", ())]

    def again(self, folder: Path | None = None, **config: Any) -> Cluster:
        """Another run of the tool on it."""
        return with_machine(self.cloud.cluster(folder=folder, **config), self.machine)

    def fail(self, action: str, **fault: Any) -> None:
        """Let the next S3 call of this name fail."""
        self.cloud.api.control("POST", "/lab/faults", {"service": "s3", "action": action} | fault)


def with_machine(cluster: Cluster, machine: Machine) -> Cluster:
    def connect(*, name: str, host: str, host_key_id: str) -> Any:
        return MachineRemote(name, machine)

    return replace(cluster, connect=connect)


def make_scene(cloud: Cloud, **config: Any) -> Scene:
    """Claim the name, make the buckets, launch one manager."""
    machine = Machine()
    cluster = with_machine(cloud.cluster(**config), machine)
    run_steps(cluster, (ClaimCluster, *STORAGE))
    launch_manager(cloud, cluster)
    return Scene(cloud, machine, cluster)


def launch_manager(cloud: Cloud, cluster: Cluster) -> None:
    """One instance with a manager's tags, in a network of its own."""
    ec2 = cloud.api.client("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.32.0.0/16")["Vpc"]["VpcId"]
    gateway_id = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    # AWS picks a zone by chance where none is named, and us-east-1e has no m5.xlarge.
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.32.0.0/24", AvailabilityZone="us-east-1a")
    subnet_id = subnet["Subnet"]["SubnetId"]
    parameter = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
    ec2.run_instances(
        ImageId=cloud.api.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"],
        InstanceType="m5.xlarge",
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet_id, "AssociatePublicIpAddress": True}],
        TagSpecifications=owner_of(cluster).tag_specifications("manager-a", "instance"),
    )
    ec2.get_waiter("instance_running").wait(WaiterConfig={"Delay": 0.05, "MaxAttempts": 100})  # type: ignore[typeddict-item]
