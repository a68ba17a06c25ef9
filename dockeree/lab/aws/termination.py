"""What is left of a terminated instance: its id, its tags and its state, and nothing that others could trip over."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.block_device import BlockDeviceMapping

from dockeree.lab.aws import addresses
from dockeree.lab.aws.core import Lab


class _NoInterface:
    """Stands where a terminated instance's primary interface was."""

    private_ip_address = None
    public_ip = None


class NoInterfaces(dict[int, Any]):
    """The interfaces of a terminated instance: none, but moto's properties may still look for the first."""

    def __missing__(self, _index: int) -> _NoInterface:
        return _NoInterface()


def bury(lab: Lab, backend: Any, instance: Any) -> None:
    """Take away the interfaces, volumes, addresses and profile of an instance whose node is gone."""
    for nic in list(instance.nics.values()):
        addresses.take_public_address(lab, nic)
        _free_elastic_addresses(backend, nic)
        if nic.delete_on_termination:
            backend.enis.pop(nic.id, None)
            backend.tags.pop(nic.id, None)
            for private in nic.private_ip_addresses:
                nic.subnet.del_subnet_ip(private["PrivateIpAddress"])
        else:
            instance.detach_eni(nic)
    for name, device in list(instance.block_device_mapping.items()):
        backend.detach_volume(device.volume_id, instance.id, name)
        if device.delete_on_termination:
            backend.delete_volume(device.volume_id)
            backend.tags.pop(device.volume_id, None)
    association = backend.iam_instance_profile_associations.get(instance.id)
    if association:
        backend.disassociate_iam_instance_profile(association_id=association.association_id)
    instance._private_ips = set()
    instance._subnet_id = None
    instance.nics = NoInterfaces()
    instance.security_groups = []
    instance.block_device_mapping = BlockDeviceMapping()


def _free_elastic_addresses(backend: Any, nic: Any) -> None:
    for elastic in backend.addresses:
        if elastic.eni is nic:
            elastic.eni = elastic.instance = elastic.association_id = None
            nic.public_ip = None


def forget(backend: Any, instance: Any) -> None:
    """Stop listing a terminated instance."""
    for reservation_id, reservation in list(backend.reservations.items()):
        if instance in reservation.instances:
            reservation.instances.remove(instance)
            if not reservation.instances:
                backend.reservations.pop(reservation_id)
    backend.tags.pop(instance.id, None)
