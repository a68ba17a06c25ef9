"""Where a group launches next, and which member it gives up first."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dockeree.lab.aws.scaling_members import Member


def specification(group: Any) -> dict[str, Any]:
    """The launch template that a group launches from, as LaunchTemplateSpecification."""
    return {"LaunchTemplateId": group.ec2_launch_template.id, "Version": group.launch_template_version}


def subnets_in_order(ec2: Any, group: Any) -> list[Any]:
    """The group's subnets, best first: the zone with the fewest members, then the subnet with the fewest."""
    subnets = [ec2.get_subnet(subnet_id) for subnet_id in group.vpc_zone_identifier.split(",")]
    members = [member for member in group.instance_states if member.counts]
    in_zone = Counter(member.availability_zone for member in members)
    in_subnet = Counter(member.instance.subnet_id for member in members)
    return sorted(subnets, key=lambda subnet: (in_zone[subnet.availability_zone], in_subnet[subnet.id]))


def to_remove(group: Any, members: list[Member], count: int) -> list[Member]:
    """The `count` members that go first: from the fullest zone, then as the group's termination policy says.

    Members protected from scale-in stay, even if fewer can go then. `Default` prefers the oldest launch template
    version, then the oldest instance.
    """
    remaining = list(members)
    chosen: list[Member] = []
    while len(chosen) < count:
        free = [member for member in remaining if not member.protected_from_scale_in]
        if not free:
            break
        in_zone = Counter(member.availability_zone for member in remaining)
        fullest = max(in_zone[member.availability_zone] for member in free)
        candidates = [member for member in free if in_zone[member.availability_zone] == fullest]
        victim = min(candidates, key=lambda member: _rank(group.termination_policies[0], member))
        chosen.append(victim)
        remaining.remove(victim)
    return chosen


def _rank(policy: str, member: Member) -> tuple[float, float]:
    version = member.template.number if member.template is not None else 0
    if policy == "NewestInstance":
        return (-member.joined_at, 0.0)
    if policy == "OldestInstance":
        return (member.joined_at, 0.0)
    return (float(version), member.joined_at)
