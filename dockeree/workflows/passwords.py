"""UCP's password, as commands ask for it: whether one is to be chosen, and which one holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dockeree import secrets
from dockeree.steps.ucp_password import password_of

if TYPE_CHECKING:
    from dockeree.context import Cluster


def needs_password(cluster: Cluster) -> bool:
    """Whether `up` is to make UCP, and nobody has said with which password.

    Raises UsageError when the environment's is none that UCP takes.
    """
    if not cluster.config.ucp.enabled or secrets.given_password(os.environ):
        return False
    return secrets.kept_password(cluster.aws, cluster.name) is None


def ucp_password(cluster: Cluster) -> str:
    """The password of UCP's administrator. Raises DockereeError when there is none."""
    return password_of(cluster)
