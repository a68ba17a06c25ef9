"""The volumes of a new instance: its image's, and what the launch asks for."""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import EC2ClientError


def block_devices(image: Any, asked: list[Any]) -> list[dict[str, Any]]:
    """The volumes of an instance: the image's own, changed by what is asked of the same device name, then the others.

    A mapping for another name than the image's root device is a second disk beside the root.
    """
    devices: dict[str, dict[str, Any]] = {
        mapping["DeviceName"]: {"DeviceName": mapping["DeviceName"], "Ebs": dict(mapping["Ebs"])}
        for mapping in image.block_device_mappings
    }
    for mapping in asked:
        name, ebs = mapping["DeviceName"], dict(mapping.get("Ebs") or {})
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
