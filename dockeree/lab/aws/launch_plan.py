"""What a launch comes to: RunInstances' parameters and a launch template's, made whole and checked as EC2 checks them.

Everything here works on the keyword arguments of moto's `EC2Backend.run_instances`, which RunInstances and Auto Scaling
both call.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from typing import Any

from moto.core.types import Base64EncodedString
from moto.ec2.exceptions import EC2ClientError, InvalidParameterValue, InvalidSubnetIdError
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
from moto.ec2.utils import convert_tag_spec

USER_DATA_LIMIT = 16 * 1024
"""Bytes, before base64."""

Arguments = dict[str, Any]


def decode_user_data(user_data: Any) -> bytes:
    """User data as given, not base64; empty where there is none."""
    if not user_data:
        return b""
    try:
        return base64.b64decode(str(user_data).encode(), validate=False)
    except (binascii.Error, ValueError):
        raise EC2ClientError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from None


def check_user_data(user_data: Any) -> None:
    """Refuse what is too large."""
    if len(decode_user_data(user_data)) > USER_DATA_LIMIT:
        raise InvalidParameterValue(f"User data is limited to {USER_DATA_LIMIT} bytes")


def merge_template(backend: Any, arguments: Arguments) -> None:
    """Fill what the launch leaves open from its launch template, in place (keys `image_id` and `user_data` included)."""
    if not arguments.get("launch_template"):
        return
    data = backend._get_template_from_args(arguments["launch_template"]).data
    plain = {
        "image_id": data.get("ImageId"),
        "instance_type": data.get("InstanceType"),
        "key_name": data.get("KeyName"),
        "user_data": Base64EncodedString(str(data["UserData"])) if data.get("UserData") else None,
        "block_device_mappings": data.get("BlockDeviceMappings"),
        "ebs_optimized": data.get("EbsOptimized"),
        "instance_initiated_shutdown_behavior": data.get("InstanceInitiatedShutdownBehavior"),
        "disable_api_termination": data.get("DisableApiTermination"),
        "disable_api_stop": data.get("DisableApiStop"),
        "metadata_options": data.get("MetadataOptions"),
        "placement": (data.get("Placement") or {}).get("AvailabilityZone"),
    }
    if arguments.get("is_instance_type_default"):
        arguments["instance_type"] = None
    for key, value in plain.items():
        if value and not arguments.get(key):
            arguments[key] = value
    monitoring = (data.get("Monitoring") or {}).get("Enabled")
    arguments["monitoring_state"] = arguments.get("monitoring_state") or ("enabled" if monitoring else None)
    _merge_network(data, arguments)
    _merge_profile(data, arguments)
    _merge_tags(data, arguments)


def _merge_network(data: Any, arguments: Arguments) -> None:
    interfaces = data.get("NetworkInterfaces") or []
    if interfaces and not arguments.get("nics"):
        arguments["nics"] = [dict(interface) for interface in interfaces]
    if not arguments.get("security_group_ids") and not arguments.get("security_group_names"):
        arguments["security_group_ids"] = list(data.get("SecurityGroupIds") or [])
        arguments["security_group_names"] = list(data.get("SecurityGroups") or [])


def _merge_profile(data: Any, arguments: Arguments) -> None:
    profile = data.get("IamInstanceProfile") or {}
    if not arguments.get("iam_instance_profile_name") and not arguments.get("iam_instance_profile_arn"):
        arguments["iam_instance_profile_name"] = profile.get("Name")
        arguments["iam_instance_profile_arn"] = profile.get("Arn")


def _merge_tags(data: Any, arguments: Arguments) -> None:
    tags: dict[str, dict[str, str]] = {
        kind: dict(values) for kind, values in convert_tag_spec(data.get("TagSpecifications") or []).items()
    }
    for kind, values in (arguments.get("tags") or {}).items():
        tags.setdefault(kind, {}).update(values)
    arguments["tags"] = tags


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


def block_devices(image: Any, asked: list[Any]) -> list[dict[str, Any]]:
    """The volumes of an instance: the image's own, changed by what is asked of the same device name, then the others.

    A mapping for another name than the image's root device is a second disk beside the root.
    """
    devices: dict[str, dict[str, Any]] = {
        mapping["DeviceName"]: {"DeviceName": mapping["DeviceName"], "Ebs": dict(mapping["Ebs"])}
        for mapping in image.block_device_mappings
    }
    for mapping in asked:
        name, ebs = mapping["DeviceName"], {key: value for key, value in (mapping.get("Ebs") or {}).items()}
        if mapping.get("NoDevice") is not None:
            devices.pop(name, None)
            continue
        if name not in devices and not ebs.get("VolumeSize") and not ebs.get("SnapshotId"):
            raise EC2ClientError("MissingParameter", "The request must contain the parameter size or snapshotId")
        given = {key: value for key, value in ebs.items() if value is not None}
        size = given.get("VolumeSize")
        minimum = devices.get(name, {"Ebs": {}})["Ebs"].get("VolumeSize")
        if size is not None and minimum is not None and int(size) < int(minimum):
            raise EC2ClientError(
                "InvalidBlockDeviceMapping",
                f"Volume of size {size}GB is smaller than snapshot '{image.ebs_snapshot.id}', "
                f"expect size>= {minimum}GB",
            )
        device = devices.setdefault(name, {"DeviceName": name, "Ebs": {"DeleteOnTermination": False}})
        device["Ebs"].update(given)
        device["Ebs"].setdefault("VolumeType", "gp2")
    return list(devices.values())
