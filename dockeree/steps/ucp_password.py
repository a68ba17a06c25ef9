"""The password of UCP's administrator, kept in the account before UCP is installed with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dockeree import secrets
from dockeree.aws import parameters
from dockeree.redaction import register_secret
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of
from dockeree.steps.step import Step

if TYPE_CHECKING:
    from dockeree.context import Cluster

PASSWORD_ROLE = "ucp-password"


class KeepPassword(Step):
    """Keep the password that UCP will be installed with: given, typed, or made here. One that is kept stays."""

    title = "Keep UCP's password"
    undo_title = "Delete UCP's password"
    group = "access"
    after = (ClaimCluster,)

    def run(self, cluster: Cluster) -> bool:
        if secrets.kept_password(cluster.aws, cluster.name) is not None:
            return False
        password = secrets.given_password(os.environ) or cluster.chosen_password or secrets.new_password()
        register_secret(password)
        # When somebody else was quicker, theirs is the one: create answers None, and it is read where it is needed.
        created = parameters.create_parameter(
            cluster.aws,
            owner_of(cluster),
            parameters.ucp_password_name(cluster.name),
            password,
            role=PASSWORD_ROLE,
            is_secret=True,
            key_id=cluster.config.secrets.kms_key_id,
        )
        return created is not None

    def undo(self, cluster: Cluster) -> bool:
        return parameters.delete_parameter(cluster.aws, parameters.ucp_password_name(cluster.name))


def password_of(cluster: Cluster) -> str:
    """The password to log in with. Raises DockereeError when there is none."""
    return secrets.current_password(cluster.aws, cluster.name, os.environ)


def keep_proved(cluster: Cluster, password: str) -> bool:
    """Keep a password that UCP has just taken: the environment's may be a newer one than the account's."""
    if secrets.kept_password(cluster.aws, cluster.name) == password:
        return False
    name = parameters.ucp_password_name(cluster.name)
    key_id = cluster.config.secrets.kms_key_id
    owner = owner_of(cluster)
    created = parameters.create_parameter(
        cluster.aws, owner, name, password, role=PASSWORD_ROLE, is_secret=True, key_id=key_id
    )
    if created is None:
        parameters.overwrite_parameter(cluster.aws, name, password, is_secret=True, key_id=key_id)
    return True
