"""scale-workers over the lab's API, with machines in memory that join, drain and go as they would."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest
from lab.aws.conftest import eventually
from support.cloud import Cloud, FastClock, NotingReport
from support.fake_swarm import Engine, FakeMachines, Swarm

from dockeree.aws.instances import Instance
from dockeree.context import Cluster
from dockeree.errors import DockereeError, StateLocked, TimedOut, UsageError
from dockeree.node.swarm import SwarmNode
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of
from dockeree.steps.worker_arrivals import Worker, node_of
from dockeree.steps.worker_departures import choose
from dockeree.workflows.scale_workers import scale_workers


class Killed(BaseException):
    """A `kill -9` at a boundary."""


@dataclass
class Scene:
    """A claimed cluster: one manager, a group of three workers that are in the swarm."""

    cloud: Cloud
    cluster: Cluster
    machines: FakeMachines
    swarm: Swarm
    manager: str

    @property
    def group(self) -> Any:
        return self.cloud.api.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]

    @property
    def members(self) -> list[str]:
        return [member["InstanceId"] for member in self.group["Instances"]]

    def addresses(self) -> dict[str, str]:
        """The living workers' addresses, by instance id."""
        wanted = [{"Name": "tag:dockeree:role", "Values": ["worker"]},
                  {"Name": "instance-state-name", "Values": ["pending", "running"]}]  # fmt: skip
        pages = self.cloud.api.client("ec2").describe_instances(Filters=wanted)["Reservations"]
        return {i["InstanceId"]: i["PrivateIpAddress"] for page in pages for i in page["Instances"]}

    def live(self) -> None:
        """Let what AWS did happen to the machines: new ones join, terminated ones fall silent."""
        driver = self.cloud.api.driver
        for instance_id, spec in list(driver.specs.items()):
            if instance_id == self.manager:
                continue
            engine = self.machines.engines.get(spec.private_ip)
            if driver.is_on(instance_id):
                if engine is None or engine.is_dark:
                    engine = self.machines.engines[spec.private_ip] = Engine(spec.private_ip)
                if engine.swarm is None:
                    self.machines.join(engine, self.swarm, "worker")
            elif engine is not None and not engine.is_dark and spec.private_ip not in self.addresses().values():
                self.machines.power_off(spec.private_ip)

    def everybody_is_in(self) -> bool:
        """Let the machines live, until each worker of the group is in the swarm."""
        self.live()
        return len(self.workers()) == 3

    def workers(self) -> list[dict[str, Any]]:
        return [node for node in self.swarm.nodes.values() if node["Spec"]["Role"] == "worker"]

    def node_at(self, address: str) -> dict[str, Any]:
        return next(node for node in self.workers() if node["Status"]["Addr"] == address)

    def check(self, count: int) -> None:
        """Exactly `count` workers, in AWS and in the swarm, none Down, none left drained."""
        assert self.group["DesiredCapacity"] == count
        assert len(self.addresses()) == count
        assert sorted(node["Status"]["Addr"] for node in self.workers()) == sorted(self.addresses().values())
        assert {node["Status"]["State"] for node in self.workers()} <= {"ready"}
        assert {node["Spec"]["Availability"] for node in self.workers()} <= {"active"}


@pytest.fixture
def scene(cloud: Cloud) -> Scene:
    cluster = cloud.cluster()
    ClaimCluster().run(cluster)
    ec2, scaling = cloud.api.client("ec2"), cloud.api.client("autoscaling")
    owner = owner_of(cluster)
    image = ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
    manager = ec2.run_instances(
        ImageId=image,
        InstanceType="m5.large",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=owner.tag_specifications("manager-a", "instance"),
    )["Instances"][0]
    machines = FakeMachines()
    machines.init(machines.engine(manager["PrivateIpAddress"]))
    swarm = machines.engines[manager["PrivateIpAddress"]].swarm
    assert swarm is not None
    scene = Scene(cloud, cluster, machines, swarm, manager["InstanceId"])

    def connect(*, name: str, host: str, host_key_id: str) -> Any:
        return machines.remote(name, cloud.api.driver.specs[host_key_id].private_ip)

    scene.cluster = replace(cluster, connect=connect)
    name = f"{owner.fixed_name}-workers"
    tags = owner.tag_specifications("worker", "instance")
    ec2.create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData={"ImageId": image, "InstanceType": "m5.large", "TagSpecifications": tags},
    )
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:3]
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateName": name, "Version": "$Default"},
        MinSize=1,
        MaxSize=6,
        DesiredCapacity=3,
        VPCZoneIdentifier=",".join(subnets),
    )
    eventually(
        lambda: all(i["LifecycleState"] == "InService" for i in scene.group["Instances"]) and len(scene.members) == 3
    )
    eventually(lambda: cloud.api.driver.is_on(scene.manager))
    machines.before_answer = scene.live
    eventually(scene.everybody_is_in)
    scene.check(3)
    return scene


def test_more_workers_are_there_when_it_returns(scene: Scene) -> None:
    before = set(scene.members)
    summary = scale_workers(scene.cluster, 5)
    assert (summary.before, summary.after, summary.removed) == (3, 5, ())
    assert set(summary.added) == set(scene.members) - before
    assert len(summary.added) == 2
    scene.check(5)
    assert scene.machines.changing == []


def test_fewer_workers_are_drained_first_terminated_then_and_forgotten_last(scene: Scene) -> None:
    order: list[str] = []
    scene.cluster.aws.observers.append(lambda service, operation: order.append(operation))
    live = scene.machines.before_answer

    def before_answer() -> None:
        order.append(scene.machines.commands[-1][1])
        live()

    scene.machines.before_answer = before_answer
    for node in scene.workers():
        scene.swarm.tasks[node["ID"]] = ["Running 1 minute ago"]
    scene.machines.drain_seconds_tasks_take = 3
    summary = scale_workers(scene.cluster, 1)
    assert (summary.before, summary.after, summary.added, len(summary.removed)) == (3, 1, (), 2)
    scene.check(1)
    drains = [index for index, word in enumerate(order) if "--availability drain" in word]
    looks = [index for index, word in enumerate(order) if "node ps" in word]
    ends = [index for index, word in enumerate(order) if word == "TerminateInstanceInAutoScalingGroup"]
    removal = [index for index, word in enumerate(order) if "node rm" in word]
    assert len(drains) == len(ends) == 2
    assert len(removal) == 1
    assert max(drains) < min(looks)
    assert max(looks) < min(ends) < max(ends) < min(removal)
    assert "SetDesiredCapacity" not in order


def test_the_same_number_again_changes_nothing(scene: Scene) -> None:
    summary = scale_workers(scene.cluster, 3)
    assert not summary.changed
    assert scene.machines.changing == []
    assert isinstance(scene.cluster.report, NotingReport)
    assert set(scene.cluster.report.changed.values()) == {False}


@pytest.mark.parametrize("count", [0, 7])
def test_a_number_outside_of_the_limits_is_refused_before_anything_is_touched(scene: Scene, count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} is outside of the limits of the workers' group: 1 to 6") as refused:
        scale_workers(scene.cluster, count)
    assert "workers.min" in refused.value.hint
    assert scene.machines.commands == []


def test_without_a_cluster_there_is_nothing_to_scale(cloud: Cloud) -> None:
    with pytest.raises(DockereeError, match="there is no cluster demo in us-east-1"):
        scale_workers(cloud.cluster(), 3)


def test_another_command_s_lock_is_respected(scene: Scene) -> None:
    from dockeree.aws.lock import cluster_lock

    with cluster_lock(scene.cluster.aws, "demo", "dockeree up"), pytest.raises(StateLocked, match="dockeree up"):
        scale_workers(scene.cluster, 5)
    assert scene.machines.commands == []


def test_tasks_that_stay_are_named_and_nothing_is_terminated(scene: Scene) -> None:
    for node in scene.workers():
        scene.swarm.tasks[node["ID"]] = ["Running 1 minute ago"]
    scene.machines.drain_seconds_tasks_take = 10**9
    with pytest.raises(TimedOut, match=r"web\.0 on i-[0-9a-f]+ \(running\)") as late:
        scale_workers(scene.cluster, 2, drain_seconds=30)
    assert "stay drained" in late.value.hint
    assert len(scene.addresses()) == 3
    drained = [node["Status"]["Addr"] for node in scene.workers() if node["Spec"]["Availability"] == "drain"]
    assert len(drained) == 1
    scale_workers(scene.cluster, 2, drain_seconds=30, leave_tasks=True)
    scene.check(2)
    assert drained[0] not in scene.addresses().values()
    assert isinstance(scene.cluster.report, NotingReport)
    assert any("terminated with their workers: web.0 on" in line for line in scene.cluster.report.warned)


BOUNDARIES = [f"{side}:workers/{stage}" for stage in ("Drain", "Size", "Arrive") for side in ("before", "after")]


@pytest.mark.parametrize(
    ("count", "boundary"), [*((1, boundary) for boundary in BOUNDARIES), (5, "before:workers/Arrive")]
)
def test_killed_at_any_boundary_the_next_run_finishes(scene: Scene, boundary: str, count: int) -> None:
    def kill(reached: str) -> None:
        if reached == boundary:
            raise Killed

    with pytest.raises(Killed):
        scale_workers(replace(scene.cluster, between_steps=kill), count)
    scale_workers(scene.cluster, count)
    scene.check(count)


def test_a_worker_marked_by_a_killed_run_goes_first_even_when_more_are_wanted_now(scene: Scene) -> None:
    def kill(reached: str) -> None:
        if reached == "after:workers/Drain":
            raise Killed

    with pytest.raises(Killed):
        scale_workers(replace(scene.cluster, between_steps=kill), 2)
    marked = [node["Status"]["Addr"] for node in scene.workers() if node["Spec"]["Availability"] == "drain"]
    summary = scale_workers(scene.cluster, 4)
    scene.check(4)
    assert len(summary.removed) == 1
    gone = {scene.cloud.api.driver.specs[instance_id].private_ip for instance_id in summary.removed}
    assert gone == set(marked)


def test_a_worker_drained_by_somebody_else_is_no_unfinished_business(scene: Scene) -> None:
    scene.workers()[0]["Spec"]["Availability"] = "drain"
    assert scale_workers(scene.cluster, 3).removed == ()
    assert len(scene.addresses()) == 3


def test_ghosts_of_earlier_workers_are_forgotten(scene: Scene) -> None:
    scene.machines.join(Engine("10.99.0.1"), scene.swarm, "worker")
    ghost = scene.node_at("10.99.0.1")
    ghost["Status"]["State"] = "down"
    scale_workers(scene.cluster, 3)
    scene.check(3)


def test_workers_that_do_not_arrive_are_named(scene: Scene) -> None:
    scene.machines.before_answer = lambda: None
    with pytest.raises(DockereeError, match=r"3 of 5 Ready.*has not joined the swarm"):
        scale_workers(replace(scene.cluster, clock=LeapingClock()), 5)


class LeapingClock(FastClock):
    """A wait's time is over soon."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        with self._lock:
            self._slept_seconds += 20.0


def _worker(
    number: int, zone: str = "a", *, ready: bool = True, retired: bool = False, lifecycle: str = "InService"
) -> Worker:
    instance = Instance(
        id=f"i-{number}", role="worker", state="running", zone=zone, private_ip=f"10.0.0.{number}", public_ip=None,
        subnet_id=None, image_id="ami", instance_type="m5.large", launched_at=f"2026-11-24 03:{number:02d}",
    )  # fmt: skip
    state = "ready" if ready else "down"
    node = SwarmNode(f"n{number}", f"ip-{number}", state, "active", f"10.0.0.{number}", "worker", is_retired=retired)
    return Worker(f"i-{number}", zone, lifecycle, "Healthy", instance, node)


def _chosen(workers: list[Worker], surplus: int) -> list[str]:
    return [worker.instance_id for worker in choose(workers, surplus)]


def test_the_newest_of_the_fullest_zone_goes() -> None:
    workers = [_worker(1, "a"), _worker(2, "b"), _worker(3, "b"), _worker(4, "c"), _worker(5, "a"), _worker(6, "a")]
    assert _chosen(workers, 1) == ["i-6"]
    assert _chosen(workers, 3) == ["i-6", "i-5", "i-3"]
    left = Counter(worker.zone for worker in workers if worker not in choose(workers, 3))
    assert left == {"a": 1, "b": 1, "c": 1}


def test_one_that_does_no_work_goes_before_all_others() -> None:
    workers = [_worker(1, "a"), _worker(2, "b", ready=False), _worker(3, "a"), _worker(4, "a")]
    assert _chosen(workers, 1) == ["i-2"]
    never_joined = replace(_worker(5, "c"), node=None)
    assert _chosen([*workers, never_joined], 2) == ["i-5", "i-2"]


def test_marked_ones_go_whatever_is_wanted_and_leaving_ones_are_not_counted() -> None:
    workers = [_worker(1), _worker(2, retired=True), _worker(3), _worker(4, lifecycle="Terminating:Wait")]
    assert _chosen(workers, 0) == ["i-2"]
    assert _chosen(workers, 1) == ["i-2"]
    assert _chosen(workers, 2) == ["i-2", "i-3"]


def test_of_several_nodes_at_an_address_the_ready_one_is_meant() -> None:
    old = SwarmNode("old", "h", "down", "active", "10.0.0.9", "worker", created_at="2026-01-01")
    new = SwarmNode("new", "h", "ready", "active", "10.0.0.9", "worker", created_at="2026-01-02")
    manager = SwarmNode("m", "h", "ready", "active", "10.0.0.9", "manager", "reachable", created_at="2026-01-03")
    assert node_of([new, old, manager], "10.0.0.9") is new
    assert node_of([old], "10.0.0.9") is old
    assert node_of([old], None) is None
