"""Targets: registered, checked by the balancers of the network, drained before they go.

`FakeTargetGroup.targets` (moto's store) is keyed here by instance id and port, as AWS does: one instance can serve on
several ports. `draining` beside it holds what was deregistered, until its deregistration delay is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.elbv2.exceptions import ELBClientError, InvalidTargetError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup, elbv2_backends

from dockeree.lab.aws import target_groups
from dockeree.lab.aws.core import Lab
from dockeree.lab.settings import ACCOUNT_ID
from dockeree.lab.world import Target, TargetGroup, TargetHealth

Key = tuple[str, int]
"""Instance id and port."""

GONE_STATES = ("shutting-down", "terminated")


def register(lab: Lab, backend: Any, arn: str, wanted: list[dict[str, Any]]) -> None:
    """RegisterTargets: running instances of the group's VPC; all of them or none."""
    with lab.lock:
        group = target_groups.find(backend, arn)
        keys = [_key(group, target) for target in wanted]
        for instance_id, _port in keys:
            _check_instance(backend, group, instance_id)
        for instance_id, port in keys:
            group.draining.pop((instance_id, port), None)
            group.targets[(instance_id, port)] = {"Id": instance_id, "Port": port}
    lab.changed()


def _key(group: Any, target: dict[str, Any]) -> Key:
    return str(target["Id"]), int(target.get("Port") or group.port)


def _check_instance(backend: Any, group: Any, instance_id: str) -> None:
    instance = backend.ec2_backend.get_instance_by_id(instance_id)
    if instance is None or instance.state in GONE_STATES:
        raise InvalidTargetError(f"The following targets do not exist: '{instance_id}'")
    if instance.vpc_id != group.vpc_id:
        raise InvalidTargetError(f"The following targets are not in the target group VPC: '{instance_id}'")
    if instance.state != "running":
        raise ELBClientError(
            "InvalidTarget",
            f"The following targets are not in a running state and cannot be registered: '{instance_id}'",
        )


def deregister(lab: Lab, backend: Any, arn: str, unwanted: list[dict[str, Any]]) -> None:
    """DeregisterTargets: a target drains for the group's deregistration delay, then it is gone.

    Without a port, every port of the instance. Unknown targets are no error.
    """
    with lab.lock:
        group = target_groups.find(backend, arn)
        for target in unwanted:
            for key in _registered_keys(group, target):
                _drain(lab, group, key)
    lab.changed()


def _registered_keys(group: Any, target: dict[str, Any]) -> list[Key]:
    port = target.get("Port")
    return [key for key in group.targets if key[0] == target["Id"] and (port is None or key[1] == int(port))]


def _drain(lab: Lab, group: Any, key: Key) -> None:
    draining = object()  # a newer deregistration of the same target has its own
    del group.targets[key]
    group.draining[key] = draining

    def gone() -> None:
        with lab.lock:
            if group.draining.get(key) is not draining:
                return
            del group.draining[key]
        lab.changed()

    lab.later(delay_seconds(group), gone)


def delay_seconds(group: Any) -> float:
    """How long a target of this group drains, in AWS's seconds: not at all where no balancer sends it anything."""
    return float(group.attributes[target_groups.DELAY]) if group.load_balancer_arns else 0.0


def drop_instances(lab: Lab, instance_ids: Iterable[str]) -> None:
    """Terminated instances drop out of every target group of the account, without draining."""
    gone = set(instance_ids)
    with lab.lock:
        for backend in elbv2_backends[ACCOUNT_ID].values():
            for group in backend.target_groups.values():
                for key in [key for key in (*group.targets, *group.draining) if key[0] in gone]:
                    group.targets.pop(key, None)
                    group.draining.pop(key, None)


def _drop_terminated(lab: Lab) -> None:
    with lab.lock:
        gone = [
            key[0]
            for backend in elbv2_backends[ACCOUNT_ID].values()
            for group in backend.target_groups.values()
            for key in (*group.targets, *group.draining)
            if _is_gone(backend, key[0])
        ]
    if gone:
        drop_instances(lab, gone)


def _is_gone(backend: Any, instance_id: str) -> bool:
    instance = backend.ec2_backend.get_instance_by_id(instance_id)
    return instance is None or instance.state in GONE_STATES


def health(lab: Lab, backend: Any, arn: str, asked: list[dict[str, Any]]) -> list[FakeHealthStatus]:
    """DescribeTargetHealth: what the balancers' checks say, where AWS itself does not say otherwise."""
    _drop_terminated(lab)
    with lab.lock:
        group = target_groups.find(backend, arn)
        keys = [_key(group, target) for target in asked] or [*group.targets, *group.draining]
        return [_status(group, key, _health_of(lab, backend, group, key)) for key in keys]


def _status(group: Any, key: Key, answer: TargetHealth) -> FakeHealthStatus:
    check_port = group.health_check_port
    port = str(key[1]) if check_port in (None, "traffic-port") else str(check_port)
    return FakeHealthStatus(key[0], str(key[1]), port, answer.state, answer.reason or None, answer.description or None)


def _health_of(lab: Lab, backend: Any, group: Any, key: Key) -> TargetHealth:
    if key in group.draining:
        return TargetHealth("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
    if key not in group.targets:
        return TargetHealth("unused", "Target.NotRegistered", "Target is not registered to the target group")
    instance = backend.ec2_backend.get_instance_by_id(key[0])
    if instance.state != "running":
        return TargetHealth("unused", "Target.InvalidState", f"Target is in the {instance.state} state")
    if not group.load_balancer_arns:
        return TargetHealth(
            "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
        )
    balancer = backend.load_balancers[group.load_balancer_arns[0]]
    if not _reaches_zone(balancer, instance.placement.zone):
        return TargetHealth(
            "unused", "Target.NotInUse", "Target is in an Availability Zone that is not enabled for the load balancer"
        )
    if balancer.state != "active":
        return TargetHealth("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
    return lab.wiring.target_health(group.arn, Target(key[0], key[1]))


def _reaches_zone(balancer: Any, zone: str) -> bool:
    cross_zone = balancer.attrs["load_balancing.cross_zone.enabled"] == "true"
    return cross_zone or any(subnet.availability_zone == zone for subnet in balancer.subnets)


def install(lab: Lab) -> None:
    """Lay the behaviours of targets over moto."""

    @lab.extend(ELBv2Backend, "register_targets")
    def register_targets(_original: Any, backend: Any, target_group_arn: str, instances: Any) -> None:
        register(lab, backend, target_group_arn, instances)

    @lab.extend(ELBv2Backend, "deregister_targets")
    def deregister_targets(_original: Any, backend: Any, target_group_arn: str, instances: Any) -> None:
        deregister(lab, backend, target_group_arn, instances)

    @lab.extend(ELBv2Backend, "describe_target_health")
    def describe_target_health(_original: Any, backend: Any, target_group_arn: str, targets: Any) -> Any:
        return health(lab, backend, target_group_arn, targets or [])

    @lab.extend(FakeTargetGroup, "deregister_terminated_instances")
    def deregister_terminated(_original: Any, _group: Any, instance_ids: list[str]) -> None:
        drop_instances(lab, instance_ids)

    lab.on_change.append(lambda: _drop_terminated(lab))


def snapshot_target_groups(lab: Lab) -> tuple[TargetGroup, ...]:
    """Every target group of the account with its targets, those that drain included."""
    with lab.lock:
        return tuple(
            _as_world(group)
            for backend in elbv2_backends[ACCOUNT_ID].values()
            for group in backend.target_groups.values()
        )


def _as_world(group: Any) -> TargetGroup:
    return TargetGroup(
        arn=group.arn,
        protocol=group.protocol,
        health_check=target_groups.health_check(group),
        targets=(
            *(Target(instance_id, port) for instance_id, port in group.targets),
            *(Target(instance_id, port, draining=True) for instance_id, port in group.draining),
        ),
        preserve_client_ip=group.attributes[target_groups.PRESERVE_CLIENT_IP] == "true",
    )
