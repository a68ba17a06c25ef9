"""Which clusters there are: the claim of a name, and the ids that tags and fixed names tell where the claim is gone."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from dockeree.aws import auto_scaling, parameters, roles
from dockeree.aws.tags import CLUSTER_TAG, ID_TAG, Owner, filters
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

FORMAT_VERSION = 1
CLAIM_ROLE = "claim"


@dataclass(frozen=True)
class Claim:
    """A name taken in this account and region. `image` is the AMI decided for every node, empty until it is."""

    id: str
    created_at: str
    created_by: str
    image: str = ""
    format_version: int = FORMAT_VERSION

    def dump(self) -> str:
        """The parameter's value."""
        return json.dumps(asdict(self), sort_keys=True)


def find_claim(aws: Aws, cluster: str) -> Claim | None:
    """The claim of a name. Raises AwsError when it was written by a newer dockeree, or cannot be read."""
    name = parameters.claim_name(cluster)
    found = parameters.get_parameter(aws, name)
    if found is None:
        return None
    try:
        values = json.loads(found.value)
        version = int(values["format_version"])
        claim = Claim(values["id"], values["created_at"], values["created_by"], values.get("image", ""), version)
    except (ValueError, KeyError, TypeError) as error:
        raise AwsError(
            f"the parameter {name} is not a claim of a cluster's name: {found.value[:100]}",
            f"See whose it is: aws ssm get-parameter --name {name}",
        ) from error
    if version > FORMAT_VERSION:
        raise AwsError(f"{cluster} was made by a newer dockeree (format {version})", "Update dockeree.")
    return claim


def create_claim(aws: Aws, owner: Owner, claim: Claim) -> bool:
    """Take the name; False when somebody else was quicker."""
    name = parameters.claim_name(owner.cluster)
    version = parameters.create_parameter(aws, owner, name, claim.dump(), role=CLAIM_ROLE, is_secret=False)
    return version is not None


def update_claim(aws: Aws, cluster: str, claim: Claim) -> None:
    """Write what was decided into the claim; only under the cluster's lock."""
    parameters.overwrite_parameter(aws, parameters.claim_name(cluster), claim.dump(), is_secret=False)


def find_ids(aws: Aws, cluster: str) -> set[str]:
    """The id of every cluster called `cluster` of which anything is left, whatever it is."""
    return (
        _ids_of_ec2_tags(aws, cluster)
        | _ids_of_names(
            roles.list_role_names(aws), rf"dockeree-{re.escape(cluster)}-([0-9a-f]{{8}})-(?:manager|worker)"
        )
        | _ids_of_names(_balancer_names(aws), rf"{re.escape(cluster)}-([0-9a-f]{{8}})-(?:ucp|dtr|apps)")
        | _ids_of_names(_target_group_names(aws), rf"{re.escape(cluster)}-([0-9a-f]{{8}})-(?:ucp|dtr|apps)-\d+")
        | _ids_of_names(auto_scaling.list_group_names(aws), rf"{re.escape(cluster)}-([0-9a-f]{{8}})-workers")
        | _ids_of_names(_zone_comments(aws), rf"dockeree cluster {re.escape(cluster)} ([0-9a-f]{{8}})")
    )


def find_vpc_ids_by_cluster(aws: Aws, cluster: str) -> dict[str, str]:
    """The VPCs of every cluster called `cluster`: VPC id -> cluster id. A VPC is the last thing that goes."""
    pages = aws.ec2.get_paginator("describe_vpcs").paginate(Filters=filters({f"tag:{CLUSTER_TAG}": cluster}))
    return {
        vpc["VpcId"]: tag["Value"]
        for page in pages
        for vpc in page["Vpcs"]
        for tag in vpc.get("Tags", ())
        if tag["Key"] == ID_TAG
    }


def _ids_of_ec2_tags(aws: Aws, cluster: str) -> set[str]:
    paginator = aws.ec2.get_paginator("describe_tags")
    tagged = {
        tag["ResourceId"]
        for page in paginator.paginate(Filters=filters({"key": CLUSTER_TAG, "value": cluster}))
        for tag in page["Tags"]
    }
    return {
        tag["Value"]
        for page in paginator.paginate(Filters=filters({"key": ID_TAG}))
        for tag in page["Tags"]
        if tag["ResourceId"] in tagged
    }


def _ids_of_names(names: list[str], pattern: str) -> set[str]:
    return {match.group(1) for name in names if (match := re.fullmatch(pattern, name))}


def _balancer_names(aws: Aws) -> list[str]:
    pages = aws.elbv2.get_paginator("describe_load_balancers").paginate()
    return [balancer["LoadBalancerName"] for page in pages for balancer in page["LoadBalancers"]]


def _target_group_names(aws: Aws) -> list[str]:
    pages = aws.elbv2.get_paginator("describe_target_groups").paginate()
    return [group["TargetGroupName"] for page in pages for group in page["TargetGroups"]]


def _zone_comments(aws: Aws) -> list[str]:
    pages = aws.route53.get_paginator("list_hosted_zones").paginate()
    return [zone.get("Config", {}).get("Comment", "") for page in pages for zone in page["HostedZones"]]
