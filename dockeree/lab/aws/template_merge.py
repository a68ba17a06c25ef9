"""A launch from a launch template: what the request leaves open comes from the template."""

from __future__ import annotations

from typing import Any

from moto.core.types import Base64EncodedString
from moto.ec2.utils import convert_tag_spec

Arguments = dict[str, Any]
"""The keyword arguments of `EC2Backend.run_instances`, with `image_id` and `user_data` among them."""


def merge_template(backend: Any, arguments: Arguments) -> None:
    """Fill what the launch leaves open from its launch template, in place."""
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
