"""Instance profiles as launching sees them: a new one is not usable for some seconds."""

from __future__ import annotations

from typing import Any

from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends

from dockeree.lab.aws.core import Lab
from dockeree.lab.settings import ACCOUNT_ID

USABLE_AFTER_SECONDS = 8.0
"""AWS's time: IAM is eventually consistent, and EC2 learns of a new profile some seconds later."""


def find_profile(lab: Lab, name: str | None, arn: str | None) -> Any:
    """The profile that a launch names, None where it names none.

    Raises InvalidParameterValue where there is no such profile, or not yet for EC2, or no role in it.
    """
    if not name and not arn:
        return None
    iam = iam_backends[ACCOUNT_ID]["aws"]
    try:
        profile = iam.get_instance_profile_by_arn(arn) if arn else iam.get_instance_profile(name)
    except NotFoundException:
        raise _invalid(name, arn) from None
    if (utcnow() - profile.create_date).total_seconds() < lab.scaled(USABLE_AFTER_SECONDS):
        raise _invalid(name, arn)
    if not profile.roles:
        raise EC2ClientError(
            "InvalidParameterValue", f'IAM Instance Profile "{profile.arn}" has no associated IAM Roles'
        )
    return profile


def _invalid(name: str | None, arn: str | None) -> EC2ClientError:
    what, value = ("ARN", arn) if arn else ("name", name)
    return EC2ClientError(
        "InvalidParameterValue",
        f"Value ({value}) for parameter iamInstanceProfile.{what.lower()} is invalid. "
        f"Invalid IAM Instance Profile {what}",
    )


def install(lab: Lab) -> None:
    """Associations too learn of a profile late."""

    @lab.extend(EC2Backend, "associate_iam_instance_profile")
    def associate(
        original: Any,
        backend: Any,
        instance_id: str,
        iam_instance_profile_name: str | None = None,
        iam_instance_profile_arn: str | None = None,
    ) -> Any:
        profile = find_profile(lab, iam_instance_profile_name, iam_instance_profile_arn)
        association = original(backend, instance_id, iam_instance_profile_name, iam_instance_profile_arn)
        association.instance.iam_instance_profile["Id"] = profile.id
        return association
