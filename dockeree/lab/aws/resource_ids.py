"""EC2's ids: malformed ones, unknown ones, and new ones that are not visible yet."""

from __future__ import annotations

import re
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.responses.tags import TagResponse
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from dockeree.lab.aws.consistency import Consistency
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.gate import Ec2Checks
from dockeree.lab.aws.wire_errors import Refusal

_CODES = {
    "i": "InvalidInstanceID",
    "vpc": "InvalidVpcID",
    "subnet": "InvalidSubnetID",
    "sg": "InvalidGroup",
    "vol": "InvalidVolume",
    "eni": "InvalidNetworkInterfaceID",
    "igw": "InvalidInternetGatewayID",
    "rtb": "InvalidRouteTableID",
    "acl": "InvalidNetworkAclID",
    "key": "InvalidKeyPair",
    "eipalloc": "InvalidAllocationID",
    "lt": "InvalidLaunchTemplateId",
    "snap": "InvalidSnapshot",
    "ami": "InvalidAMIID",
    "sgr": "InvalidSecurityGroupRuleId",
}
_MALFORMED = {"sg": "InvalidGroupId.Malformed"}

_PARAMETERS = {
    "InstanceId": "i",
    "InstanceIds": "i",
    "VpcId": "vpc",
    "VpcIds": "vpc",
    "SubnetId": "subnet",
    "SubnetIds": "subnet",
    "GroupId": "sg",
    "GroupIds": "sg",
}
_HEXADECIMAL = re.compile(r"(?:[0-9a-f]{8}|[0-9a-f]{17})$")


def not_found(resource_id: str) -> str:
    """EC2's error code for an id that does not exist."""
    prefix = resource_id.rpartition("-")[0]
    return f"{_CODES[prefix]}.NotFound" if prefix in _CODES else "InvalidID"


def exists(backend: Any, resource_id: str) -> bool:
    """Whether EC2 has something under this id, of the kinds that carry tags. Other kinds are taken as given."""
    prefix = resource_id.rpartition("-")[0]
    if prefix not in _CODES:
        return True
    if prefix == "i":
        return backend.get_instance_by_id(resource_id) is not None
    if prefix == "key":
        return any(pair.id == resource_id for pair in backend.key_pairs.values())
    if prefix == "eipalloc":
        return any(address.allocation_id == resource_id for address in backend.addresses)
    if prefix == "subnet":
        return any(resource_id in in_zone for in_zone in backend.subnets.values())
    if prefix == "sg":
        return backend.get_security_group_from_id(resource_id) is not None
    if prefix == "sgr":
        groups = [group for in_vpc in backend.groups.values() for group in in_vpc.values()]
        return any(rule.id == resource_id for group in groups for rule in [*group.ingress_rules, *group.egress_rules])
    collections = {
        "vpc": backend.vpcs,
        "vol": backend.volumes,
        "eni": backend.enis,
        "igw": backend.internet_gateways,
        "rtb": backend.route_tables,
        "acl": backend.network_acls,
        "lt": backend.launch_templates,
        "snap": backend.snapshots,
        "ami": backend.amis,
    }
    return resource_id in collections[prefix]


def install(lab: Lab) -> None:
    """Check the ids of each call, and those that tags are put on."""
    lab.part(Ec2Checks).checks.append(lambda response: _check_ids(lab, response))

    @lab.extend(EC2Backend, "describe_tags")
    def describe_tags(original: Any, backend: Any, filters: Any = None) -> Any:
        # moto asks this for each resource that it describes, and looks all tags of the account through each time.
        ids = (filters or {}).get("resource-id", [])
        if len(filters or {}) != 1 or len(ids) != 1 or "*" in ids[0] or "?" in ids[0]:
            return original(backend, filters)
        kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(ids[0]), "")
        return [
            {"resource_id": ids[0], "key": key, "value": value, "resource_type": kind}
            for key, value in backend.tags.get(ids[0], {}).items()
        ]

    @lab.extend(TagResponse, "create_tags")
    def create_tags(original: Any, response: Any) -> Any:
        _refuse_reserved(response)
        for resource_id in response._get_param("Resources", []):
            if not exists(response.ec2_backend, resource_id):
                raise EC2ClientError(not_found(resource_id), f"The ID '{resource_id}' does not exist")
        return original(response)

    @lab.extend(TagResponse, "delete_tags")
    def delete_tags(original: Any, response: Any) -> Any:
        _refuse_reserved(response)
        return original(response)


def _refuse_reserved(response: Any) -> None:
    if any(tag["Key"].lower().startswith("aws:") for tag in response._get_param("Tags", [])):
        raise EC2ClientError(
            "InvalidParameterValue",
            "Tag keys starting with 'aws:' are reserved for internal use",
        )


def _check_ids(lab: Lab, response: Any) -> None:
    describes = response._get_action().startswith("Describe")
    for parameter, prefix in _PARAMETERS.items():
        value = response._get_param(parameter)
        for resource_id in value if isinstance(value, list) else [value] if value else []:
            if not _well_formed(prefix, resource_id):
                code = _MALFORMED.get(prefix, f"{_CODES[prefix]}.Malformed")
                raise Refusal("ec2", code, f'Invalid id: "{resource_id}" (expecting "{prefix}-...")')
            if describes and lab.part(Consistency).is_hidden(resource_id):
                raise Refusal("ec2", not_found(resource_id), f"The ID '{resource_id}' does not exist")


def _well_formed(prefix: str, resource_id: str) -> bool:
    return resource_id.startswith(f"{prefix}-") and bool(_HEXADECIMAL.match(resource_id.removeprefix(f"{prefix}-")))
