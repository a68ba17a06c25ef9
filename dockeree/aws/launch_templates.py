"""The workers' launch template: the default version is what new workers are made from."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dockeree.aws.instances import WORKER_ROLE, LaunchSpec, is_profile_not_ready, launch_parameters
from dockeree.aws.tags import Owner
from dockeree.aws.waits import Waits, is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

TEMPLATE_ROLE = "workers"


@dataclass(frozen=True)
class LaunchTemplate:
    """The template; `digest` tells what its default version was made from."""

    id: str
    name: str
    default_version: int
    digest: str


def template_name(owner: Owner) -> str:
    """`NAME-ID-workers`, the Auto Scaling group's name too."""
    return f"{owner.fixed_name}-workers"


def find_launch_template(aws: Aws, owner: Owner) -> LaunchTemplate | None:
    """The cluster's template with its default version."""
    try:
        answer = aws.ec2.describe_launch_template_versions(
            LaunchTemplateName=template_name(owner), Versions=["$Default"]
        )
    except AwsError as error:
        if is_not_found(error) or error.code.startswith("InvalidLaunchTemplateName.NotFound"):
            return None
        raise
    if not answer["LaunchTemplateVersions"]:
        return None
    version = answer["LaunchTemplateVersions"][0]
    return LaunchTemplate(
        id=version["LaunchTemplateId"],
        name=version["LaunchTemplateName"],
        default_version=version["VersionNumber"],
        digest=version.get("VersionDescription", ""),
    )


def ensure_launch_template(
    aws: Aws, owner: Owner, spec: LaunchSpec, *, token: str, waits: Waits
) -> tuple[LaunchTemplate, bool]:
    """The template with `spec` as its default version, a new version when it has changed; and whether it has."""
    data = template_data(owner, spec)
    digest = _digest(data)
    found = find_launch_template(aws, owner)
    if found is None:
        _create(aws, owner, data, digest, token, waits)
        found = find_launch_template(aws, owner)
        return found or LaunchTemplate("", template_name(owner), 1, digest), True
    if found.digest == digest:
        return found, False
    answer = aws.ec2.create_launch_template_version(
        LaunchTemplateId=found.id, VersionDescription=digest, LaunchTemplateData=data
    )
    version = answer["LaunchTemplateVersion"]["VersionNumber"]
    aws.ec2.modify_launch_template(LaunchTemplateId=found.id, DefaultVersion=str(version))
    return LaunchTemplate(found.id, found.name, version, digest), True


def template_data(owner: Owner, spec: LaunchSpec) -> Any:
    """The template's data. Tags come from here, to the volumes and interfaces too, not from the group.

    Detailed monitoring (a point a minute): with the basic one a target tracking policy would scale out after 15
    minutes and in after 75.
    """
    return {
        **launch_parameters(spec),
        "SecurityGroupIds": list(spec.group_ids),
        "IamInstanceProfile": {"Name": spec.profile_name},
        "Monitoring": {"Enabled": True},
        "UserData": base64.b64encode(spec.user_data).decode(),
        "TagSpecifications": owner.tag_specifications(WORKER_ROLE, "instance", "volume", "network-interface"),
    }


def delete_launch_template(aws: Aws, owner: Owner) -> bool:
    """Delete the template with all its versions; True when it was there."""
    try:
        aws.ec2.delete_launch_template(LaunchTemplateName=template_name(owner))
    except AwsError as error:
        if is_not_found(error) or "NotFound" in error.code:
            return False
        raise
    return True


def _create(aws: Aws, owner: Owner, data: Any, digest: str, token: str, waits: Waits) -> None:
    def create() -> None:
        aws.ec2.create_launch_template(
            LaunchTemplateName=template_name(owner),
            VersionDescription=digest,
            LaunchTemplateData=data,
            ClientToken=token,
            TagSpecifications=owner.tag_specifications(TEMPLATE_ROLE, "launch-template"),
        )

    try:
        waits.retry(create, is_profile_not_ready, awaited=f"launch template {template_name(owner)}")
    except AwsError as error:
        # An earlier attempt got through, perhaps with another token (a lost state file).
        if error.code != "InvalidLaunchTemplateName.AlreadyExistsException":
            raise


def _digest(data: Any) -> str:
    """What tells one version's data from another's: EC2 answers the data itself changed in many small ways."""
    return f"dockeree {hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:32]}"
