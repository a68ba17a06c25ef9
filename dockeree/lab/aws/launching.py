"""RunInstances, and whatever else launches: `EC2Backend.run_instances` as EC2 does it.

Auto Scaling launches through the same `backend.run_instances(image_id, count, user_data, security_group_names,
**kwargs)`; what it leaves open is filled from `launch_template`. Keyword arguments beside moto's own:
`iam_instance_profile_name`/`_arn`, `interface_stays`, `at_least` (how many of `count` must be had, default all).
"""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.utils import parse_user_data

from dockeree.lab.aws import launch_plan, quotas
from dockeree.lab.aws.block_devices import block_devices
from dockeree.lab.aws.client_tokens import ClientTokens, fingerprint
from dockeree.lab.aws.consistency import Consistency
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.faults import Faults
from dockeree.lab.aws.images import find_image
from dockeree.lab.aws.instance_profiles import find_profile
from dockeree.lab.aws.lifecycle import Lifecycle
from dockeree.lab.aws.template_merge import merge_template
from dockeree.lab.aws.user_data import check_user_data


def install(lab: Lab) -> None:
    """Put launching as EC2 does it in front of moto's."""

    @lab.extend(InstanceResponse, "run_instances")
    def run_instances(_original: Any, response: Any) -> ActionResult:
        return ActionResult(_run_once(lab, response))

    @lab.extend(EC2Backend, "run_instances")
    def launch(
        original: Any,
        backend: Any,
        image_id: str,
        count: int,
        user_data: Any,
        security_group_names: list[str],
        **kwargs: Any,
    ) -> Any:
        arguments = {
            **kwargs,
            "image_id": image_id,
            "user_data": user_data,
            "security_group_names": [name for name in security_group_names or [] if not name.startswith("sg-")],
            "security_group_ids": list(kwargs.get("security_group_ids") or [])
            + [name for name in security_group_names or [] if name.startswith("sg-")],
        }
        return _launch(lab, original, backend, count, arguments)

    @lab.extend(NetworkInterface, "check_auto_public_ip")
    def no_address_yet(_original: Any, _interface: Any) -> None:
        """Public addresses are given by the lifecycle: later than the interface, and again at each start."""


def _run_once(lab: Lab, response: Any) -> Any:
    token, region, parameters = response._get_param("ClientToken"), response.region, fingerprint(response)
    tokens = lab.part(ClientTokens)
    before = tokens.answer("RunInstances", region, token, parameters)
    if before is not None:
        if all(instance.state in ("shutting-down", "terminated") for instance in before.instances):
            raise EC2ClientError(
                "IdempotentInstanceTerminated",
                "The client token you have provided is associated with a resource that is already deleted. "
                "Please use a different client token.",
            )
        return before
    reservation = response.ec2_backend.run_instances(**_read_request(response))
    tokens.made("RunInstances", region, token, parameters, reservation)
    return reservation


def _read_request(response: Any) -> dict[str, Any]:
    get = response._get_param
    at_least, at_most = int(get("MinCount", 1)), int(get("MaxCount", 1))
    if not 1 <= at_least <= at_most:
        raise EC2ClientError("InvalidParameterValue", f"Invalid value '{at_least}' for minCount.")
    nics = get("NetworkInterfaces", [])
    if nics and get("SubnetId"):
        raise EC2ClientError(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level subnet ID may not be specified on the same request",
        )
    monitored = get("Monitoring.Enabled")
    return {
        "image_id": get("ImageId"),
        "count": at_most,
        "at_least": at_least,
        "user_data": parse_user_data(get("UserData")),
        "security_group_names": get("SecurityGroups", []),
        "security_group_ids": get("SecurityGroupIds", []),
        "instance_type": get("InstanceType"),
        "placement": get("Placement.AvailabilityZone"),
        "subnet_id": get("SubnetId"),
        "key_name": get("KeyName"),
        "nics": [dict(nic) for nic in nics],
        "private_ip": get("PrivateIpAddress"),
        "tags": _tags(response),
        "ebs_optimized": get("EbsOptimized") or False,
        "disable_api_stop": get("DisableApiStop") or False,
        "disable_api_termination": get("DisableApiTermination") or False,
        "instance_initiated_shutdown_behavior": get("InstanceInitiatedShutdownBehavior"),
        "instance_market_options": get("InstanceMarketOptions.MarketType"),
        "launch_template": get("LaunchTemplate", {}),
        "iam_instance_profile_name": get("IamInstanceProfile.Name"),
        "iam_instance_profile_arn": get("IamInstanceProfile.Arn"),
        "monitoring_state": None if monitored is None else "enabled" if monitored else "disabled",
        "metadata_options": get("MetadataOptions", {}),
        "client_token": get("ClientToken"),
        "block_device_mappings": get("BlockDeviceMappings", []),
    }


def _tags(response: Any) -> dict[str, dict[str, str]]:
    tags: dict[str, dict[str, str]] = response._parse_tag_specification()
    for kind, values in tags.items():
        if kind not in ("instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"):
            raise EC2ClientError("InvalidParameterValue", f"'{kind}' is not a valid taggable resource type.")
        if any(key.lower().startswith("aws:") for key in values):
            raise EC2ClientError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    return tags


def _launch(lab: Lab, original: Any, backend: Any, count: int, arguments: dict[str, Any]) -> Any:
    at_least = arguments.pop("at_least", count)
    merge_template(backend, arguments)
    launch_plan.flatten_interface(arguments)
    instance_type = arguments.get("instance_type") or "m1.small"
    check_user_data(arguments["user_data"])
    image = find_image(backend, arguments["image_id"])
    launch_plan.check_key(backend, arguments.get("key_name"))
    if any(nic.get("NetworkInterfaceId") for nic in arguments.get("nics") or []):
        subnet = backend.get_network_interface(arguments["nics"][0]["NetworkInterfaceId"]).subnet
        groups: list[Any] = []
    else:
        subnet = launch_plan.choose_subnet(backend, arguments)
        groups = launch_plan.choose_groups(backend, arguments, subnet)
    launch_plan.check_type(backend.region_name, instance_type, subnet.availability_zone)
    profile = find_profile(
        lab, arguments.pop("iam_instance_profile_name", None), arguments.pop("iam_instance_profile_arn", None)
    )
    devices = block_devices(image, arguments.get("block_device_mappings") or [])
    _check_capacity(lab, subnet.availability_zone, instance_type)
    count = quotas.affordable(backend, instance_type, at_least, count)
    _check_free_addresses(subnet, count)
    launch_plan.check_private_address(subnet, arguments.get("private_ip"))
    interface_stays = arguments.pop("interface_stays", False)
    reservation = _launch_in_moto(original, backend, count, image, subnet, groups, instance_type, devices, arguments)
    for instance in reservation.instances:
        _complete(backend, instance, devices, arguments.get("tags") or {}, interface_stays)
        if profile is not None:
            backend.associate_iam_instance_profile(instance.id, iam_instance_profile_arn=profile.arn)
        lab.part(Consistency).created(instance.id)
        lab.part(Lifecycle).launched(backend, instance)
    return reservation


def _check_capacity(lab: Lab, zone: str, instance_type: str) -> None:
    fault = lab.part(Faults).take_zone(zone)
    if fault is not None:
        raise EC2ClientError(
            fault.code,
            f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested "
            f"({zone}). Our system will be working on provisioning additional capacity.",
        )


def _check_free_addresses(subnet: Any, count: int) -> None:
    if subnet.cidr.num_addresses - 5 - len(subnet._subnet_ips) < count:
        raise EC2ClientError(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the requested number of "
            "instances.",
        )


def _launch_in_moto(
    original: Any,
    backend: Any,
    count: int,
    image: Any,
    subnet: Any,
    groups: list[Any],
    instance_type: str,
    devices: list[dict[str, Any]],
    arguments: dict[str, Any],
) -> Any:
    nics = arguments.get("nics") or []
    arguments["tags"] = {
        kind: values for kind, values in (arguments.get("tags") or {}).items() if kind in ("instance", "volume")
    } | {"network-interface": (arguments.get("tags") or {}).get("network-interface", {})}
    kwargs = {
        key: value for key, value in arguments.items() if key not in ("image_id", "user_data", "security_group_names")
    }
    kwargs.update(
        instance_type=instance_type,
        is_instance_type_default=False,
        region_name=backend.region_name,
        placement=subnet.availability_zone,
        subnet_id=None if nics else subnet.id,
        security_group_ids=[group.id for group in groups],
        associate_public_ip=arguments.get("associate_public_ip"),
        monitoring_state=arguments.get("monitoring_state") or "disabled",
        metadata_options=arguments.get("metadata_options") or {},
        block_device_mappings=devices,
    )
    return original(backend, image.id, count, arguments["user_data"], [], **kwargs)


def _complete(
    backend: Any, instance: Any, devices: list[dict[str, Any]], tags: dict[str, dict[str, str]], interface_stays: bool
) -> None:
    """What moto leaves out of a new instance's interface and volumes."""
    instance.launch_time = utcnow()
    pair = backend.key_pairs.get(instance.key_name) if instance.key_name else None
    instance.lab_authorized_key = pair.material_public.decode().strip() if pair is not None else None
    for interface in instance.nics.values():
        if interface.instance is instance and not interface.delete_on_termination:
            interface.delete_on_termination = (
                not interface_stays and interface.description == "Primary network interface"
            )
        interface.add_tags(tags.get("network-interface", {}))
        interface.private_dns_name = instance.private_dns_name
    for device in devices:
        ebs = device["Ebs"]
        block = instance.block_device_mapping[device["DeviceName"]]
        volume = backend.get_volume(block.volume_id)
        volume.attachment.delete_on_termination = bool(ebs.get("DeleteOnTermination"))
        if volume.volume_type == "gp3":
            volume.iops = int(ebs.get("Iops") or 3000)
            volume.throughput = int(ebs.get("Throughput") or 125)
