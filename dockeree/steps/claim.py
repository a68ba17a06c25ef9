"""The claim of the cluster's name: what gives the cluster one id, whoever works on it and from wherever."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dockeree.aws import clusters
from dockeree.aws.clusters import Claim
from dockeree.aws.tags import Owner
from dockeree.errors import AwsError
from dockeree.steps.step import Step

if TYPE_CHECKING:
    from dockeree.context import Cluster


class ClaimCluster(Step):
    """Take the name in this account and region, or find that it is taken: both give the cluster's id.

    Nothing takes it back but the end of `destroy` (workflows/destroy.py): as long as anything is left, the claim is
    the way to it.
    """

    title = "Claim the cluster's name"
    undo_title = "Keep the cluster's name until the end"
    group = "network"

    def run(self, cluster: Cluster) -> bool:
        """Record the id in the state; True when the name was free."""
        claim = clusters.find_claim(cluster.aws, cluster.name)
        changed = claim is None
        if claim is None:
            claim = _take(cluster)
        identity = cluster.aws.identity()
        cluster.state.record_cluster(
            cluster_id=claim.id, region=cluster.aws.region, account=identity.account, created_at=claim.created_at
        )
        return changed


def _take(cluster: Cluster) -> Claim:
    claim = Claim(
        id=_id_without_claim(cluster),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        created_by=cluster.aws.identity().arn,
    )
    own_tags = tuple(sorted(cluster.config.tags.items()))
    if clusters.create_claim(cluster.aws, Owner(cluster.name, claim.id, own_tags), claim):
        return claim
    winner = clusters.find_claim(cluster.aws, cluster.name)
    return winner if winner is not None else replace(claim)


def _id_without_claim(cluster: Cluster) -> str:
    """The id of a cluster that stands although its claim was deleted, else a new one."""
    standing = set(clusters.find_vpc_ids_by_cluster(cluster.aws, cluster.name).values())
    if len(standing) > 1:
        raise AwsError(
            f"there are {len(standing)} clusters called {cluster.name}, and no claim that says which one is meant: "
            + ", ".join(sorted(standing)),
            "Take them away: dockeree destroy",
            code="Duplicate",
        )
    return standing.pop() if standing else secrets.token_hex(4)
