"""What a launch comes to: its subnet, groups, type, key and address, chosen and checked as EC2 does.

Everything here works on the keyword arguments of moto's `EC2Backend.run_instances`, which RunInstances and Auto Scaling
both call. Auto Scaling and launch templates check with what is here, too, before anything is launched; for them the
template's merging and the user data's limit are found here as well.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from moto.ec2.exceptions import EC2ClientError, InvalidParameterValue, InvalidSubnetIdError
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS

from dockeree.lab.aws.template_merge import Arguments, merge_template
from dockeree.lab.aws.user_data import check_user_data

__all__ = [
    "check_key",
    "check_private_address",
    "check_type",
    "check_user_data",
    "choose_groups",
    "choose_subnet",
    "flatten_interface",
    "merge_template",
]


def flatten_interface(arguments: Arguments) -> None:
    """Turn the usual single new interface into the launch's own subnet, groups and address, in place.

    moto loses groups and tags of `NetworkInterfaces`. Existing interfaces (NetworkInterfaceId) stay as they are.
    """
    nics = arguments.get("nics") or []
    if not nics or any(nic.get("NetworkInterfaceId") for nic in nics):
        return
    if len(nics) > 1:
        raise EC2ClientError("UnsupportedOperation", "The lab launches with one network interface.")
    if arguments.get("security_group_ids") and nics[0].get("Groups"):
        raise EC2ClientError(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level security groups may not be specified on the same request",
        )
    nic = nics[0]
    arguments["nics"] = []
    arguments["subnet_id"] = nic.get("SubnetId") or arguments.get("subnet_id")
    arguments["security_group_ids"] = list(nic.get("Groups") or arguments.get("security_group_ids") or [])
    arguments["private_ip"] = nic.get("PrivateIpAddress") or arguments.get("private_ip")
    arguments["interface_stays"] = nic.get("DeleteOnTermination") is False
    if nic.get("AssociatePublicIpAddress") is not None:
        arguments["associate_public_ip"] = bool(nic["AssociatePublicIpAddress"])


def choose_subnet(backend: Any, arguments: Arguments) -> Any:
    """The subnet of the launch: the one named, else the default VPC's in the zone asked for."""
    subnet_id, zone = arguments.get("subnet_id"), arguments.get("placement")
    if subnet_id:
        subnet = backend.get_subnet(subnet_id)
        if zone and zone != subnet.availability_zone:
            raise InvalidParameterValue(
                f"The availability zone of the subnet ({subnet.availability_zone}) does not match the zone {zone}"
            )
        return subnet
    defaults = [subnet for group in backend.subnets.values() for subnet in group.values() if subnet.default_for_az]
    for subnet in sorted(defaults, key=lambda subnet: str(subnet.availability_zone)):
        if zone in (None, subnet.availability_zone):
            return subnet
    if not defaults:
        raise EC2ClientError("VPCIdNotSpecified", "No default VPC for this user.")
    raise InvalidSubnetIdError(f"default for {zone}")


def choose_groups(backend: Any, arguments: Arguments, subnet: Any) -> list[Any]:
    """The security groups of the launch, the VPC's default group where none is named."""
    groups = []
    for group_id in arguments.get("security_group_ids") or []:
        group = backend.get_security_group_from_id(group_id)
        if group is None:
            raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        groups.append(group)
    for name in arguments.get("security_group_names") or []:
        group = backend.get_security_group_from_name(name, subnet.vpc_id)
        if group is None:
            raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{name}' does not exist in the VPC")
        groups.append(group)
    for group in groups:
        if group.vpc_id != subnet.vpc_id:
            raise EC2ClientError(
                "InvalidParameter",
                f"Security group {group.id} and subnet {subnet.id} belong to different networks.",
            )
    return groups or [backend.get_default_security_group(subnet.vpc_id)]


def check_private_address(subnet: Any, private_ip: str | None) -> None:
    """Refuse an address outside the subnet, one of AWS's own in it, and one in use."""
    if private_ip is None:
        return
    address, first = ipaddress.IPv4Address(private_ip), int(subnet.cidr.network_address)
    if address not in subnet.cidr:
        raise InvalidParameterValue(f"Address {private_ip} does not fall within the subnet's address range")
    if int(address) < first + 4 or address == subnet.cidr.broadcast_address:
        raise InvalidParameterValue(f"Address {private_ip} is in subnet's reserved address range")
    if private_ip in subnet._subnet_ips:
        raise EC2ClientError("InvalidIPAddress.InUse", f"Address {private_ip} is in use.")


def check_type(region: str, instance_type: str, zone: str) -> None:
    """Refuse an unknown type, and one that the zone does not offer."""
    in_region = {offering["InstanceType"] for offering in INSTANCE_TYPE_OFFERINGS["region"].get(region, [])}
    if instance_type not in in_region:
        raise InvalidParameterValue(f"Invalid value '{instance_type}' for InstanceType.")
    zones = {
        offering["Location"]
        for offering in INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, [])
        if offering["InstanceType"] == instance_type
    }
    if zone not in zones:
        raise EC2ClientError(
            "Unsupported",
            f"Your requested instance type ({instance_type}) is not supported in your requested Availability Zone "
            f"({zone}). Please retry your request by not specifying an Availability Zone or choosing "
            f"{', '.join(sorted(zones))}.",
        )


def check_key(backend: Any, key_name: str | None) -> None:
    """Refuse an unknown key pair."""
    if key_name and key_name not in backend.key_pairs:
        raise EC2ClientError("InvalidKeyPair.NotFound", f"The key pair '{key_name}' does not exist")
