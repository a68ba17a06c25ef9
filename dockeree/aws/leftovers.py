"""Everything of a cluster that stands in the account, kind by kind: what `destroy` will remove, and whether it has.

Every kind of resource that this tool can create is listed here, by the cluster's tags, or by its fixed names where a
service cannot filter by tags. Terminated instances, which EC2 lists with their tags for an hour, are not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dockeree.aws import (
    auto_scaling,
    instances,
    key_pairs,
    launch_templates,
    load_balancers,
    names,
    networking,
    parameters,
    roles,
    routes,
    security_groups,
    target_groups,
)
from dockeree.aws.tags import Owner, filters
from dockeree.aws.waits import Waits

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

THREADS = 6
SETTLE_SECONDS = 90.0
"""How long listings may still show what has just been deleted."""


@dataclass(frozen=True, order=True)
class Resource:
    """A thing in the account: its kind in words (`subnet`) and its id or name."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def search(aws: Aws, owner: Owner) -> list[Resource]:
    """Every resource of the cluster but the claim of its name and its lock, which go last of all."""
    kinds: dict[str, Callable[[], Iterable[str]]] = {
        "instance": lambda: (item.id for item in instances.find_instances(aws, owner)),
        "volume": lambda: _tagged(aws, owner, "describe_volumes", "Volumes", "VolumeId"),
        "network interface": lambda: _interfaces(aws, owner),
        "worker group": lambda: _one(auto_scaling.find_group(aws, owner), "name"),
        "launch template": lambda: _one(launch_templates.find_launch_template(aws, owner), "name"),
        "load balancer": lambda: (item.name for item in load_balancers.find_balancers(aws, owner).values()),
        "target group": lambda: (item.name for item in target_groups.find_target_groups(aws, owner).values()),
        "private zone": lambda: (item.name for item in names.find_zones(aws, owner)),
        "key pair": lambda: _one(key_pairs.find_key_pair(aws, owner), "name"),
        "": lambda: roles.find_names(aws, owner),  # these say themselves which kind they are
        "parameter": lambda: find_parameters(aws, owner.cluster),
        "security group": lambda: (item[0] for item in security_groups.find_groups_of_any_number(aws, owner)),
        "route table": lambda: (item.id for item in routes.find_route_tables(aws, owner)),
        "subnet": lambda: (item.id for item in networking.find_subnets(aws, owner)),
        "internet gateway": lambda: (item[0] for item in networking.find_internet_gateways(aws, owner)),
        "VPC": lambda: (item.id for item in networking.find_vpcs(aws, owner)),
    }
    with ThreadPoolExecutor(THREADS, thread_name_prefix="search") as pool:
        found = list(pool.map(lambda list_ids: sorted(list_ids()), kinds.values()))
    return [_resource(kind, item) for kind, ids in zip(kinds, found, strict=True) for item in ids]


def search_until_settled(aws: Aws, owner: Owner, waits: Waits) -> list[Resource]:
    """What is left when nothing changes any more: what has just been deleted may be listed for a while."""
    deadline = waits.clock.now() + SETTLE_SECONDS
    left = search(aws, owner)
    while left and waits.clock.now() < deadline:
        waits.cancelled()
        waits.detail(f"{len(left)} still listed")
        waits.clock.sleep(3.0)
        left = search(aws, owner)
    return left


def find_parameters(aws: Aws, cluster: str) -> list[str]:
    """The cluster's parameters, without the claim and the lock."""
    last = {parameters.claim_name(cluster), parameters.lock_name(cluster)}
    return [name for name in parameters.list_names(aws, parameters.cluster_path(cluster)) if name not in last]


def _interfaces(aws: Aws, owner: Owner) -> list[str]:
    """The interfaces with the cluster's tags, and those in its VPC, whosever they are: they hold it."""
    tagged = set(_tagged(aws, owner, "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"))
    vpc_ids = [vpc.id for vpc in networking.find_vpcs(aws, owner)]
    if not vpc_ids:
        return sorted(tagged)
    pages = aws.ec2.get_paginator("describe_network_interfaces").paginate(Filters=filters({"vpc-id": vpc_ids}))
    inside = {item["NetworkInterfaceId"] for page in pages for item in page["NetworkInterfaces"]}
    return sorted(tagged | inside)


def _tagged(aws: Aws, owner: Owner, operation: Any, key: str, field: str) -> list[str]:
    pages: Any = aws.ec2.get_paginator(operation).paginate(Filters=owner.filters())
    return [item[field] for page in pages for item in page[key]]


def _one(thing: Any, attribute: str) -> list[str]:
    return [] if thing is None else [str(getattr(thing, attribute))]


def _resource(kind: str, item: str) -> Resource:
    if kind:
        return Resource(kind, item)
    named_kind, _, name = item.rpartition(" ")
    return Resource(named_kind, name)
