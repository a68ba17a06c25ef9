"""Target groups: who answers for a balancer's port, how they are asked whether they are well, and what they said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dockeree.aws.deleting import delete_when_free
from dockeree.aws.tags import Owner
from dockeree.aws.waits import Waits, is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws


@dataclass(frozen=True)
class HealthCheck:
    """How a target is asked. `port` is a number as text, or `traffic-port`; `path` is None for TCP."""

    protocol: str
    port: str = "traffic-port"
    path: str | None = None
    interval_seconds: int = 10
    timeout_seconds: int = 5
    healthy_threshold: int = 2
    unhealthy_threshold: int = 4


@dataclass(frozen=True)
class TargetGroupSpec:
    """A target group as wanted: `label` ends its name (`ucp-443`), `port` is the targets' port."""

    label: str
    role: str
    port: int
    health_check: HealthCheck
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TargetGroup:
    """A target group as it is."""

    arn: str
    name: str
    label: str
    port: int
    health_check: HealthCheck


@dataclass(frozen=True)
class TargetHealth:
    """What the balancer says of one target: initial, healthy, unhealthy, unused, draining or unavailable."""

    instance_id: str
    port: int
    state: str
    reason: str


def target_group_name(owner: Owner, label: str) -> str:
    """`NAME-ID-apps-65535`: at most 32 characters."""
    return f"{owner.fixed_name}-{label}"


def find_target_groups(aws: Aws, owner: Owner) -> dict[str, TargetGroup]:
    """The cluster's target groups by label (`ucp-443`)."""
    prefix = target_group_name(owner, "")
    pages = aws.elbv2.get_paginator("describe_target_groups").paginate()
    found = [
        _target_group(answer, answer["TargetGroupName"].removeprefix(prefix))
        for page in pages
        for answer in page["TargetGroups"]
        if answer["TargetGroupName"].startswith(prefix)
    ]
    return {group.label: group for group in found}


def ensure_target_group(
    aws: Aws, owner: Owner, spec: TargetGroupSpec, *, vpc_id: str, existing: TargetGroup | None, waits: Waits
) -> tuple[TargetGroup, bool]:
    """A TCP target group of instances, with its health check and attributes; and whether anything was changed.

    Raises AwsError when one of the name has another port: AWS never changes that, so it has to be deleted.
    """
    group, changed = existing, False
    if group is None:
        group, changed = _create(aws, owner, spec, vpc_id, waits), True
    elif group.health_check != spec.health_check:
        aws.elbv2.modify_target_group(TargetGroupArn=group.arn, **_health_check(spec.health_check))
        changed = True
    answer = aws.elbv2.describe_target_group_attributes(TargetGroupArn=group.arn)
    present = {item["Key"]: item["Value"] for item in answer["Attributes"]}
    missing: list[Any] = [{"Key": key, "Value": value} for key, value in spec.attributes if present.get(key) != value]
    if missing:
        aws.elbv2.modify_target_group_attributes(TargetGroupArn=group.arn, Attributes=missing)
    return group, changed or bool(missing)


def delete_target_group(aws: Aws, group: TargetGroup, waits: Waits) -> None:
    """Delete a target group, as soon as no listener uses it any more."""
    delete = partial(aws.elbv2.delete_target_group, TargetGroupArn=group.arn)
    delete_when_free(aws, waits, delete, what=f"target group {group.name}")


def target_health(aws: Aws, target_group_arn: str) -> list[TargetHealth]:
    """What the balancer says of each target."""
    answer = aws.elbv2.describe_target_health(TargetGroupArn=target_group_arn)
    return [
        TargetHealth(
            instance_id=item["Target"]["Id"],
            port=item["Target"].get("Port", 0),
            state=item["TargetHealth"].get("State", "unavailable"),
            reason=item["TargetHealth"].get("Reason", ""),
        )
        for item in answer["TargetHealthDescriptions"]
    ]


def ensure_targets(aws: Aws, target_group_arn: str, instance_ids: Sequence[str], waits: Waits) -> bool:
    """Register exactly these instances: missing ones in, instances that are not among them out.

    A target that is being deregistered counts as missing: registering it again keeps it.
    """
    present = {item.instance_id: item.state for item in target_health(aws, target_group_arn)}
    missing = [item for item in instance_ids if present.get(item, "draining") == "draining"]
    surplus = [item for item, state in present.items() if item not in instance_ids and state != "draining"]
    if missing:
        waits.retry(
            lambda: aws.elbv2.register_targets(
                TargetGroupArn=target_group_arn, Targets=[{"Id": instance_id} for instance_id in missing]
            ),
            lambda error: error.code == "InvalidTarget",  # running for EC2, not yet for Elastic Load Balancing
            awaited="targets registered",
        )
    if surplus:
        _deregister(aws, target_group_arn, surplus)
    return bool(missing or surplus)


def _deregister(aws: Aws, target_group_arn: str, instance_ids: Sequence[str]) -> None:
    try:
        aws.elbv2.deregister_targets(
            TargetGroupArn=target_group_arn, Targets=[{"Id": instance_id} for instance_id in instance_ids]
        )
    except AwsError as error:
        if not is_not_found(error) and error.code != "InvalidTarget":
            raise


def _create(aws: Aws, owner: Owner, spec: TargetGroupSpec, vpc_id: str, waits: Waits) -> TargetGroup:
    def create() -> TargetGroup:
        answer = aws.elbv2.create_target_group(
            Name=target_group_name(owner, spec.label),
            Protocol="TCP",
            Port=spec.port,
            VpcId=vpc_id,
            TargetType="instance",
            Tags=owner.tag_list(spec.role),
            **_health_check(spec.health_check),
        )
        return _target_group(answer["TargetGroups"][0], spec.label)

    return waits.retry(
        create,
        lambda error: is_not_found(error) or (error.code == "ValidationError" and vpc_id in error.message),
        awaited=f"target group {spec.label}",
    )


def _health_check(check: HealthCheck) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "HealthCheckEnabled": True,
        "HealthCheckProtocol": check.protocol,
        "HealthCheckPort": check.port,
        "HealthCheckIntervalSeconds": check.interval_seconds,
        "HealthCheckTimeoutSeconds": check.timeout_seconds,
        "HealthyThresholdCount": check.healthy_threshold,
        "UnhealthyThresholdCount": check.unhealthy_threshold,
    }
    return parameters | ({"HealthCheckPath": check.path} if check.path else {})


def _target_group(answer: Any, label: str) -> TargetGroup:
    return TargetGroup(
        arn=answer["TargetGroupArn"],
        name=answer["TargetGroupName"],
        label=label,
        port=answer["Port"],
        health_check=HealthCheck(
            protocol=answer["HealthCheckProtocol"],
            port=str(answer["HealthCheckPort"]),
            path=answer.get("HealthCheckPath") or None,
            interval_seconds=answer["HealthCheckIntervalSeconds"],
            timeout_seconds=answer["HealthCheckTimeoutSeconds"],
            healthy_threshold=answer["HealthyThresholdCount"],
            unhealthy_threshold=answer["UnhealthyThresholdCount"],
        ),
    )
