"""What EC2's networking calls do beside moto's models: tell the network, and give interfaces addresses of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.responses.route_tables import RouteTables

from dockeree.lab.aws.client_tokens import ClientTokens, fingerprint
from dockeree.lab.aws.consistency import Consistency
from dockeree.lab.aws.core import Lab

_TOLD_TO_THE_NETWORK = (
    "create_vpc",
    "delete_vpc",
    "modify_vpc_attribute",
    "create_subnet",
    "delete_subnet",
    "attach_internet_gateway",
    "detach_internet_gateway",
    "create_route",
    "replace_route",
    "delete_route",
    "create_route_table",
    "delete_route_table",
    "associate_route_table",
    "disassociate_route_table",
    "replace_route_table_association",
    "create_security_group",
    "delete_security_group",
    "authorize_security_group_ingress",
    "authorize_security_group_egress",
    "revoke_security_group_ingress",
    "revoke_security_group_egress",
    "attach_network_interface",
    "detach_network_interface",
)


def install(lab: Lab) -> None:
    """Tell the network of each change, and give interfaces addresses that nobody else has."""
    for name in _TOLD_TO_THE_NETWORK:
        lab.extend(EC2Backend, name)(_then_changed(lab))
    for name in ("create_vpc", "create_subnet", "create_security_group"):
        lab.extend(EC2Backend, name)(_perhaps_not_visible_yet(lab))

    @lab.extend(RouteTables, "create_route_table")
    def create_route_table(original: Any, response: Any) -> ActionResult:
        return _create_route_table_once(lab, original, response)

    @lab.extend(EC2Backend, "create_network_interface")
    def create_interface(
        original: Any, backend: Any, subnet: Any, private_ip_address: Any, *args: Any, **kwargs: Any
    ) -> Any:
        for group_id in kwargs.get("group_ids") or []:
            if backend.get_security_group_from_id(group_id) is None:
                raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        subnet = backend.get_subnet(subnet) if isinstance(subnet, str) else subnet
        if not private_ip_address and not (args and args[0]) and not kwargs.get("private_ip_addresses"):
            private_ip_address = free_private_address(subnet)
        return original(backend, subnet, private_ip_address, *args, **kwargs)

    @lab.extend(EC2Backend, "delete_network_interface")
    def delete_interface(original: Any, backend: Any, eni_id: str) -> None:
        interface = backend.get_network_interface(eni_id)
        original(backend, eni_id)
        for private in interface.private_ip_addresses:
            interface.subnet.del_subnet_ip(private["PrivateIpAddress"])


def _create_route_table_once(lab: Lab, original: Any, response: Any) -> ActionResult:
    """moto knows no ClientToken here."""
    token, region, parameters = response._get_param("ClientToken"), response.region, fingerprint(response)
    tokens = lab.part(ClientTokens)
    before: ActionResult | None = tokens.answer("CreateRouteTable", region, token, parameters)
    if before is not None:
        return before
    answer: ActionResult = original(response)
    tokens.made("CreateRouteTable", region, token, parameters, answer)
    return answer


def free_private_address(subnet: Any) -> str:
    """The next free address of a subnet; the first four and the last are AWS's. Raises when there is none."""
    try:
        return str(subnet.get_available_subnet_ip(None))
    except StopIteration:
        raise EC2ClientError(
            "InsufficientFreeAddressesInSubnet", f"Subnet '{subnet.id}' has no more free addresses."
        ) from None


def _then_changed(lab: Lab) -> Callable[..., Any]:
    def call(original: Any, backend: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(backend, *args, **kwargs)
        lab.changed()
        return result

    return call


def _perhaps_not_visible_yet(lab: Lab) -> Callable[..., Any]:
    def call(original: Any, backend: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(backend, *args, **kwargs)
        lab.part(Consistency).created(result.id)
        return result

    return call
