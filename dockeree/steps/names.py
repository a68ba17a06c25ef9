"""Names: the consoles' names inside the VPC, and the operator's own domain names.

An internet-facing balancer's own name is public everywhere. From a node, a connection to a public address leaves with
the node's public address, which no rule between groups fits; so nodes reach the consoles by names of private zones,
at the balancers' private addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.aws import load_balancers, names
from dockeree.aws.load_balancers import LoadBalancer
from dockeree.aws.names import Record, Zone
from dockeree.aws.networking import LETTERS
from dockeree.aws.tags import not_found, only
from dockeree.errors import AwsError
from dockeree.steps.found import owner_of, vpc_of, waits_of
from dockeree.steps.load_balancers import AwaitLoadBalancers
from dockeree.steps.step import Step

if TYPE_CHECKING:
    from dockeree.context import Cluster

CONSOLES = ("ucp", "dtr")
ZONE_APPEARS_SECONDS = 60.0


def zone_name(cluster_name: str) -> str:
    """The cluster's private zone."""
    return f"{cluster_name}.dockeree.internal"


def own_domains(cluster: Cluster) -> dict[str, str]:
    """The operator's own domain names, by console."""
    domains = {"ucp": cluster.config.ucp.domain, "dtr": cluster.config.dtr.domain}
    return {role: domain for role, domain in domains.items() if domain}


class PublishNames(Step):
    """Private zones for the nodes, and public records where a hosted zone is configured."""

    title = "Publish the consoles' names"
    undo_title = "Delete the consoles' names"
    group = "balancers"
    after = (AwaitLoadBalancers,)

    def run(self, cluster: Cluster) -> bool:
        found = load_balancers.find_balancers(cluster.aws, owner_of(cluster))
        if any(role not in found for role in CONSOLES):
            raise not_found(f"a balancer of {cluster.name}")
        addresses = {role: _private_addresses(cluster, found[role]) for role in CONSOLES}
        changed = _publish_privately(cluster, _private_records(cluster, found, addresses))
        return _publish_publicly(cluster, found) or changed

    def undo(self, cluster: Cluster) -> bool:
        withdrawn = _withdraw_publicly(cluster)
        return names.delete_zones(cluster.aws, owner_of(cluster), waits_of(cluster)) or withdrawn


def public_records(cluster: Cluster, balancers: dict[str, LoadBalancer]) -> list[Record]:
    """The operator's own names as aliases to the balancers."""
    return [
        Record(domain, "A", (balancers[role].dns_name.lower(),), balancers[role].zone_id)
        for role, domain in own_domains(cluster).items()
    ]


def _private_addresses(cluster: Cluster, balancer: LoadBalancer) -> tuple[str, ...]:
    def probe() -> tuple[tuple[str, ...] | None, str]:
        found = load_balancers.private_addresses(cluster.aws, balancer)
        return (tuple(found) if len(found) == len(LETTERS) else None), f"{len(found)} of {len(LETTERS)} interfaces"

    return waits_of(cluster).until(
        probe, awaited=f"private addresses of the balancer {balancer.role}", timeout_seconds=300.0
    )


def console_host(cluster: Cluster, balancer: LoadBalancer) -> str:
    """What a console is called, inside and outside: the operator's own name for it, else its balancer's."""
    return own_domains(cluster).get(balancer.role, balancer.dns_name.lower())


def installed_consoles(cluster: Cluster) -> tuple[str, ...]:
    """The consoles that this configuration has."""
    has = {"ucp": cluster.config.ucp.enabled, "dtr": cluster.config.has_dtr}
    return tuple(role for role in CONSOLES if has[role])


def _private_records(
    cluster: Cluster, balancers: dict[str, LoadBalancer], addresses: dict[str, tuple[str, ...]]
) -> dict[str, list[Record]]:
    """The records of each private zone: the cluster's own, and a zone of its own for each name that a console is
    called by, so that it hides nothing else of that domain from the nodes.

    An image's name begins with the registry's: it has to be the same on a node as on a developer's machine.
    """
    zone = zone_name(cluster.name)
    records = {zone: [Record(f"{role}.{zone}", "A", addresses[role]) for role in CONSOLES]}
    hosts = {role: console_host(cluster, balancers[role]) for role in installed_consoles(cluster)}
    for role, host in {**hosts, **own_domains(cluster)}.items():
        records.setdefault(host, []).append(Record(host, "A", addresses[role]))
    return records


def _publish_privately(cluster: Cluster, records: dict[str, list[Record]]) -> bool:
    owner = owner_of(cluster)
    found = names.find_zones(cluster.aws, owner)
    changed = False
    for name, wanted in records.items():
        same = [zone for zone in found if zone.name == name]
        zone = only(same, f"private zone {name} of {cluster.name}", (item.id for item in same))
        if zone is None:
            zone, changed = _create_zone(cluster, name), True
        changed |= names.ensure_zone_tags(cluster.aws, owner, zone)
        changed |= names.ensure_records(cluster.aws, zone.id, wanted)
    return changed


def _create_zone(cluster: Cluster, name: str) -> Zone:
    token, vpc_id = f"private-zone {name}", vpc_of(cluster).id
    try:
        return names.create_zone(
            cluster.aws, owner_of(cluster), name, vpc_id=vpc_id, token=cluster.state.token_for(token)
        )
    except AwsError as error:
        if error.code == "ConflictingDomainExists":
            # Made by a run that was killed before its answer came; this run did not see it in the listing yet.
            return _zone_that_appears(cluster, name)
        if error.code != "HostedZoneAlreadyExists":
            raise
    found = [zone for zone in names.find_zones(cluster.aws, owner_of(cluster)) if zone.name == name]
    if found:
        return found[0]
    new_token = cluster.state.new_token(token)  # that token's zone was deleted by hand
    return names.create_zone(cluster.aws, owner_of(cluster), name, vpc_id=vpc_id, token=new_token)


def _zone_that_appears(cluster: Cluster, name: str) -> Zone:
    def probe() -> tuple[Zone | None, str]:
        found = [zone for zone in names.find_zones(cluster.aws, owner_of(cluster)) if zone.name == name]
        return (found[0] if found else None), "another private zone of that name is associated with the VPC"

    return waits_of(cluster).until(probe, awaited=f"private zone {name}", timeout_seconds=ZONE_APPEARS_SECONDS)


def _publish_publicly(cluster: Cluster, balancers: dict[str, LoadBalancer]) -> bool:
    zone_id = cluster.config.dns.hosted_zone_id
    wanted = public_records(cluster, balancers)
    if not zone_id or not wanted:
        return False
    cluster.state.decide("public_zone", zone_id)
    return names.ensure_records(cluster.aws, zone_id, wanted)


def _withdraw_publicly(cluster: Cluster) -> bool:
    """Delete the records in the operator's public zone that lead to this cluster's balancers, and no others."""
    zone_id = cluster.config.dns.hosted_zone_id or cluster.state.decision("public_zone")
    if not zone_id:
        return False
    prefixes = tuple(load_balancers.balancer_name(owner_of(cluster), role) + "-" for role in CONSOLES)
    try:
        records = names.find_records(cluster.aws, zone_id)
    except AwsError as error:
        if error.code == "NoSuchHostedZone":
            return False
        raise
    ours = [record for record in records if record.alias_zone_id and record.values[0].startswith(prefixes)]
    names.delete_records(cluster.aws, zone_id, ours)
    return bool(ours)
