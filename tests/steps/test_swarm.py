"""The steps on the machines: engines awaited, one swarm of three managers, the workers' way in, their arrival."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.cloud import Cloud, FastClock, NotingReport
from support.fake_swarm import MANAGER_TOKEN, WORKER_TOKEN, Engine, FakeMachines, Swarm

from dockeree.context import Cluster
from dockeree.errors import DockereeError
from dockeree.ssh.failures import HostKeyChanged
from dockeree.ssh.known_hosts import KnownHosts, fingerprint
from dockeree.steps.engine import AwaitEngines
from dockeree.steps.found import owner_of
from dockeree.steps.manager_joins import retire_ghosts
from dockeree.steps.swarm import AwaitWorkers, InitSwarm, JoinManagers, PublishJoin
from dockeree.steps.worker_arrivals import await_workers

ROLES = ("manager-a", "manager-b", "manager-c")


@dataclass
class Stage:
    """A cluster whose three managers run in the lab's API, and whose machines are in memory."""

    cluster: Cluster
    machines: FakeMachines
    ids: list[str]
    addresses: list[str]

    def engine(self, index: int) -> Any:
        return self.machines.engines[self.addresses[index]]

    @property
    def report(self) -> NotingReport:
        assert isinstance(self.cluster.report, NotingReport)
        return self.cluster.report

    def swarm_up(self) -> Swarm:
        assert InitSwarm().run(self.cluster)
        assert JoinManagers().run(self.cluster)
        swarm = self.engine(0).swarm
        assert isinstance(swarm, Swarm)
        return swarm


def launch(cloud: Cloud, cluster: Cluster, role: str) -> tuple[str, str]:
    """An instance with the cluster's tags: its id and its private address."""
    ec2 = cloud.api.client("ec2")
    image = ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
    tags = owner_of(cluster).tag_specifications(role, "instance")
    answer = ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=1, MaxCount=1, TagSpecifications=tags)
    instance = answer["Instances"][0]
    return instance["InstanceId"], instance["PrivateIpAddress"]


@pytest.fixture
def stage(cloud: Cloud, eventually: Callable[..., Any]) -> Stage:
    machines = FakeMachines()
    cluster = cloud.cluster()
    cluster.state.record_cluster(cluster_id="0123abcd", region="us-east-1", account="123456789012", created_at="now")
    launched = [launch(cloud, cluster, role) for role in ROLES]
    by_id = dict(launched)
    for address in by_id.values():
        machines.engine(address)
    ec2 = cloud.api.client("ec2")

    def all_run() -> bool:
        pages = ec2.describe_instances(InstanceIds=list(by_id))["Reservations"]
        return all(i.get("PublicIpAddress") for page in pages for i in page["Instances"])

    eventually(all_run)

    def connect(*, name: str, host: str, host_key_id: str) -> Any:
        if host_key_id not in by_id:
            answer = ec2.describe_instances(InstanceIds=[host_key_id])
            by_id[host_key_id] = answer["Reservations"][0]["Instances"][0]["PrivateIpAddress"]
        return machines.remote(name, by_id[host_key_id])

    connected = replace(cluster, connect=connect)
    return Stage(connected, machines, [i for i, _ in launched], [a for _, a in launched])


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    from lab.aws.conftest import eventually

    return eventually


def test_engines_that_answer_the_same_are_there_and_nothing_was_changed(stage: Stage) -> None:
    assert AwaitEngines().run(stage.cluster) is False
    assert stage.machines.changing == []
    assert stage.report.warned == []


def test_an_engine_is_not_there_before_the_first_boot_is_over(stage: Stage) -> None:
    engine, looks = stage.engine(1), []

    def boot() -> None:
        looks.append(None)
        engine.cloud_init = (0, "status: running\n") if len(looks) < 8 else (0, "status: done\n")

    stage.machines.before_answer = boot
    AwaitEngines().run(stage.cluster)
    mine = [command for name, command, _ in stage.machines.commands if name == "manager-b"]
    first = next(index for index, command in enumerate(mine) if "docker version" in command)
    assert first >= 2, "the engine was believed while cloud-init ran"


def test_an_install_that_failed_is_said_at_once_with_its_reason(stage: Stage) -> None:
    broken = stage.engine(2)
    broken.version, broken.cloud_init = None, (1, "status: error\n")
    broken.journal = (
        "dockeree-boot: installing docker.io\ndockeree-boot: FAILED: the packages cannot be installed: docker.io\n"
        "dockeree-engine.service: Main process exited, code=exited, status=1/FAILURE\n"
    )
    broken.boot_log = "Job for dockeree-engine.service failed.\nCloud-init v. 25.1 finished\n"
    with pytest.raises(
        DockereeError, match="manager-c: Docker Engine could not be installed: dockeree-boot: FAILED"
    ) as no:
        AwaitEngines().run(stage.cluster)
    assert "dockeree ssh manager-c -- sudo journalctl -u dockeree-engine" in no.value.hint


def test_a_first_boot_that_did_not_come_to_the_engine_is_told_in_cloud_inits_words(stage: Stage) -> None:
    broken = stage.engine(0)
    broken.version, broken.cloud_init = None, (1, "status: error\n")
    broken.boot_log = "Cloud-init v. 25.1\nFailed to write /opt/dockeree/boot.sh: No space left on device\n"
    with pytest.raises(DockereeError, match=r"manager-a: Docker Engine could not be installed: .*No space left"):
        AwaitEngines().run(stage.cluster)


def test_recoverable_errors_of_cloud_init_are_a_warning(stage: Stage) -> None:
    stage.engine(0).cloud_init = (2, "status: done\n")
    AwaitEngines().run(stage.cluster)
    assert len(stage.report.warned) == 1
    assert "manager-a: its engine answers, but cloud-init is not content (done, exit 2)" in stage.report.warned[0]


def test_an_engine_that_never_answers_is_named_with_its_last_words(stage: Stage) -> None:
    stage.engine(0).version = None
    stage.engine(0).journal = (
        "dockeree-boot: apt-get update, attempt 3 of 8: E: Could not get lock\n"
        "dockeree-engine.service: Scheduled restart job, restart counter is at 1.\n"
    )
    with pytest.raises(DockereeError, match=r"Docker Engine on manager-a: not within 1200 s.*attempt 3 of 8"):
        AwaitEngines().run(replace(stage.cluster, clock=LeapingClock()))


@pytest.mark.parametrize("honest", [True, False])
def test_a_host_key_pinned_during_the_boot_is_held_against_the_console(
    stage: Stage, cloud: Cloud, honest: bool
) -> None:
    known = KnownHosts(stage.cluster.state.known_hosts_path)
    known.check(stage.ids[1], "198.18.0.9", "ssh-ed25519", b"shown")
    named = fingerprint(b"shown" if honest else b"another")
    cloud.api.driver.console_output = lambda instance_id: (  # type: ignore[method-assign]
        f"-----BEGIN SSH HOST KEY FINGERPRINTS-----\n256 {named} root@ip (ED25519)\n"
        "-----END SSH HOST KEY FINGERPRINTS-----\n"
    )
    if honest:
        AwaitEngines().run(stage.cluster)
        assert known.is_confirmed(stage.ids[1])
    else:
        with pytest.raises(HostKeyChanged, match=f"its console output names {re.escape(named)}"):
            AwaitEngines().run(stage.cluster)


class LeapingClock(FastClock):
    """Nothing is waited for at all."""

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._slept_seconds += max(seconds, 100.0)


def test_engines_that_differ_are_refused(stage: Stage) -> None:
    stage.engine(1).version = "27.0.0"
    with pytest.raises(DockereeError, match=r"engines differ: manager-a has 24.0.7, manager-b has 27.0.0"):
        AwaitEngines().run(stage.cluster)


def test_one_swarm_of_three_managers_and_a_second_run_changes_nothing(stage: Stage) -> None:
    swarm = stage.swarm_up()
    assert PublishJoin().run(stage.cluster)
    assert sorted(node["Spec"]["Role"] for node in swarm.nodes.values()) == ["manager"] * 3
    assert stage.cluster.state.get("swarm") == swarm.id
    first = f"sudo -n docker swarm init --advertise-addr {stage.addresses[0]}:2377 --default-addr-pool 10.128.0.0/10"
    assert stage.machines.changing[0] == first
    before = len(stage.machines.changing)
    assert not any(step().run(stage.cluster) for step in (InitSwarm, JoinManagers, PublishJoin))
    assert len(stage.machines.changing) == before


def test_the_swarm_is_started_once_also_when_init_s_answer_was_never_seen(stage: Stage) -> None:
    stage.machines.init(stage.engine(1))  # killed after the engine had done it
    assert InitSwarm().run(stage.cluster) is False
    assert JoinManagers().run(stage.cluster)
    assert {stage.engine(index).swarm.id for index in range(3)} == {stage.engine(1).swarm.id}
    assert not any("swarm init" in command for command in stage.machines.changing)


def test_two_swarms_are_refused(stage: Stage) -> None:
    stage.machines.init(stage.engine(0))
    stage.machines.init(stage.engine(2))
    with pytest.raises(DockereeError, match="the managers are in different swarms"):
        InitSwarm().run(stage.cluster)
    assert stage.machines.changing == []


def test_a_swarm_without_a_leader_is_waited_for_and_never_started_anew(stage: Stage) -> None:
    stage.swarm_up()
    before = len(stage.machines.changing)
    for index in range(3):
        stage.engine(index).error = "rpc error: The swarm does not have a leader"
    with pytest.raises(DockereeError, match="no manager works"):
        InitSwarm().run(replace(stage.cluster, clock=LeapingClock()))
    looks = iter(range(100))

    def elect() -> None:
        if next(looks) > 6:
            for index in range(3):
                stage.engine(index).error = ""

    stage.machines.before_answer = elect
    assert InitSwarm().run(stage.cluster) is False
    assert len(stage.machines.changing) == before


def test_a_manager_that_was_left_half_joined_is_joined(stage: Stage) -> None:
    stage.machines.init(stage.engine(0))
    stage.engine(1).state, stage.engine(1).error = "error", "context deadline exceeded"
    assert JoinManagers().run(stage.cluster)
    assert "sudo -n docker swarm leave --force" in stage.machines.changing
    assert stage.engine(1).is_manager


def test_a_manager_that_was_demoted_is_promoted(stage: Stage) -> None:
    swarm = stage.swarm_up()
    node = swarm.nodes[stage.engine(2).node_id]
    node["Spec"]["Role"] = "worker"
    node.pop("ManagerStatus")
    assert JoinManagers().run(stage.cluster)
    assert stage.machines.changing[-1] == f"sudo -n docker node promote {stage.engine(2).node_id}"


def test_a_dead_manager_is_removed_before_its_replacement_joins(stage: Stage, cloud: Cloud) -> None:
    swarm = stage.swarm_up()
    dead = stage.engine(2).node_id
    stage.machines.power_off(stage.addresses[2])
    ec2 = cloud.api.client("ec2")
    ec2.terminate_instances(InstanceIds=[stage.ids[2]])
    _, address = launch(cloud, stage.cluster, "manager-c")
    stage.machines.engines[address] = Engine(address)  # perhaps the dead one's address
    _until_public(cloud, stage)
    assert JoinManagers().run(stage.cluster)
    assert dead not in swarm.nodes
    assert len(swarm.nodes) == 3
    order = [command.split("docker ")[-1].split()[1] for command in stage.machines.changing if "node" in command]
    assert order == ["demote", "rm"]
    assert retire_ghosts(stage.cluster.connect(name="a", host="", host_key_id=stage.ids[0]), set(swarm.nodes)) is False


def _until_public(cloud: Cloud, stage: Stage) -> None:
    from lab.aws.conftest import eventually

    from dockeree.aws import instances

    def ready() -> bool:
        managers = instances.find_managers(stage.cluster.aws, owner_of(stage.cluster))
        return len(managers) == 3 and all(m.public_ip and m.state == "running" for m in managers.values())

    eventually(ready)


def test_what_is_published_is_a_secret_that_names_every_manager(stage: Stage, cloud: Cloud) -> None:
    swarm = stage.swarm_up()
    PublishJoin().run(stage.cluster)
    ssm = cloud.api.client("ssm")
    found = ssm.get_parameter(Name="/dockeree/demo/worker/join", WithDecryption=True)["Parameter"]
    assert found["Type"] == "SecureString"
    assert json.loads(found["Value"]) == {
        "format_version": 1,
        "id": "0123abcd",
        "cluster_id": swarm.id,
        "managers": [f"{address}:2377" for address in stage.addresses],
        "token": WORKER_TOKEN,
    }
    assert MANAGER_TOKEN not in found["Value"]
    assert PublishJoin().undo(stage.cluster)
    assert not PublishJoin().undo(stage.cluster)


def test_workers_are_awaited_and_the_missing_ones_named(stage: Stage, cloud: Cloud) -> None:
    swarm = stage.swarm_up()
    group = Group(cloud, stage)
    joined, silent = group.launch(2)
    stage.machines.join(stage.machines.engine(joined), swarm, "worker")
    stage.machines.engine(silent).journal = "dockeree-agent: not joined yet: no manager let this node in\n"
    orders = stage.cluster.connect(name="manager-a", host="", host_key_id=stage.ids[0])
    with pytest.raises(DockereeError) as missing:
        await_workers(replace(stage.cluster, clock=LeapingClock()), owner_of(stage.cluster), orders)
    assert "1 of 2 Ready" in missing.value.message
    assert "has not joined the swarm" in missing.value.message
    assert "dockeree-agent: not joined yet: no manager let this node in" in missing.value.message
    stage.machines.join(stage.machines.engine(silent), swarm, "worker")
    assert AwaitWorkers().run(stage.cluster) is False


class Group:
    """The cluster's Auto Scaling group, made straight in the API."""

    def __init__(self, cloud: Cloud, stage: Stage) -> None:
        self.cloud = cloud
        self.stage = stage
        self.name = f"{owner_of(stage.cluster).fixed_name}-workers"

    def launch(self, count: int) -> list[str]:
        """`count` workers in service: their private addresses."""
        from lab.aws.conftest import eventually

        ec2, scaling = self.cloud.api.client("ec2"), self.cloud.api.client("autoscaling")
        image = ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
        subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:3]
        tags = owner_of(self.stage.cluster).tag_specifications("worker", "instance")
        ec2.create_launch_template(
            LaunchTemplateName=self.name,
            LaunchTemplateData={"ImageId": image, "InstanceType": "m5.large", "TagSpecifications": tags},
        )
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=self.name,
            LaunchTemplate={"LaunchTemplateName": self.name, "Version": "$Default"},
            MinSize=0,
            MaxSize=10,
            DesiredCapacity=count,
            VPCZoneIdentifier=",".join(subnets),
        )

        def in_service() -> list[str]:
            members = scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
            ids = [member["InstanceId"] for member in members if member["LifecycleState"] == "InService"]
            return ids if len(ids) == count else []

        pages = ec2.describe_instances(InstanceIds=eventually(in_service))["Reservations"]
        return [instance["PrivateIpAddress"] for page in pages for instance in page["Instances"]]
