"""IAM's refusals, the delay of new instance profiles, service-linked roles, and who may pass which role."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.exceptions import (
    DeleteConflictException,
    InvalidInput,
    LimitExceededException,
    MalformedPolicyDocument,
    NotFoundException,
)
from moto.iam.models import AWSManagedPolicy, IAMBackend, iam_backends
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator

from dockeree.lab.aws import authorization, instance_profiles
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.gate import Ec2Checks
from dockeree.lab.settings import ACCOUNT_ID

ROLE_POLICIES_LIMIT = 10_240
"""Characters of all inline policies of a role together, white space not counted."""

NAMES_PROFILE = {
    "RunInstances": "IamInstanceProfile",
    "AssociateIamInstanceProfile": "IamInstanceProfile",
    "CreateLaunchTemplate": "LaunchTemplateData.IamInstanceProfile",
    "CreateLaunchTemplateVersion": "LaunchTemplateData.IamInstanceProfile",
}
"""Where EC2's calls name an instance profile."""

SERVICE_LINKED_ROLES = {
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
}


def backend() -> Any:
    """moto's IAM of the lab's account."""
    return iam_backends[ACCOUNT_ID]["aws"]


def find_profile(name_or_arn: str) -> Any | None:
    """The instance profile of this name or ARN, None where there is none."""
    profiles = backend().instance_profiles.values()
    return next((profile for profile in profiles if name_or_arn in (profile.name, profile.arn)), None)


def profile_is_usable(lab: Lab, name_or_arn: str) -> bool:
    """Whether EC2 knows this instance profile already: it exists, has a role, and is not quite new."""
    is_arn = name_or_arn.startswith("arn:")
    try:
        instance_profiles.find_profile(lab, None if is_arn else name_or_arn, name_or_arn if is_arn else None)
    except EC2ClientError:
        return False
    return True


def require_pass_role(lab: Lab, name_or_arn: str, service: str = "ec2.amazonaws.com") -> None:
    """Refuse the present call unless its caller may pass the profile's role to `service`.

    Raises UnauthorizedOperation or AccessDenied. An unknown profile is no matter of permissions.
    """
    profile = find_profile(name_or_arn)
    for role in profile.roles if profile is not None else ():
        authorization.require(lab, "iam:PassRole", role.arn, {"iam:PassedToService": service})


def _check_named_profile(lab: Lab, response: Any) -> None:
    """An EC2 call that names an instance profile hands its role over: iam:PassRole."""
    parameter = NAMES_PROFILE.get(response._get_action())
    profile = response._get_param(parameter, {}) if parameter else {}
    named = profile.get("Name") or profile.get("Arn")
    if named:
        require_pass_role(lab, named)


def ensure_service_linked_role(lab: Lab, service: str) -> None:
    """Make the role by which an AWS service acts in the account, at its first use, as the caller may.

    Raises AccessDenied where the caller may not iam:CreateServiceLinkedRole.
    """
    name = SERVICE_LINKED_ROLES[service]
    if any(role.name == name for role in backend().roles.values()):
        return
    arn = f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/{service}/{name}"
    authorization.require(lab, "iam:CreateServiceLinkedRole", arn, {"iam:AWSServiceName": service})
    backend().create_service_linked_role(service, "", "")


def _check_trust_policy(document: str) -> None:
    IAMTrustPolicyDocumentValidator(document).validate()
    policy = json.loads(document)
    for statement in policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]:
        principal = statement.get("Principal")
        if not principal:
            raise MalformedPolicyDocument("Missing required field Principal")
        if isinstance(principal, dict):
            _check_principals(principal)
        elif principal != "*":
            raise MalformedPolicyDocument(f"Invalid principal in policy: {principal}")


def _check_principals(principal: dict[str, Any]) -> None:
    for kind, names in principal.items():
        if kind not in ("AWS", "Service", "Federated", "CanonicalUser"):
            raise MalformedPolicyDocument(f"Invalid principal in policy: {kind}")
        for name in [names] if isinstance(names, str) else names:
            if kind == "Service" and not re.fullmatch(r"[a-z0-9.-]+\.amazonaws\.com", name):
                raise MalformedPolicyDocument(f'Invalid principal in policy: "SERVICE":"{name}"')


def _check_inline_limit(role: Any, name: str, document: str) -> None:
    others = [text for other, text in role.policies.items() if other != name]
    if sum(len(re.sub(r"\s", "", text)) for text in (*others, document)) > ROLE_POLICIES_LIMIT:
        raise LimitExceededException(
            f"Maximum policy size of {ROLE_POLICIES_LIMIT} bytes exceeded for role {role.name}"
        )


def _attached_to(policy: Any) -> bool:
    holders = (*backend().roles.values(), *backend().users.values(), *backend().groups.values())
    return any(policy.arn in holder.managed_policies for holder in holders)


def _install_profiles(lab: Lab) -> None:
    @lab.extend(IAMBackend, "add_role_to_instance_profile")
    def add_role(original: Any, iam: Any, profile_name: str, role_name: str) -> None:
        authorization.require(
            lab, "iam:PassRole", iam.get_role(role_name).arn, {"iam:PassedToService": "ec2.amazonaws.com"}
        )
        original(iam, profile_name, role_name)

    @lab.extend(IAMBackend, "remove_role_from_instance_profile")
    def remove_role(original: Any, iam: Any, profile_name: str, role_name: str) -> None:
        if iam.get_role(role_name) not in iam.get_instance_profile(profile_name).roles:
            raise NotFoundException(f"The role {role_name} is not in instance profile {profile_name}")
        original(iam, profile_name, role_name)


def _install_roles(lab: Lab) -> None:
    @lab.extend(IAMBackend, "create_role")
    def create_role(
        original: Any,
        iam: Any,
        role_name: str,
        assume_role_policy_document: str,
        path: str,
        permissions_boundary: str | None,
        *rest: Any,
        **more: Any,
    ) -> Any:
        _check_trust_policy(assume_role_policy_document)
        if permissions_boundary and permissions_boundary not in iam.managed_policies:
            raise NotFoundException(f"Scope ARN: {permissions_boundary} does not exist or is not attachable.")
        return original(iam, role_name, assume_role_policy_document, path, permissions_boundary, *rest, **more)

    @lab.extend(IAMBackend, "put_role_policy")
    def put_role_policy(original: Any, iam: Any, role_name: str, policy_name: str, policy_json: str) -> None:
        _check_inline_limit(iam.get_role(role_name), policy_name, policy_json)
        original(iam, role_name, policy_name, policy_json)

    @lab.extend(IAMBackend, "create_service_linked_role")
    def create_service_linked_role(original: Any, iam: Any, service_name: str, *rest: Any, **more: Any) -> Any:
        name = SERVICE_LINKED_ROLES.get(service_name)
        if name is not None and any(role.name == name for role in iam.roles.values()):
            raise InvalidInput(
                f"Service role name {name} has been taken in this account, please try a different suffix."
            )
        role = original(iam, service_name, *rest, **more)
        if name is not None:
            role.name = name  # moto spells some of them otherwise
        return role


@cache
def _aws_policies() -> dict[str, Any]:
    return dict(json.loads(aws_managed_policies_data))


def _install_policies(lab: Lab) -> None:
    @lab.extend(IAMBackend, "_init_aws_policies")
    def init_aws_policies(_original: Any, iam: Any) -> list[AWSManagedPolicy]:
        # moto reads its list of AWS's policies anew for each backend, which takes a third of a second.
        return [
            AWSManagedPolicy.from_data(name, iam.account_id, iam.region_name, data)
            for name, data in _aws_policies().items()
        ]

    @lab.extend(IAMBackend, "delete_policy")
    def delete_policy(original: Any, iam: Any, policy_arn: str) -> None:
        policy = iam.get_policy(policy_arn)
        if _attached_to(policy):
            raise DeleteConflictException("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise DeleteConflictException(
                "This policy has more than one version. Before you delete a policy, you must delete all the policy's "
                "versions. The default version is deleted with the policy."
            )
        original(iam, policy_arn)

    @lab.extend(IAMBackend, "delete_user")
    def delete_user(original: Any, iam: Any, user_name: str) -> None:
        user = iam.get_user(user_name)
        if user.access_keys:
            raise DeleteConflictException("Cannot delete entity, must delete access keys first.")
        if iam.get_groups_for_user(user_name):
            raise DeleteConflictException("Cannot delete entity, must remove users from group first.")
        original(iam, user_name)


def install(lab: Lab) -> None:
    """Lay IAM's behaviours over moto."""
    _install_profiles(lab)
    _install_roles(lab)
    _install_policies(lab)
    lab.part(Ec2Checks).checks.append(lambda response: _check_named_profile(lab, response))
