"""What EC2 refuses to delete because something depends on it, and that nothing is left of what it does delete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import EC2Backend

from dockeree.lab.aws.core import Lab


def install(lab: Lab) -> None:
    """Put the refusals in front of moto's deletions, and take the tags of what is deleted."""
    _install_networks(lab)
    _install_groups(lab)
    _install_interfaces(lab)
    for name in ("delete_volume", "delete_internet_gateway", "delete_snapshot", "delete_network_acl"):
        lab.extend(EC2Backend, name)(_take_tags)

    @lab.extend(EC2Backend, "delete_key_pair")
    def delete_key_pair(original: Any, backend: Any, name: str) -> Any:
        pair = original(backend, name)
        if pair is not None:
            backend.tags.pop(pair.id, None)
        return pair


def _take_tags(original: Any, backend: Any, *args: Any, **kwargs: Any) -> Any:
    result = original(backend, *args, **kwargs)
    backend.tags.pop(next(iter([*args, *kwargs.values()])), None)
    return result


def _install_networks(lab: Lab) -> None:
    @lab.extend(EC2Backend, "delete_subnet")
    def delete_subnet(original: Any, backend: Any, subnet_id: str) -> Any:
        if any(interface.subnet.id == subnet_id for interface in backend.enis.values()):
            raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
        subnet = original(backend, subnet_id)
        for table in backend.route_tables.values():
            table._associations = {key: value for key, value in table._associations.items() if value != subnet_id}
        for acl in backend.network_acls.values():
            acl._associations = {key: value for key, value in acl._associations.items() if value.subnet_id != subnet_id}
        backend.tags.pop(subnet_id, None)
        return subnet

    @lab.extend(EC2Backend, "detach_internet_gateway")
    def detach_gateway(original: Any, backend: Any, internet_gateway_id: str, vpc_id: str) -> Any:
        if any(interface.public_ip for interface in _interfaces(backend, vpc_id)):
            raise DependencyViolationError(
                f"Network {vpc_id} has some mapped public address(es). "
                "Please unmap those public address(es) before detaching the gateway."
            )
        return original(backend, internet_gateway_id, vpc_id)

    @lab.extend(EC2Backend, "delete_vpc")
    def delete_vpc(original: Any, backend: Any, vpc_id: str) -> Any:
        backend.get_vpc(vpc_id)
        if any(_inside(backend, vpc_id)):
            raise DependencyViolationError(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
        # The default group goes with the VPC; asked for alone it is refused.
        ids = [vpc_id, *backend.groups.pop(vpc_id, {})]
        for table in [table for table in backend.route_tables.values() if table.vpc_id == vpc_id]:
            ids.append(backend.route_tables.pop(table.id).id)
        for acl in [acl for acl in backend.network_acls.values() if acl.vpc_id == vpc_id]:
            ids.append(backend.network_acls.pop(acl.id).id)
        vpc = original(backend, vpc_id)
        for resource_id in ids:
            backend.tags.pop(resource_id, None)
        backend.groups.pop(vpc_id, None)
        return vpc

    @lab.extend(EC2Backend, "delete_route_table")
    def delete_route_table(original: Any, backend: Any, route_table_id: str) -> Any:
        if backend.get_route_table(route_table_id).main_association_id is not None:
            raise DependencyViolationError(f"The routeTable '{route_table_id}' has dependencies and cannot be deleted.")
        original(backend, route_table_id)
        backend.tags.pop(route_table_id, None)


def _interfaces(backend: Any, vpc_id: str) -> Iterator[Any]:
    return (interface for interface in backend.enis.values() if interface.subnet.vpc_id == vpc_id)


def _inside(backend: Any, vpc_id: str) -> Iterator[Any]:
    """What keeps a VPC from being deleted."""
    yield from (
        subnet for in_zone in backend.subnets.values() for subnet in in_zone.values() if subnet.vpc_id == vpc_id
    )
    yield from _interfaces(backend, vpc_id)
    yield from (group for group in backend.groups[vpc_id].values() if not _is_default(group))
    yield from (gateway for gateway in backend.internet_gateways.values() if gateway.vpc and gateway.vpc.id == vpc_id)
    yield from (
        table for table in backend.route_tables.values() if table.vpc_id == vpc_id and table.main_association_id is None
    )
    yield from (acl for acl in backend.network_acls.values() if acl.vpc_id == vpc_id and not acl.default)
    yield from (endpoint for endpoint in backend.vpc_end_points.values() if endpoint.vpc_id == vpc_id)


def _is_default(group: Any) -> bool:
    return bool(group.is_default or group.name == "default")


def _install_groups(lab: Lab) -> None:
    @lab.extend(EC2Backend, "delete_security_group")
    def delete_group(original: Any, backend: Any, name: Any = None, group_id: Any = None) -> Any:
        group = backend.get_security_group_from_id(group_id) if group_id else backend.get_security_group_from_name(name)
        if group is None:
            raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{group_id or name}' does not exist")
        if _is_default(group):
            raise EC2ClientError(
                "CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
            )
        if _on_an_interface(backend, group) or _named_by_a_rule(backend, group):
            raise DependencyViolationError(f"resource {group.id} has a dependent object")
        original(backend, group_id=group.id)
        for rule in [*group.ingress_rules, *group.egress_rules]:
            backend.tags.pop(rule.id, None)
        backend.tags.pop(group.id, None)


def _on_an_interface(backend: Any, group: Any) -> bool:
    return any(group in interface._group_set for interface in backend.enis.values())


def _named_by_a_rule(backend: Any, group: Any) -> bool:
    others = [other for in_vpc in backend.groups.values() for other in in_vpc.values() if other is not group]
    return any(
        rule.source_group.get("GroupId") == group.id
        for other in others
        for rule in [*other.ingress_rules, *other.egress_rules]
    )


def _install_interfaces(lab: Lab) -> None:
    @lab.extend(EC2Backend, "delete_network_interface")
    def delete_interface(original: Any, backend: Any, eni_id: str) -> None:
        interface = backend.get_network_interface(eni_id)
        if interface.attachment_id is not None:
            raise EC2ClientError("InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.")
        original(backend, eni_id)
        backend.tags.pop(eni_id, None)

    @lab.extend(EC2Backend, "release_address")
    def release_address(original: Any, backend: Any, address: Any = None, allocation_id: Any = None) -> None:
        original(backend, address, allocation_id)
        backend.tags.pop(allocation_id, None)
