"""What each VPC's resolver knows: names of instances, balancers, private zones and AWS's services. Pure.

Order of a look-up, as in a VPC: private zones, instances, balancers, the AWS services, names the lab was told of. What
none of them knows does not exist: the lab has no Internet to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dockeree.lab.world import Balancer, InstanceNetwork, PrivateName, Snapshot

_MOST_ALIASES = 8
"""A chain of CNAMEs longer than this is a loop."""

UsableInterfaces = Callable[[Balancer], tuple[str, ...]]
"""Which addresses a balancer's name has at this moment."""


def region_of_zone(zone: str) -> str:
    """us-east-1a -> us-east-1."""
    return zone.rstrip("abcdefghijklmnopqrstuvwxyz")


def private_domain(region: str) -> str:
    """The domain of instances' private names."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def public_domain(region: str) -> str:
    """The domain of instances' public names."""
    return "compute-1.amazonaws.com" if region == "us-east-1" else f"{region}.compute.amazonaws.com"


def public_name(public_ip: str, region: str) -> str:
    """The name EC2 gives to a public address: ec2-198-18-0-20.compute-1.amazonaws.com."""
    return f"ec2-{public_ip.replace('.', '-')}.{public_domain(region)}"


@dataclass(frozen=True)
class Answer:
    """What a name is. `exists` False: NXDOMAIN. `aliases` are the CNAMEs followed, in order, as (name, target)."""

    exists: bool
    aliases: tuple[tuple[str, str], ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class VpcNames:
    """The names as one VPC sees them. All keys in lower case, without the last dot."""

    private_zone: Mapping[str, PrivateName] = field(default_factory=dict)
    instances: Mapping[str, str] = field(default_factory=dict)
    balancers: Mapping[str, Balancer] = field(default_factory=dict)
    pointers: Mapping[str, str] = field(default_factory=dict)
    """Private address -> name."""
    told: Mapping[str, str] = field(default_factory=dict)
    """Names on the Internet that the lab plays, and their addresses: package repositories, registries."""
    service_address: str = ""
    addresses_of: UsableInterfaces = lambda balancer: balancer_addresses(balancer)

    def look_up(self, name: str) -> Answer:
        """The A records of `name`, through its aliases."""
        name = name.lower().rstrip(".")
        aliases: list[tuple[str, str]] = []
        while len(aliases) < _MOST_ALIASES:
            record = self.private_zone.get(name) or self.private_zone.get(f"*.{name.partition('.')[2]}")
            if record is not None and record.type == "CNAME":
                target = record.values[0].lower().rstrip(".")
                aliases.append((name, target))
                name = target
                continue
            if record is not None:
                return Answer(True, tuple(aliases), record.values)
            addresses = self._public_view(name)
            # A CNAME that leads nowhere exists; what it leads to does not.
            return Answer(addresses is not None or bool(aliases), tuple(aliases), addresses or ())
        return Answer(True, tuple(aliases))

    def _public_view(self, name: str) -> tuple[str, ...] | None:
        if name in self.instances:
            return (self.instances[name],)
        if name in self.balancers:
            return self.addresses_of(self.balancers[name])
        if name in self.told:
            return (self.told[name],)
        # Balancers and instances have names under amazonaws.com too: those nobody has do not exist.
        of_a_resource = ".elb." in name or ".compute." in name or ".compute-1." in name
        if name.endswith(".amazonaws.com") and not of_a_resource:
            return (self.service_address,)
        return None


def balancer_addresses(balancer: Balancer) -> tuple[str, ...]:
    """The addresses behind a balancer's name: public ones where it faces the Internet, inside the VPC too."""
    if balancer.internet_facing:
        return tuple(entry.public_ip for entry in balancer.interfaces if entry.public_ip is not None)
    return tuple(entry.private_ip for entry in balancer.interfaces)


def _instance_names(instances: list[InstanceNetwork]) -> dict[str, str]:
    """An instance's public name is its private address when asked for inside the VPC."""
    names = {}
    for instance in instances:
        region = region_of_zone(instance.zone)
        private_ip = instance.interface.private_ip
        names[f"{instance.hostname.lower()}.{private_domain(region)}"] = private_ip
        if instance.interface.public_ip is not None:
            names[public_name(instance.interface.public_ip, region)] = private_ip
    return names


def vpc_names(
    snapshot: Snapshot,
    vpc_id: str,
    service_address: str,
    told: Mapping[str, str],
    addresses_of: UsableInterfaces = balancer_addresses,
) -> VpcNames:
    """What the resolver of `vpc_id` knows after `snapshot`."""
    subnets = {subnet.id for subnet in snapshot.subnets if subnet.vpc_id == vpc_id}
    instances = [entry for entry in snapshot.instances if entry.interface.subnet_id in subnets]
    names = _instance_names(instances)
    return VpcNames(
        private_zone={
            record.name.lower().rstrip("."): record for record in snapshot.private_names if vpc_id in record.vpc_ids
        },
        instances=names,
        # Balancers of all the lab's VPCs: their names are public.
        balancers={balancer.dns_name.lower(): balancer for balancer in snapshot.balancers},
        pointers={address: name for name, address in reversed(names.items())},
        told={name.lower(): address for name, address in told.items()},
        service_address=service_address,
        addresses_of=addresses_of,
    )
