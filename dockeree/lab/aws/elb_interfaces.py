"""The network interfaces that a load balancer puts into its subnets.

On AWS they belong to `amazon-elb`: they show in DescribeNetworkInterfaces, hold an address of their subnet and the
balancer's security groups, and linger for minutes after the balancer is gone. Until then their subnet and their groups
cannot be deleted (DependencyViolation), nor can the gateway be detached while they have public addresses.
"""

from __future__ import annotations

import secrets
from types import SimpleNamespace
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from dockeree.lab.aws import addresses
from dockeree.lab.aws.core import Lab
from dockeree.lab.world import Interface

LINGER_SECONDS = 60.0
"""How long interfaces stay after DeleteLoadBalancer (AWS: one to several minutes)."""

OWNER = "amazon-elb"


class BalancerInterface(NetworkInterface):
    """An interface that only its balancer may take away."""

    def __init__(self, backend: Any, subnet: Any, private_ip: str, group_ids: list[str], description: str) -> None:
        super().__init__(backend, subnet, private_ip, group_ids=group_ids, description=description)
        if not group_ids:
            # moto falls back to the VPC's default group; a balancer made without groups has none at all.
            self._group_set: list[Any] = []
        self.requester_managed = True
        self.requester_id = OWNER
        self.interface_type = "network_load_balancer"
        self.status = "in-use"
        self.attachment_id = f"eni-attach-{secrets.token_hex(8)}"
        self.attach_time = utcnow()
        self.balancer_arn = ""

    @property
    def attachment(self) -> Any:
        """Attached by AWS, to nothing of the account's own."""
        return SimpleNamespace(
            attach_time=self.attach_time,
            attachment_id=self.attachment_id,
            delete_on_termination=False,
            device_index=1,
            network_card_index=0,
            instance_id=None,
            instance_owner_id=OWNER,
            status="attached",
        )

    @property
    def association(self) -> dict[str, Any]:
        """The public address on the gateway, which is AWS's own (no allocation id)."""
        if not self.public_ip:
            return {}
        return {"publicIp": self.public_ip, "ipOwnerId": OWNER, "publicDnsName": ""}

    def as_world(self) -> Interface:
        """This interface as the network is told of it."""
        return Interface(
            id=self.id,
            owner=self.balancer_arn,
            subnet_id=self.subnet.id,
            private_ip=str(self.private_ip_address),
            public_ip=self.public_ip,
            group_ids=tuple(group.id for group in self._group_set),
        )


def attach(lab: Lab, backend: Any, balancer: Any) -> list[BalancerInterface]:
    """Put one interface into each subnet of a new balancer. `backend` is EC2's."""
    return [_attach_one(lab, backend, balancer, subnet) for subnet in balancer.subnets]


def _attach_one(lab: Lab, backend: Any, balancer: Any, subnet: Any) -> BalancerInterface:
    description = f"ELB {balancer.arn.split(':loadbalancer/')[1]}"
    private_ip = subnet.get_available_subnet_ip(balancer)
    interface = BalancerInterface(backend, subnet, private_ip, list(balancer.security_groups), description)
    interface.balancer_arn = balancer.arn
    if balancer.scheme == "internet-facing":
        interface.public_ip = addresses.allocate(lab)
    backend.enis[interface.id] = interface
    return interface


def set_groups(backend: Any, interfaces: list[BalancerInterface], group_ids: list[str]) -> None:
    """Give the interfaces other security groups."""
    for interface in interfaces:
        interface._group_set = [backend.get_security_group_from_id(group_id) for group_id in group_ids]


def release_later(lab: Lab, backend: Any, interfaces: list[BalancerInterface]) -> None:
    """Take the interfaces of a deleted balancer away after they have lingered."""

    def release() -> None:
        with lab.lock:
            for interface in interfaces:
                backend.enis.pop(interface.id, None)
                interface.subnet.del_subnet_ip(interface.private_ip_address)
                if interface.public_ip:
                    addresses.release(lab, interface.public_ip)
        lab.changed()

    lab.later(LINGER_SECONDS, release)
