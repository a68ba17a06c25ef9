"""The network: a VPC with three public subnets, one a zone, and the way to the internet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.aws import networking, routes
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of, subnets_of, vpc_of, waits_of
from dockeree.steps.step import Step
from dockeree.steps.zones import choose_zones

if TYPE_CHECKING:
    from dockeree.context import Cluster


class CreateVpc(Step):
    """A VPC whose resolver serves private zones."""

    title = "Create the VPC"
    undo_title = "Delete the VPC"
    group = "network"
    after = (ClaimCluster,)

    def run(self, cluster: Cluster) -> bool:
        vpc, changed = networking.ensure_vpc(
            cluster.aws, owner_of(cluster), cluster.config.network.vpc_cidr, waits_of(cluster)
        )
        cluster.state.put("vpc", vpc.id)
        return changed

    def undo(self, cluster: Cluster) -> bool:
        return networking.delete_vpcs(cluster.aws, owner_of(cluster), waits_of(cluster))


class CreateInternetGateway(Step):
    """The VPC's door: public addresses are mapped on it, one to one."""

    title = "Attach an internet gateway"
    undo_title = "Delete the internet gateway"
    group = "network"
    after = (CreateVpc,)

    def run(self, cluster: Cluster) -> bool:
        gateway_id, changed = networking.ensure_internet_gateway(
            cluster.aws, owner_of(cluster), vpc_of(cluster).id, waits_of(cluster)
        )
        cluster.state.put("internet-gateway", gateway_id)
        return changed

    def undo(self, cluster: Cluster) -> bool:
        return networking.delete_internet_gateways(cluster.aws, owner_of(cluster), waits_of(cluster))


class CreateSubnets(Step):
    """Three public subnets in three zones."""

    title = "Create three public subnets"
    undo_title = "Delete the subnets"
    group = "network"
    after = (CreateVpc,)

    def run(self, cluster: Cluster) -> bool:
        owner, vpc = owner_of(cluster), vpc_of(cluster)
        existing = {subnet.letter: subnet for subnet in networking.find_subnets(cluster.aws, owner)}
        zones = choose_zones(cluster)
        cluster.state.decide("availability_zones", ",".join(zones))
        any_changed = False
        cidrs = networking.subnet_cidrs(vpc.cidr)
        for letter, zone, cidr in zip(networking.LETTERS, zones, cidrs, strict=True):
            subnet, changed = networking.ensure_subnet(
                cluster.aws,
                owner,
                vpc_id=vpc.id,
                letter=letter,
                zone=zone,
                cidr=cidr,
                existing=existing.get(letter),
                waits=waits_of(cluster),
            )
            cluster.state.put(f"subnet-{letter}", subnet.id)
            any_changed |= changed
        return any_changed

    def undo(self, cluster: Cluster) -> bool:
        return networking.delete_subnets(cluster.aws, owner_of(cluster), waits_of(cluster))


class CreateRouteTable(Step):
    """The subnets' way out."""

    title = "Route the subnets to the internet"
    undo_title = "Delete the route table"
    group = "network"
    after = (CreateInternetGateway, CreateSubnets)

    def run(self, cluster: Cluster) -> bool:
        owner, vpc = owner_of(cluster), vpc_of(cluster)
        gateway_id, _ = networking.ensure_internet_gateway(cluster.aws, owner, vpc.id, waits_of(cluster))
        table_id, changed = routes.ensure_route_table(
            cluster.aws,
            owner,
            vpc_id=vpc.id,
            gateway_id=gateway_id,
            subnet_ids=[subnet.id for subnet in subnets_of(cluster)],
            token=cluster.state.token_for("route-table"),
            waits=waits_of(cluster),
        )
        cluster.state.put("route-table", table_id)
        if changed:
            cluster.state.new_token("route-table")  # made again after a deletion by hand, it is another intent
        return changed

    def undo(self, cluster: Cluster) -> bool:
        return routes.delete_route_tables(cluster.aws, owner_of(cluster), waits_of(cluster))
