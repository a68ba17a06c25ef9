"""Network load balancers as AWS runs them: slow to come, with interfaces of their own, strict about their settings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from moto.elbv2.exceptions import (
    DuplicateLoadBalancerName,
    ELBClientError,
    InvalidConfigurationRequest,
    LoadBalancerNotFoundError,
    ValidationError,
)
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer, elbv2_backends

from dockeree.lab.aws import elb_interfaces, elb_tags, iam, listeners
from dockeree.lab.aws.core import Lab
from dockeree.lab.settings import ACCOUNT_ID
from dockeree.lab.world import Balancer

PROVISIONING_SECONDS = 150.0
"""From CreateLoadBalancer to `active` (AWS: two to three minutes)."""

FREE_ADDRESSES = 8
"""What each subnet must have left for a balancer."""

HOSTED_ZONE_IDS = {
    "us-east-1": "Z26RNL4JYFTOTI",
    "us-east-2": "ZLMOA37VPKANP",
    "us-west-1": "Z24FKFUX50B4VW",
    "us-west-2": "Z18D5FSROUN65G",
    "eu-west-1": "Z2IFOLAFXWLO4F",
    "eu-central-1": "Z3F0SRJ5LGBH90",
}
"""The Route 53 zones that network load balancers' names live in; an alias must name the right one."""

DEFAULT_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "dns_record.client_routing_policy": "any_availability_zone",
    "load_balancing.cross_zone.enabled": "false",
    "zonal_shift.config.enabled": "false",
}


def create(lab: Lab, original: Any, backend: Any, **request: Any) -> Any:
    """CreateLoadBalancer: check everything, then make the balancer `provisioning` with its interfaces."""
    request["scheme"] = request.get("scheme") or "internet-facing"
    _check_name(request["name"])
    if (request.get("loadbalancer_type") or "application") != "network":
        raise ValidationError("The lab runs load balancers of type 'network' only")
    if request.get("subnet_mappings"):
        raise ValidationError("The lab's load balancers take Subnets, not SubnetMappings")
    with lab.lock:
        subnets = _check_subnets(backend, request["subnet_ids"], request["scheme"])
        _check_groups(backend, request["security_groups"], subnets[0].vpc_id)
        elb_tags.check(request.get("tags"))
        existing = next((b for b in backend.load_balancers.values() if b.name == request["name"]), None)
        if existing is not None:
            return _same_or_refused(existing, request)
        iam.ensure_service_linked_role(lab, "elasticloadbalancing.amazonaws.com")
        tags = request.pop("tags", None)
        balancer = original(backend, **request)
        _dress(lab, backend, balancer)
        backend.tagging_service.tag_resource(balancer.arn, tags)
    lab.changed()
    return balancer


def _check_name(name: str) -> None:
    if len(name) > 32:
        raise ValidationError(f"The load balancer name '{name}' cannot be longer than '32' characters")
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise ValidationError(
            f"The load balancer name '{name}' can only contain characters that are alphanumeric or hyphens(-)"
        )
    if name.startswith(("-", "internal-")) or name.endswith("-"):
        raise ValidationError(
            f"The load balancer name '{name}' cannot begin or end with '-', nor begin with 'internal-'"
        )


def _check_subnets(backend: Any, subnet_ids: list[str], scheme: str) -> list[Any]:
    if not subnet_ids:
        raise ValidationError("At least one subnet must be specified")
    known = {subnet.id: subnet for subnet in backend.ec2_backend.describe_subnets()}
    missing = [subnet_id for subnet_id in subnet_ids if subnet_id not in known]
    if missing:
        raise ELBClientError("SubnetNotFound", f"The subnet ID '{missing[0]}' does not exist")
    subnets = [known[subnet_id] for subnet_id in subnet_ids]
    if len({subnet.vpc_id for subnet in subnets}) > 1:
        raise InvalidConfigurationRequest("All subnets must belong to the same VPC")
    if len({subnet.availability_zone for subnet in subnets}) < len(subnets):
        raise InvalidConfigurationRequest(
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone"
        )
    full = [subnet.id for subnet in subnets if subnet.available_ip_address_count < FREE_ADDRESSES]
    if full:
        raise ELBClientError(
            "InvalidSubnet",
            f"Not enough IP space available in {full[0]}. ELB requires at least {FREE_ADDRESSES} free IP addresses "
            "in each subnet.",
        )
    if scheme == "internet-facing" and not _has_gateway(backend.ec2_backend, subnets[0].vpc_id):
        raise ELBClientError("InvalidSubnet", f"VPC {subnets[0].vpc_id} has no internet gateway")
    return subnets


def _has_gateway(ec2: Any, vpc_id: str) -> bool:
    return any(gateway.vpc is not None and gateway.vpc.id == vpc_id for gateway in ec2.internet_gateways.values())


def _check_groups(backend: Any, group_ids: Iterable[str], vpc_id: str) -> None:
    for group_id in group_ids:
        group = backend.ec2_backend.get_security_group_from_id(group_id)
        if group is None:
            raise ELBClientError("InvalidSecurityGroup", f"The security group '{group_id}' does not exist")
        if group.vpc_id != vpc_id:
            raise InvalidConfigurationRequest("One or more security groups are invalid")


def _same_or_refused(existing: Any, request: dict[str, Any]) -> Any:
    same = (
        existing.type == "network"
        and existing.scheme == request["scheme"]
        and {subnet.id for subnet in existing.subnets} == set(request["subnet_ids"])
        and set(existing.security_groups) == set(request["security_groups"])
        and existing.ip_address_type == (request.get("ip_address_type") or "ipv4")
    )
    if not same:
        raise DuplicateLoadBalancerName(
            f"A load balancer with the same name '{existing.name}' exists, but with different settings"
        )
    return existing


def _dress(lab: Lab, backend: Any, balancer: Any) -> None:
    """Give moto's model what AWS's balancer has: interfaces, its name in the DNS, attributes, and time to come up."""
    del backend.load_balancers[balancer.arn]
    balancer.arn = balancer.arn.replace(
        ":loadbalancer/app/", ":loadbalancer/net/"
    )  # moto makes every ARN an application's
    backend.load_balancers[balancer.arn] = balancer
    balancer.dns_name = f"{balancer.name}-{balancer.arn.rsplit('/', 1)[1]}.elb.{backend.region_name}.amazonaws.com"
    balancer.canonical_hosted_zone_id = HOSTED_ZONE_IDS.get(backend.region_name, HOSTED_ZONE_IDS["us-east-1"])
    balancer.attrs = dict(DEFAULT_ATTRIBUTES)
    balancer.interfaces = elb_interfaces.attach(lab, backend.ec2_backend, balancer)

    def activate() -> None:
        balancer.state = "active"
        lab.changed()

    lab.later(PROVISIONING_SECONDS, activate)


def delete(lab: Lab, backend: Any, arn: str) -> None:
    """DeleteLoadBalancer: gone at once from the describes, with its listeners; its interfaces linger."""
    with lab.lock:
        balancer = backend.load_balancers.get(arn)
        if balancer is None:
            return  # AWS: deleting what is not there succeeds
        if balancer.attrs["deletion_protection.enabled"] == "true":
            raise ELBClientError(
                "OperationNotPermitted",
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
            )
        del backend.load_balancers[arn]
        listeners.refresh_associations(backend)
        backend.tagging_service.delete_all_tags_for_resource(arn)
        elb_interfaces.release_later(lab, backend.ec2_backend, balancer.interfaces)
    lab.changed()


def find(backend: Any, arns: list[str] | None, names: list[str] | None) -> list[Any]:
    """The balancers asked for; a name or ARN that is not there is LoadBalancerNotFound."""
    balancers = list(backend.load_balancers.values())
    if arns:
        by_arn = {balancer.arn: balancer for balancer in balancers}
        return [_known(by_arn, arn) for arn in dict.fromkeys(arns)]
    if names:
        by_name = {balancer.name: balancer for balancer in balancers}
        return [_known(by_name, name) for name in dict.fromkeys(names)]
    return balancers


def _known(balancers: dict[str, Any], key: str) -> Any:
    if key not in balancers:
        raise LoadBalancerNotFoundError(f"Load balancer '{key}' not found")
    return balancers[key]


def set_security_groups(lab: Lab, original: Any, backend: Any, arn: str, group_ids: list[str]) -> None:
    """SetSecurityGroups: only on a balancer that was made with some, and never back to none."""
    with lab.lock:
        balancer = _known(backend.load_balancers, arn)
        if not balancer.security_groups:
            raise InvalidConfigurationRequest(
                "Security groups can only be set on a Network Load Balancer that was created with security groups"
            )
        if not group_ids:
            raise InvalidConfigurationRequest("At least one security group must be specified")
        _check_groups(backend, group_ids, balancer.vpc_id)
        original(backend, arn, group_ids)
        elb_interfaces.set_groups(backend.ec2_backend, balancer.interfaces, group_ids)
    lab.changed()


def modify_attributes(lab: Lab, backend: Any, arn: str, attributes: dict[str, str]) -> dict[str, str]:
    """ModifyLoadBalancerAttributes: the keys of network load balancers alone."""
    balancer = _known(backend.load_balancers, arn)
    for key, value in attributes.items():
        if key not in DEFAULT_ATTRIBUTES:
            raise ValidationError(f"Load balancer attribute key '{key}' is not recognized")
        if key.endswith(".enabled") and value not in ("true", "false"):
            raise ValidationError(f"Load balancer attribute value '{value}' of '{key}' must be 'true' or 'false'")
    balancer.attrs.update(attributes)
    lab.changed()
    return dict(balancer.attrs)


def install(lab: Lab) -> None:
    """Lay the behaviours of network load balancers over moto."""

    @lab.extend(FakeLoadBalancer, "activate")
    def activate(_original: Any, _balancer: Any) -> None:
        """Time activates a balancer, not a describe."""

    @lab.extend(ELBv2Backend, "create_load_balancer")
    def create_load_balancer(original: Any, backend: Any, **request: Any) -> Any:
        return create(lab, original, backend, **request)

    @lab.extend(ELBv2Backend, "delete_load_balancer")
    def delete_load_balancer(_original: Any, backend: Any, arn: str) -> None:
        delete(lab, backend, arn)

    @lab.extend(ELBv2Backend, "describe_load_balancers")
    def describe_load_balancers(_original: Any, backend: Any, arns: Any, names: Any) -> list[Any]:
        return find(backend, arns, names)

    @lab.extend(ELBv2Backend, "set_security_groups")
    def set_groups(original: Any, backend: Any, arn: str, sec_groups: list[str]) -> None:
        set_security_groups(lab, original, backend, arn, sec_groups)

    @lab.extend(ELBv2Backend, "set_subnets")
    def set_subnets(_original: Any, _backend: Any, *_args: Any) -> None:
        raise InvalidConfigurationRequest("The lab's load balancers keep the subnets they were made with")

    @lab.extend(ELBv2Backend, "modify_load_balancer_attributes")
    def modify(_original: Any, backend: Any, arn: str, attrs: dict[str, str]) -> dict[str, str]:
        return modify_attributes(lab, backend, arn, attrs)


def snapshot_balancers(lab: Lab) -> tuple[Balancer, ...]:
    """Every balancer of the account with its listeners, as the network is to make it."""
    with lab.lock:
        return tuple(
            _as_world(balancer)
            for backend in elbv2_backends[ACCOUNT_ID].values()
            for balancer in backend.load_balancers.values()
        )


def _as_world(balancer: Any) -> Balancer:
    return Balancer(
        arn=balancer.arn,
        name=balancer.name,
        dns_name=balancer.dns_name,
        vpc_id=balancer.vpc_id,
        internet_facing=balancer.scheme == "internet-facing",
        cross_zone=balancer.attrs["load_balancing.cross_zone.enabled"] == "true",
        active=balancer.state == "active",
        interfaces=tuple(interface.as_world() for interface in balancer.interfaces),
        listeners=tuple(listeners.as_world(listener) for listener in balancer.listeners.values()),
    )
