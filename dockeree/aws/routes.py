"""The cluster's route table: everything that is not in the VPC goes to the internet gateway."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dockeree.aws.deleting import delete_when_free
from dockeree.aws.tags import Owner, only
from dockeree.aws.waits import Waits, is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

ROUTE_TABLE_ROLE = "route-table"
INTERNET = "0.0.0.0/0"


@dataclass(frozen=True)
class RouteTable:
    """A route table: whose default route goes where, and which subnets use it (association id by subnet id)."""

    id: str
    internet_gateway_id: str | None
    associations: dict[str, str]


def find_route_tables(aws: Aws, owner: Owner) -> list[RouteTable]:
    """The cluster's own route tables (the VPC's main one is not among them: it carries no tags)."""
    pages = aws.ec2.get_paginator("describe_route_tables").paginate(Filters=owner.filters())
    return [
        RouteTable(
            id=table["RouteTableId"],
            internet_gateway_id=next(
                (
                    route.get("GatewayId")
                    for route in table.get("Routes", ())
                    if route.get("DestinationCidrBlock") == INTERNET and route.get("State") != "blackhole"
                ),
                None,
            ),
            associations={
                association["SubnetId"]: association["RouteTableAssociationId"]
                for association in table.get("Associations", ())
                if "SubnetId" in association
            },
        )
        for page in pages
        for table in page["RouteTables"]
    ]


def ensure_route_table(
    aws: Aws, owner: Owner, *, vpc_id: str, gateway_id: str, subnet_ids: list[str], token: str, waits: Waits
) -> tuple[str, bool]:
    """A route table of the cluster's own, to the internet by `gateway_id`, used by `subnet_ids`."""
    found = find_route_tables(aws, owner)
    table = only(found, f"route table of {owner.cluster}", (table.id for table in found))
    changed = table is None
    if table is None:
        answer = aws.ec2.create_route_table(
            VpcId=vpc_id,
            ClientToken=token,
            TagSpecifications=owner.tag_specifications(ROUTE_TABLE_ROLE, "route-table"),
        )
        table = RouteTable(answer["RouteTable"]["RouteTableId"], None, {})
    changed |= _ensure_default_route(aws, table, gateway_id, waits)
    for subnet_id in subnet_ids:
        if subnet_id not in table.associations:
            aws.ec2.associate_route_table(RouteTableId=table.id, SubnetId=subnet_id)
            changed = True
    return table.id, changed


def _ensure_default_route(aws: Aws, table: RouteTable, gateway_id: str, waits: Waits) -> bool:
    if table.internet_gateway_id == gateway_id:
        return False

    def route() -> None:
        try:
            aws.ec2.create_route(RouteTableId=table.id, DestinationCidrBlock=INTERNET, GatewayId=gateway_id)
        except AwsError as error:
            if error.code != "RouteAlreadyExists":  # a blackhole, or a route to somewhere else
                raise
            aws.ec2.replace_route(RouteTableId=table.id, DestinationCidrBlock=INTERNET, GatewayId=gateway_id)

    waits.retry(route, is_not_found, awaited=f"route table {table.id}")
    return True


def delete_route_tables(aws: Aws, owner: Owner, waits: Waits) -> bool:
    """Take the subnets off the cluster's route table and delete it; they fall back to the VPC's main one."""
    found = find_route_tables(aws, owner)
    for table in found:
        for association_id in table.associations.values():
            disassociate = partial(aws.ec2.disassociate_route_table, AssociationId=association_id)
            delete_when_free(aws, waits, disassociate, what=f"route table {table.id}")
        delete = partial(aws.ec2.delete_route_table, RouteTableId=table.id)
        delete_when_free(aws, waits, delete, what=f"route table {table.id}")
    return bool(found)
