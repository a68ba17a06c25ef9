"""IAM roles and instance profiles of the nodes, with one inline policy each.

Names are fixed, as IAM's listings cannot be filtered by tag. A role and its profile have the same name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from dockeree.aws.deleting import delete_when_free
from dockeree.aws.tags import Owner
from dockeree.aws.waits import Waits, is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

NodeRole = Literal["manager", "worker"]
NODE_ROLES: tuple[NodeRole, ...] = ("manager", "worker")
PATH = "/dockeree/"
POLICY_NAME = "dockeree"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def role_name(owner: Owner, node_role: NodeRole) -> str:
    """`dockeree-NAME-ID-manager`: the name of the role and of its instance profile."""
    return f"dockeree-{owner.fixed_name}-{node_role}"


def node_policy(
    *, partition: str, region: str, account: str, path: str, more: Iterable[dict[str, Any]] = ()
) -> dict[str, Any]:
    """What a node may do in the account: read the parameters below `path`, what `more` statements say, nothing else.

    AmazonSSMManagedInstanceCore is never attached: it reads every parameter of the account.
    """
    resource = f"arn:{partition}:ssm:{region}:{account}:parameter{path}/*"
    statement = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement, *more]}


def ensure_role(
    aws: Aws,
    owner: Owner,
    node_role: NodeRole,
    policy: dict[str, Any],
    permissions_boundary: str | None,
    waits: Waits,
) -> bool:
    """The node's role with `policy`, and its instance profile; whether anything was changed."""
    name = role_name(owner, node_role)
    changed = False
    if _ask(lambda: aws.iam.get_role(RoleName=name)) is None:
        boundary: dict[str, Any] = {"PermissionsBoundary": permissions_boundary} if permissions_boundary else {}
        aws.iam.create_role(
            RoleName=name,
            Path=PATH,
            AssumeRolePolicyDocument=json.dumps(_TRUST),
            Description=f"{node_role}s of the dockeree cluster {owner.cluster}",
            Tags=owner.tag_list(node_role),
            **boundary,
        )
        changed = True
    present = _ask(lambda: aws.iam.get_role_policy(RoleName=name, PolicyName=POLICY_NAME))
    if present is None or present["PolicyDocument"] != policy:
        document = json.dumps(policy)
        put = partial(aws.iam.put_role_policy, RoleName=name, PolicyName=POLICY_NAME, PolicyDocument=document)
        waits.retry(put, is_not_found, awaited=f"role {name}")
        changed = True
    return _ensure_profile(aws, owner, node_role, name, waits) or changed


def _ensure_profile(aws: Aws, owner: Owner, node_role: NodeRole, name: str, waits: Waits) -> bool:
    found = _ask(lambda: aws.iam.get_instance_profile(InstanceProfileName=name))
    if found is None:
        aws.iam.create_instance_profile(InstanceProfileName=name, Path=PATH, Tags=owner.tag_list(node_role))
    elif any(role["RoleName"] == name for role in found["InstanceProfile"]["Roles"]):
        return False
    add = partial(aws.iam.add_role_to_instance_profile, InstanceProfileName=name, RoleName=name)
    waits.retry(add, is_not_found, awaited=f"instance profile {name}")
    return True


def delete_role(aws: Aws, owner: Owner, node_role: NodeRole, waits: Waits) -> bool:
    """Delete a node's profile and role with every policy on it, in IAM's order; True when anything was there."""
    name = role_name(owner, node_role)
    profile = _ask(lambda: aws.iam.get_instance_profile(InstanceProfileName=name))
    if profile is not None:
        for role in profile["InstanceProfile"]["Roles"]:
            remove = partial(aws.iam.remove_role_from_instance_profile, RoleName=role["RoleName"])
            _ask(lambda remove=remove: remove(InstanceProfileName=name))
        delete = partial(aws.iam.delete_instance_profile, InstanceProfileName=name)
        delete_when_free(aws, waits, delete, what=f"instance profile {name}", timeout_seconds=120.0)
    if _ask(lambda: aws.iam.get_role(RoleName=name)) is None:
        return profile is not None
    for policy_name in _inline_policies(aws, name):
        aws.iam.delete_role_policy(RoleName=name, PolicyName=policy_name)
    for arn in _attached_policies(aws, name):
        aws.iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    # IAM is eventually consistent: what was just taken off may count for a moment as still on it (DeleteConflict).
    delete_it = partial(aws.iam.delete_role, RoleName=name)
    delete_when_free(aws, waits, delete_it, what=f"role {name}", timeout_seconds=120.0)
    return True


def find_names(aws: Aws, owner: Owner) -> list[str]:
    """The cluster's roles and instance profiles that are there, as `role NAME` and `instance profile NAME`."""
    found = []
    for node_role in NODE_ROLES:
        name = role_name(owner, node_role)
        if _ask(partial(aws.iam.get_role, RoleName=name)) is not None:
            found.append(f"role {name}")
        if _ask(partial(aws.iam.get_instance_profile, InstanceProfileName=name)) is not None:
            found.append(f"instance profile {name}")
    return found


def list_role_names(aws: Aws) -> list[str]:
    """Every role below dockeree's path, of all clusters of the account."""
    pages = aws.iam.get_paginator("list_roles").paginate(PathPrefix=PATH)
    return [role["RoleName"] for page in pages for role in page["Roles"]]


def _inline_policies(aws: Aws, name: str) -> list[str]:
    pages = aws.iam.get_paginator("list_role_policies").paginate(RoleName=name)
    return [policy for page in pages for policy in page["PolicyNames"]]


def _attached_policies(aws: Aws, name: str) -> list[str]:
    pages = aws.iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
    return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]


def _ask(call: Any) -> Any:
    """The answer, None where IAM says that there is no such thing."""
    try:
        return call()
    except AwsError as error:
        if is_not_found(error):
            return None
        raise
