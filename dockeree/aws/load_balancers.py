"""Network load balancers: TCP pass-through, their listeners and private addresses (targets: target_groups.py).

Names are fixed (`NAME-ID-ucp`): Elastic Load Balancing's listings cannot be filtered by tag. CreateLoadBalancer with
the same name and settings answers the balancer that is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dockeree.aws.tags import Owner, filters
from dockeree.aws.waits import Waits, is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

BALANCER_ROLES = ("ucp", "dtr", "apps")
PROVISIONING_SECONDS = 900.0
"""A network load balancer takes two to five minutes; twice that is not unheard of."""
INTERFACES_SECONDS = 900.0
"""How long a deleted balancer's network interfaces may linger."""
CROSS_ZONE = {"load_balancing.cross_zone.enabled": "true"}
IDLE_TIMEOUT = "tcp.idle_timeout.seconds"


@dataclass(frozen=True)
class LoadBalancer:
    """A balancer: `state` is provisioning, active, active_impaired or failed; `zone_id` is for Route 53's aliases."""

    arn: str
    name: str
    role: str
    dns_name: str
    zone_id: str
    state: str
    group_ids: tuple[str, ...]
    subnet_ids: tuple[str, ...]


@dataclass(frozen=True)
class Listener:
    """A listener as it is: where its connections go."""

    arn: str
    port: int
    target_group_arn: str


def balancer_name(owner: Owner, role: str) -> str:
    """`NAME-ID-ucp`: at most 12 + 1 + 8 + 5 of 32 characters."""
    return f"{owner.fixed_name}-{role}"


def find_balancers(aws: Aws, owner: Owner) -> dict[str, LoadBalancer]:
    """The cluster's balancers by role (ucp, dtr, apps)."""
    names = {balancer_name(owner, role): role for role in BALANCER_ROLES}
    pages = aws.elbv2.get_paginator("describe_load_balancers").paginate()
    return {
        names[answer["LoadBalancerName"]]: _balancer(answer, names[answer["LoadBalancerName"]])
        for page in pages
        for answer in page["LoadBalancers"]
        if answer["LoadBalancerName"] in names
    }


def create_balancer(
    aws: Aws, owner: Owner, *, role: str, subnet_ids: Sequence[str], group_id: str, waits: Waits
) -> LoadBalancer:
    """Create a balancer that faces the internet, with a security group: one made without never takes any."""

    def create() -> LoadBalancer:
        answer = aws.elbv2.create_load_balancer(
            Name=balancer_name(owner, role),
            Type="network",
            Scheme="internet-facing",
            IpAddressType="ipv4",
            Subnets=list(subnet_ids),
            SecurityGroups=[group_id],
            Tags=owner.tag_list(role),
        )
        return _balancer(answer["LoadBalancers"][0], role)

    return waits.retry(create, _is_not_ready, awaited=f"balancer {role}", timeout_seconds=120.0)


def ensure_cross_zone(aws: Aws, balancer: LoadBalancer) -> bool:
    """Each balancer node hands connections to the targets of every zone; whether anything was changed."""
    answer = aws.elbv2.describe_load_balancer_attributes(LoadBalancerArn=balancer.arn)
    if _has(answer["Attributes"], CROSS_ZONE):
        return False
    aws.elbv2.modify_load_balancer_attributes(LoadBalancerArn=balancer.arn, Attributes=_attributes(CROSS_ZONE))
    return True


def wait_for_active(aws: Aws, owner: Owner, roles: Sequence[str], waits: Waits) -> None:
    """Wait until the balancers of `roles` are active. A failed one is an error at once."""

    def probe() -> tuple[bool | None, str]:
        found = find_balancers(aws, owner)
        states = {role: found[role].state if role in found else "not there" for role in roles}
        if failed := [role for role, state in states.items() if state == "failed"]:
            raise AwsError(
                f"AWS could not provision the balancer {', '.join(failed)}",
                "Run `dockeree destroy`, then `dockeree up`; if it happens again, ask AWS's support.",
                code="failed",
            )
        answer = ", ".join(f"{role} {state}" for role, state in states.items())
        waits.detail(answer)
        return (True if all(state == "active" for state in states.values()) else None), answer

    waits.until(probe, awaited="balancers active", timeout_seconds=PROVISIONING_SECONDS, interval_seconds=2.0)


def private_addresses(aws: Aws, balancer: LoadBalancer) -> list[str]:
    """The balancer's private addresses, one a subnet, from the network interfaces that it owns.

    Their description, `ELB net/NAME/…`, is the documented way from a balancer to its interfaces.
    """
    pages = aws.ec2.get_paginator("describe_network_interfaces").paginate(
        Filters=filters({"description": _interface_description(balancer.arn)})
    )
    return sorted(
        interface["PrivateIpAddress"]
        for page in pages
        for interface in page["NetworkInterfaces"]
        if interface.get("PrivateIpAddress")
    )


def delete_balancers(aws: Aws, owner: Owner, vpc_ids: Sequence[str], waits: Waits) -> bool:
    """Delete the balancers, and wait until their interfaces in the cluster's VPC are gone; True when any was there.

    The wait looks for the interfaces also when no balancer is left: an earlier run may have been killed in between.
    """
    found = find_balancers(aws, owner)
    for balancer in found.values():
        aws.elbv2.delete_load_balancer(LoadBalancerArn=balancer.arn)
    prefixes = tuple(f"ELB net/{balancer_name(owner, role)}/" for role in BALANCER_ROLES)

    def probe() -> tuple[bool | None, str]:
        left = [text for text in interface_descriptions(aws, vpc_ids) if text.startswith(prefixes)]
        if left:
            waits.detail(f"{len(left)} network interfaces of the balancers are still there")
        return (None if left else True), ", ".join(left)

    waits.until(
        probe, awaited="balancers' network interfaces gone", timeout_seconds=INTERFACES_SECONDS, interval_seconds=2.0
    )
    return bool(found)


def interface_descriptions(aws: Aws, vpc_ids: Sequence[str]) -> list[str]:
    """The descriptions of the network interfaces in the VPCs."""
    if not vpc_ids:
        return []
    pages = aws.ec2.get_paginator("describe_network_interfaces").paginate(Filters=filters({"vpc-id": vpc_ids}))
    return [interface.get("Description", "") for page in pages for interface in page["NetworkInterfaces"]]


def find_listeners(aws: Aws, balancer_arn: str) -> dict[int, Listener]:
    """The balancer's listeners by port."""
    pages = aws.elbv2.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer_arn)
    return {
        answer["Port"]: Listener(
            arn=answer["ListenerArn"],
            port=answer["Port"],
            target_group_arn=answer["DefaultActions"][0].get("TargetGroupArn", ""),
        )
        for page in pages
        for answer in page["Listeners"]
    }


def ensure_listener(
    aws: Aws,
    owner: Owner,
    *,
    balancer: LoadBalancer,
    port: int,
    target_group_arn: str,
    idle_timeout_seconds: int,
    existing: Listener | None,
) -> bool:
    """A TCP listener on `port` that forwards to the target group; whether anything was changed."""
    changed = False
    forward: Any = [{"Type": "forward", "TargetGroupArn": target_group_arn}]
    if existing is None:
        answer = aws.elbv2.create_listener(
            LoadBalancerArn=balancer.arn,
            Protocol="TCP",
            Port=port,
            DefaultActions=forward,
            Tags=owner.tag_list(balancer.role),
        )
        arn, changed = answer["Listeners"][0]["ListenerArn"], True
    else:
        arn = existing.arn
        if existing.target_group_arn != target_group_arn:
            aws.elbv2.modify_listener(ListenerArn=arn, DefaultActions=forward)
            changed = True
    wanted = {IDLE_TIMEOUT: str(idle_timeout_seconds)}
    if _has(aws.elbv2.describe_listener_attributes(ListenerArn=arn)["Attributes"], wanted):
        return changed
    aws.elbv2.modify_listener_attributes(ListenerArn=arn, Attributes=_attributes(wanted))
    return True


def delete_listener(aws: Aws, arn: str) -> None:
    """Delete a listener; one that is gone is fine."""
    try:
        aws.elbv2.delete_listener(ListenerArn=arn)
    except AwsError as error:
        if not is_not_found(error):
            raise


def find_owned(aws: Aws, owner: Owner, arns: Sequence[str]) -> set[str]:
    """Those of `arns` (balancers, listeners, target groups) that carry the cluster's tags."""
    owned: set[str] = set()
    for start in range(0, len(arns), 20):  # DescribeTags takes 20 at most
        answer = aws.elbv2.describe_tags(ResourceArns=list(arns[start : start + 20]))
        for item in answer["TagDescriptions"]:
            if owner.owns({tag["Key"]: tag.get("Value", "") for tag in item["Tags"]}):
                owned.add(item["ResourceArn"])
    return owned


def _balancer(answer: Any, role: str) -> LoadBalancer:
    return LoadBalancer(
        arn=answer["LoadBalancerArn"],
        name=answer["LoadBalancerName"],
        role=role,
        dns_name=answer["DNSName"],
        zone_id=answer.get("CanonicalHostedZoneId", ""),
        state=answer["State"]["Code"],
        group_ids=tuple(answer.get("SecurityGroups", ())),
        subnet_ids=tuple(zone["SubnetId"] for zone in answer.get("AvailabilityZones", ())),
    )


def _interface_description(balancer_arn: str) -> str:
    return "ELB " + balancer_arn.split(":loadbalancer/", 1)[1]


def _attributes(wanted: Mapping[str, str]) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in wanted.items()]


def _has(attributes: Sequence[Any], wanted: Mapping[str, str]) -> bool:
    present = {item["Key"]: item["Value"] for item in attributes}
    return all(present.get(key) == value for key, value in wanted.items())


def _is_not_ready(error: AwsError) -> bool:
    """Whether AWS does not know the new subnets, groups or gateway yet, or makes its service-linked role."""
    return error.code in {"SubnetNotFound", "InvalidSecurityGroup", "InvalidSubnet", "InvalidConfigurationRequest"} or (
        "service linked role" in error.message.lower() or "service-linked role" in error.message.lower()
    )
