"""The lab's account: an operator who may do everything, and IAM enforced on everybody from then on."""

from __future__ import annotations

from moto.iam.models import iam_backends

from dockeree.lab.aws.moto_settings import backend, enforce_iam

OPERATOR = "operator"
_ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"


def create_operator() -> tuple[str, str]:
    """Create the IAM user `operator` with AWS's AdministratorAccess, and enforce IAM from now on.

    Returns the user's access key id and secret access key.
    """
    iam = backend(iam_backends, "aws")
    user = iam.create_user(iam.region_name, OPERATOR)
    iam.attach_user_policy(_ADMINISTRATOR_ACCESS, OPERATOR)
    key = iam.create_access_key(user.name)
    enforce_iam()
    return key.access_key_id, key.secret_access_key
