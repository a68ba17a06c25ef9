"""What a node is made from, read off its instance."""

from __future__ import annotations

from typing import Any

from dockeree.lab.aws.images import image_variant
from dockeree.lab.aws.snapshot import hostname
from dockeree.lab.aws.user_data import decode_user_data
from dockeree.lab.world import NodeSpec


def node_spec(backend: Any, instance: Any) -> NodeSpec:
    """The spec for the node of a pending instance. Raises LabError where no node image stands behind its AMI."""
    nic = instance.nics[0]
    return NodeSpec(
        instance_id=instance.id,
        image_id=instance.image_id,
        image_variant=image_variant(instance.image_id),
        instance_type=instance.instance_type,
        zone=str(instance.placement.zone),
        subnet_id=nic.subnet.id,
        vpc_id=nic.subnet.vpc_id,
        private_ip=nic.private_ip_address,
        public_ip=nic.public_ip,
        hostname=hostname(instance),
        user_data=decode_user_data(instance.user_data),
        authorized_key=authorized_key(instance),
        root_volume_gib=_root_volume_gib(backend, instance),
        tags=dict(backend.tags.get(instance.id, {})),
    )


def authorized_key(instance: Any) -> str | None:
    """The OpenSSH public key that the instance was launched with, whether or not the key pair is still there."""
    return getattr(instance, "lab_authorized_key", None)


def _root_volume_gib(backend: Any, instance: Any) -> int:
    root = instance.block_device_mapping.get(instance.root_device_name)
    return int(backend.get_volume(root.volume_id).size) if root else 8
