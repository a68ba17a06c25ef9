"""Security groups and their rules, one by one: what is wanted, what is there, what somebody else has added.

Each of dockeree's rules carries the cluster's tags (rules are resources of their own since 2021), so a rule of the
operator's is told from one that the configuration no longer asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from dockeree.aws.deleting import delete_when_free
from dockeree.aws.tags import Owner, as_dict, filters, only
from dockeree.aws.waits import Waits, is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

RULES_PER_GROUP = 60
"""AWS's default quota of rules a group and direction (L-0EA8095F)."""


@dataclass(frozen=True, order=True)
class Rule:
    """One rule: `protocol` is tcp, udp, or a number as text (4 IP-in-IP, 50 ESP), which have no ports; -1 is all.

    `peer` is a CIDR or a group's id.
    """

    direction: Literal["ingress", "egress"]
    protocol: str
    from_port: int | None
    to_port: int | None
    peer: str

    def __str__(self) -> str:
        ports = "" if self.from_port is None else f" {self.from_port}"
        if self.to_port not in (None, self.from_port):
            ports += f"-{self.to_port}"
        protocol = {"-1": "everything", "4": "IP-in-IP", "50": "ESP"}.get(self.protocol, self.protocol)
        return f"{self.direction} {protocol}{ports} {'from' if self.direction == 'ingress' else 'to'} {self.peer}"


ALL_OUTWARDS = Rule("egress", "-1", None, None, "0.0.0.0/0")
"""What every new group allows."""


@dataclass(frozen=True)
class RuleFound:
    """A rule as AWS has it. `is_ours`: it carries the cluster's tags."""

    id: str
    rule: Rule
    is_ours: bool


@dataclass(frozen=True)
class RulesChanged:
    """What ensure_rules did: `foreign` are rules of somebody else's, which were left."""

    added: tuple[Rule, ...]
    removed: tuple[Rule, ...]
    foreign: tuple[Rule, ...]


def group_name(owner: Owner, role: str) -> str:
    """The group's name, unique in the VPC."""
    return f"{owner.cluster}-{role}"


def find_groups(aws: Aws, owner: Owner) -> dict[str, str]:
    """The cluster's groups: id by role. Raises AwsError when there are two of a role."""
    pages = aws.ec2.get_paginator("describe_security_groups").paginate(Filters=owner.filters())
    found: dict[str, list[str]] = {}
    for page in pages:
        for group in page["SecurityGroups"]:
            found.setdefault(as_dict(group.get("Tags"))["dockeree:role"], []).append(group["GroupId"])
    return {role: str(only(ids, f"security group {role} of {owner.cluster}", ids)) for role, ids in found.items()}


def ensure_group(
    aws: Aws, owner: Owner, *, vpc_id: str, role: str, description: str, existing: str | None
) -> tuple[str, bool]:
    """The group of `role`: its id and whether it was made. The name protects it from being made twice."""
    if existing is not None:
        return existing, False
    answer = aws.ec2.create_security_group(
        GroupName=group_name(owner, role),
        Description=description,
        VpcId=vpc_id,
        TagSpecifications=owner.tag_specifications(role, "security-group"),
    )
    return answer["GroupId"], True


def find_rules(aws: Aws, owner: Owner, group_id: str) -> list[RuleFound]:
    """Every rule of a group."""
    pages = aws.ec2.get_paginator("describe_security_group_rules").paginate(Filters=filters({"group-id": group_id}))
    return [_rule_found(answer, owner) for page in pages for answer in page["SecurityGroupRules"]]


def ensure_rules(
    aws: Aws, owner: Owner, *, group_id: str, role: str, wanted: Collection[Rule], waits: Waits
) -> RulesChanged:
    """Add what is missing of `wanted`, take away dockeree's own rules that are not in it, leave what others added.

    A group whose wanted rules have an egress loses the "everything outwards" that AWS puts into each new group.
    """
    found = waits.retry(lambda: find_rules(aws, owner, group_id), is_not_found, awaited=f"security group {group_id}")
    there = {item.rule for item in found}
    missing = sorted(rule for rule in wanted if rule not in there)
    limits_egress = any(rule.direction == "egress" for rule in wanted)
    _authorize(aws, owner, group_id, role, missing, waits)
    surplus = [
        item
        for item in found
        if item.rule not in wanted and (item.is_ours or (limits_egress and item.rule == ALL_OUTWARDS))
    ]
    _revoke(aws, group_id, surplus)
    foreign = [item.rule for item in found if item.rule not in wanted and item not in surplus]
    return RulesChanged(
        added=tuple(missing),
        removed=tuple(item.rule for item in surplus),
        foreign=tuple(sorted(rule for rule in foreign if rule != ALL_OUTWARDS)),
    )


def delete_groups(aws: Aws, owner: Owner, waits: Waits) -> bool:
    """Delete the cluster's groups. Rules that name another group are revoked first: they hold that group."""
    groups = find_groups_of_any_number(aws, owner)
    for group_id, _ in groups:
        naming_groups = [item for item in find_rules(aws, owner, group_id) if item.rule.peer.startswith("sg-")]
        _revoke(aws, group_id, naming_groups)
    for group_id, vpc_id in groups:
        delete = partial(aws.ec2.delete_security_group, GroupId=group_id)
        delete_when_free(aws, waits, delete, what=f"security group {group_id}", vpc_id=vpc_id)
    return bool(groups)


def find_groups_of_any_number(aws: Aws, owner: Owner) -> list[tuple[str, str]]:
    """Every group with the cluster's tags, also two of a role: its id and its VPC's."""
    pages = aws.ec2.get_paginator("describe_security_groups").paginate(Filters=owner.filters())
    return [(group["GroupId"], group["VpcId"]) for page in pages for group in page["SecurityGroups"]]


def _authorize(aws: Aws, owner: Owner, group_id: str, role: str, rules: Sequence[Rule], waits: Waits) -> None:
    """Add rules, all of a direction in one call; one by one where some of them turn out to be there already."""
    tags = owner.tag_specifications(role, "security-group-rule")
    calls: dict[str, Any] = {
        "ingress": partial(aws.ec2.authorize_security_group_ingress, GroupId=group_id, TagSpecifications=tags),
        "egress": partial(aws.ec2.authorize_security_group_egress, GroupId=group_id, TagSpecifications=tags),
    }

    def add(direction: str, some: Sequence[Rule]) -> None:
        permissions = [_permission(rule) for rule in some]
        waits.retry(
            lambda: calls[direction](IpPermissions=permissions), is_not_found, awaited=f"security group {group_id}"
        )

    for direction in calls:
        some = [rule for rule in rules if rule.direction == direction]
        try:
            if some:
                add(direction, some)
        except AwsError as error:
            if error.code != "InvalidPermission.Duplicate":
                raise
            for rule in some:
                _unless_duplicate(partial(add, direction, [rule]))


def _unless_duplicate(add: Callable[[], None]) -> None:
    try:
        add()
    except AwsError as error:
        if error.code != "InvalidPermission.Duplicate":
            raise


def _revoke(aws: Aws, group_id: str, items: Sequence[RuleFound]) -> None:
    """Take rules away, all of a direction in one call; rules that are gone meanwhile are fine."""
    for direction in ("ingress", "egress"):
        ids = [item.id for item in items if item.rule.direction == direction]
        if not ids:
            continue
        try:
            if direction == "ingress":
                aws.ec2.revoke_security_group_ingress(GroupId=group_id, SecurityGroupRuleIds=ids)
            else:
                aws.ec2.revoke_security_group_egress(GroupId=group_id, SecurityGroupRuleIds=ids)
        except AwsError as error:
            if not is_not_found(error):
                raise


def _permission(rule: Rule) -> dict[str, Any]:
    # -1 is what AWS itself answers for the ports of a protocol that has none.
    first = -1 if rule.from_port is None else rule.from_port
    last = -1 if rule.to_port is None else rule.to_port
    permission: dict[str, Any] = {"IpProtocol": rule.protocol, "FromPort": first, "ToPort": last}
    if rule.peer.startswith("sg-"):
        permission["UserIdGroupPairs"] = [{"GroupId": rule.peer}]
    else:
        permission["IpRanges"] = [{"CidrIp": rule.peer}]
    return permission


def _rule_found(answer: Any, owner: Owner) -> RuleFound:
    protocol = {"6": "tcp", "17": "udp"}.get(str(answer["IpProtocol"]), str(answer["IpProtocol"]))
    has_ports = protocol in {"tcp", "udp"}
    return RuleFound(
        id=answer["SecurityGroupRuleId"],
        rule=Rule(
            direction="egress" if answer["IsEgress"] else "ingress",
            protocol=protocol,
            # AWS answers -1 for the ports of protocols that have none.
            from_port=answer.get("FromPort") if has_ports else None,
            to_port=answer.get("ToPort") if has_ports else None,
            peer=_peer(answer),
        ),
        is_ours=owner.owns(as_dict(answer.get("Tags"))),
    )


def _peer(answer: Any) -> str:
    group = answer.get("ReferencedGroupInfo") or {}
    return str(
        answer.get("CidrIpv4") or answer.get("CidrIpv6") or answer.get("PrefixListId") or group.get("GroupId") or ""
    )


def rules_per_direction(rules: Sequence[Rule]) -> int:
    """The greater of the two numbers of rules, which RULES_PER_GROUP limits."""
    ingress = sum(1 for rule in rules if rule.direction == "ingress")
    return max(ingress, len(rules) - ingress)
