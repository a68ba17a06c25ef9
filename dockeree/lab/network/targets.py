"""Which targets a balancer may use, and what EC2 says of each. Pure.

The rules are those of a network load balancer: healthy targets only; all of them where none is healthy (it fails
open); with cross-zone balancing off, each of its addresses uses its own zone's targets and leaves the name when it has
no healthy one; draining targets get nothing new.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dockeree.lab.world import (
    Balancer,
    InstanceNetwork,
    Interface,
    Listener,
    Snapshot,
    Target,
    TargetGroup,
    TargetHealth,
)

IsHealthy = Callable[[TargetGroup, Target], bool]


@dataclass(frozen=True)
class BalancerView:
    """One balancer and all that its work needs to know, taken from one snapshot."""

    balancer: Balancer
    groups: Mapping[str, TargetGroup]
    """The target groups of its listeners, by ARN."""
    instances: Mapping[str, InstanceNetwork]
    """The instances of its VPC, by id."""
    zones: Mapping[str, str]
    """The zone of each of its interfaces, by interface id."""

    def group_of(self, listener: Listener) -> TargetGroup | None:
        """The target group behind a listener."""
        return self.groups.get(listener.target_group_arn)

    def address_of(self, target: Target) -> str | None:
        """The private address of a target, None where its instance has gone."""
        instance = self.instances.get(target.instance_id)
        return None if instance is None else instance.interface.private_ip

    def is_reachable(self, target: Target) -> bool:
        """Whether a target runs, in a zone that the balancer has an interface in."""
        instance = self.instances.get(target.instance_id)
        return instance is not None and instance.running and instance.zone in self.zones.values()

    def candidates(self, group: TargetGroup, zone: str, is_healthy: IsHealthy) -> list[Target]:
        """The targets for a new connection that came in through `zone`."""
        usable = [t for t in group.targets if not t.draining and self.is_reachable(t)]
        in_reach = [t for t in usable if self.balancer.cross_zone or self.instances[t.instance_id].zone == zone]
        healthy = [t for t in in_reach if is_healthy(group, t)]
        if healthy:
            return healthy
        return [] if any(is_healthy(group, t) for t in usable) else in_reach

    def is_same_instance(self, target: Target, client_address: str) -> bool:
        """Whether a client's address, private or public, is the target's own."""
        instance = self.instances.get(target.instance_id)
        return instance is not None and client_address in (
            instance.interface.private_ip,
            instance.interface.public_ip,
        )

    def named_interfaces(self, is_healthy: IsHealthy) -> list[Interface]:
        """The interfaces whose addresses the balancer's name has: a zone that has nobody to send to is left out."""
        groups = list(self.groups.values())
        named = [
            interface
            for interface in self.balancer.interfaces
            if not groups or any(self.candidates(group, self.zones[interface.id], is_healthy) for group in groups)
        ]
        return named or list(self.balancer.interfaces)


def view_of(snapshot: Snapshot, balancer: Balancer) -> BalancerView:
    """What `balancer` has to know of `snapshot`."""
    subnets = {subnet.id: subnet for subnet in snapshot.subnets if subnet.vpc_id == balancer.vpc_id}
    used = {listener.target_group_arn for listener in balancer.listeners}
    return BalancerView(
        balancer=balancer,
        groups={group.arn: group for group in snapshot.target_groups if group.arn in used},
        instances={
            instance.instance_id: instance for instance in snapshot.instances if instance.interface.subnet_id in subnets
        },
        zones={interface.id: subnets[interface.subnet_id].zone for interface in balancer.interfaces},
    )


def choose(candidates: list[Target], client: tuple[str, int], listener_port: int) -> Target | None:
    """The target of one flow: a hash of the flow over the candidates, as a network load balancer does it."""
    if not candidates:
        return None
    flow = f"{client[0]}:{client[1]}:{listener_port}".encode()
    return candidates[zlib.crc32(flow) % len(candidates)]


def health_outside_checks(view: BalancerView | None, group_arn: str, target: Target) -> TargetHealth | None:
    """What is known of a target without asking it; None where the checks decide."""
    if view is None or group_arn not in view.groups:
        return TargetHealth(
            "unused",
            "Target.NotInUse",
            "Target group is not configured to receive traffic from the load balancer",
        )
    registered = [
        t for t in view.groups[group_arn].targets if (t.instance_id, t.port) == (target.instance_id, target.port)
    ]
    if not registered:
        return TargetHealth("unused", "Target.NotRegistered", "Target is not registered to the target group")
    if registered[0].draining:
        return TargetHealth("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
    instance = view.instances.get(target.instance_id)
    if instance is None or not instance.running:
        return TargetHealth("unused", "Target.InvalidState", "Target is in the stopped state")
    if instance.zone not in view.zones.values():
        return TargetHealth(
            "unused",
            "Target.NotInUse",
            "Target is in an Availability Zone that is not enabled for the load balancer",
        )
    if not view.balancer.active:
        return TargetHealth("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
    return None
