"""The lab's public addresses: of instances, balancers and Elastic IPs, each given once at a time."""

from __future__ import annotations

import ipaddress
import threading
from collections import deque
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_ip_addresses import ElasticAddress

from dockeree.lab.aws.core import Lab

LAB_OWN = 20
"""The first addresses of the range belong to the lab itself: gateway, API, registry."""


class PublicAddresses:
    """Hands out the addresses of the lab's public network.

    One given back is the last to be given again, so that an instance really has another address after a stop and start.
    """

    def __init__(self, lab: Lab) -> None:
        network = ipaddress.IPv4Network(lab.settings.public_network)
        first = int(network.network_address)
        self._free = deque(
            str(ipaddress.IPv4Address(number))
            for number in range(first + LAB_OWN, int(network.broadcast_address))
            if number & 0xFF not in (0, 255)
        )
        self._given: set[str] = set()
        self._lock = threading.Lock()

    def allocate(self) -> str:
        """An address that nobody has. Raises EC2's AddressLimitExceeded when all are taken."""
        with self._lock:
            if not self._free:
                raise EC2ClientError("AddressLimitExceeded", "The lab has no more public addresses.")
            address = self._free.popleft()
            self._given.add(address)
            return address

    def release(self, address: str) -> None:
        """Give an address back; one that was not given is ignored (an Elastic IP of another range)."""
        with self._lock:
            if address in self._given:
                self._given.remove(address)
                self._free.append(address)


def allocate(lab: Lab) -> str:
    """A public address of the lab; see PublicAddresses."""
    return lab.part(PublicAddresses).allocate()


def release(lab: Lab, address: str) -> None:
    """Give a public address back."""
    lab.part(PublicAddresses).release(address)


def give_public_address(lab: Lab, interface: Any) -> None:
    """Give an interface its address at launch or start, where it is to have one and has no Elastic IP."""
    if interface.public_ip is None and _is_true(interface.public_ip_auto_assign):
        interface.public_ip = allocate(lab)


def take_public_address(lab: Lab, interface: Any) -> None:
    """Take the address that was given at launch or start away; an Elastic IP stays."""
    if interface.public_ip and not _elastic(interface):
        release(lab, interface.public_ip)
        interface.public_ip = None


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _elastic(interface: Any) -> list[Any]:
    return interface.ec2_backend.address_by_ip([interface.public_ip], fail_if_not_found=False)


def install(lab: Lab) -> None:
    """Elastic IPs come from the lab's range, and replace the address of the interface that they are given to."""

    @lab.extend(EC2Backend, "allocate_address")
    def allocate_address(original: Any, backend: Any, domain: str, address: Any = None, tags: Any = None) -> Any:
        return original(backend, domain=domain, address=address or allocate(lab), tags=tags)

    @lab.extend(EC2Backend, "associate_address")
    def associate_address(original: Any, backend: Any, instance: Any = None, eni: Any = None, **kwargs: Any) -> Any:
        interface = eni or (instance.nics[0] if instance else None)
        before = interface.public_ip if interface is not None and not _elastic(interface) else None
        elastic = original(backend, instance=instance, eni=eni, **kwargs)
        elastic.instance = elastic.instance or (elastic.eni.instance if elastic.eni else None)
        if before:
            release(lab, before)
        lab.changed()
        return elastic

    @lab.extend(EC2Backend, "disassociate_address")
    def disassociate_address(original: Any, backend: Any, *args: Any, **kwargs: Any) -> None:
        original(backend, *args, **kwargs)
        lab.changed()

    @lab.extend(EC2Backend, "release_address")
    def release_address(original: Any, backend: Any, address: Any = None, allocation_id: Any = None) -> None:
        found: list[ElasticAddress] = (
            backend.address_by_ip([address]) if address else backend.address_by_allocation([allocation_id])
        )
        if found[0].association_id:
            raise EC2ClientError(
                "InvalidIPAddress.InUse", f"Address {found[0].public_ip} is in use by {found[0].network_interface_id}."
            )
        public_ip = found[0].public_ip
        original(backend, address, allocation_id)
        release(lab, public_ip)
