"""`dockeree destroy`: back to nothing, from what the tags find, and the proof that nothing is left.

The same steps as `up`, undone with the arrows turned round. The claim of the name goes last of all in the account: as
long as anything is left, it is the way to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dockeree.aws import clusters, leftovers, parameters
from dockeree.aws.leftovers import Resource
from dockeree.aws.lock import cluster_lock, find_holder
from dockeree.context import Cluster
from dockeree.errors import StepsFailed
from dockeree.steps.found import owner_of, waits_of
from dockeree.steps.runner import undo_steps
from dockeree.steps.step import Step
from dockeree.workflows.buckets import delete_buckets, look_at_buckets
from dockeree.workflows.up import UP, stop_when_lost


@dataclass(frozen=True)
class Inventory:
    """What `destroy` will remove, and what it keeps, in words. Nothing to remove means that there is no cluster."""

    removes: tuple[Resource, ...]
    keeps: tuple[str, ...]
    is_claimed: bool
    is_locked: bool = False
    """Whether there is a lock: of a command at work, or of one that died, perhaps before it made anything."""
    kept_buckets: tuple[str, ...] = ()
    """Those of `keeps` that a cluster of this name made, and that cost something."""

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind will be removed."""
        counts: dict[str, int] = {}
        for resource in self.removes:
            counts[resource.kind] = counts.get(resource.kind, 0) + 1
        return counts


@dataclass(frozen=True)
class DestroySummary:
    """What came of it. Anything in `left` is a failure: the command exits with 1."""

    removed: tuple[Resource, ...]
    kept: tuple[str, ...]
    left: tuple[Resource, ...]
    seconds: float
    kept_buckets: tuple[str, ...] = ()


def inventory(cluster: Cluster) -> Inventory:
    """Look for everything of the cluster, by the id that the claim, the state or the tags tell; changes nothing."""
    claim = clusters.find_claim(cluster.aws, cluster.name)
    ids = find_ids(cluster, claim.id if claim else "")
    holder = find_holder(cluster.aws, cluster.name)
    removed_buckets, kept_buckets = look_at_buckets(cluster)
    return Inventory(
        removes=(*_search(cluster, ids), *removed_buckets),
        keeps=(*kept_buckets, *_kept(cluster)),
        is_claimed=claim is not None,
        is_locked=holder is not None,
        kept_buckets=kept_buckets,
    )


def destroy(cluster: Cluster, steps: Sequence[type[Step]] = UP) -> DestroySummary:
    """Remove everything of the cluster, and prove it.

    Raises StateLocked, StepsFailed (what failed; running it again continues); Interrupted after Ctrl-C.
    """
    began = cluster.clock.now()
    with cluster_lock(cluster.aws, cluster.name, "dockeree destroy", on_lost=stop_when_lost(cluster)):
        before = inventory(cluster)
        claim = clusters.find_claim(cluster.aws, cluster.name)
        ids = find_ids(cluster, claim.id if claim else "")
        left: list[Resource] = []
        for cluster_id in sorted(ids):
            left += _destroy_one(cluster, cluster_id, steps)
        left += delete_buckets(cluster)
        if not left:
            parameters.delete_parameter(cluster.aws, parameters.claim_name(cluster.name))
    if not left:
        cluster.state.remove()
    removed = tuple(resource for resource in before.removes if resource not in left)
    return DestroySummary(removed, before.keeps, tuple(left), cluster.clock.now() - began, before.kept_buckets)


def find_ids(cluster: Cluster, claimed: str) -> set[str]:
    """The ids to look for: the claim's, the state's, and those of whatever carries the cluster's name."""
    known = {claimed, cluster.state.cluster_id} - {""}
    return known | clusters.find_ids(cluster.aws, cluster.name)


def _destroy_one(cluster: Cluster, cluster_id: str, steps: Sequence[type[Step]]) -> list[Resource]:
    """Undo every step for one id, then search: what is left."""
    _remember(cluster, cluster_id)
    try:
        undo_steps(cluster, steps)
    except StepsFailed as failed:
        left = leftovers.search(cluster.aws, owner_of(cluster))
        cluster.report.warn(f"Left, {len(left)}: {', '.join(map(str, left))}")
        failed.hint = failed.hint or "Run `dockeree destroy` again: it continues with what is left."
        raise
    for name in leftovers.find_parameters(cluster.aws, cluster.name):
        parameters.delete_parameter(cluster.aws, name)
    return leftovers.search_until_settled(cluster.aws, owner_of(cluster), waits_of(cluster))


def _remember(cluster: Cluster, cluster_id: str) -> None:
    """Steps take the id from the state; the state may be lost, or be of another id."""
    if cluster.id == cluster_id:
        return
    cluster.state.record_cluster(
        cluster_id=cluster_id,
        region=cluster.aws.region,
        account=cluster.aws.identity().account,
        created_at=cluster.state.created_at,
    )


def _search(cluster: Cluster, ids: Iterable[str]) -> tuple[Resource, ...]:
    owner = owner_of(cluster)
    found: dict[Resource, None] = {}
    for cluster_id in sorted(ids):
        own = type(owner)(owner.cluster, cluster_id, owner.own_tags)
        found.update(dict.fromkeys(leftovers.search(cluster.aws, own)))
    return tuple(found)


def _kept(cluster: Cluster) -> tuple[str, ...]:
    kept = ["the service-linked roles of Elastic Load Balancing and Auto Scaling: they are the account's"]
    if cluster.config.ssh.key:
        kept.append(f"your SSH key {cluster.config.ssh.key}")
    if cluster.config.dns.hosted_zone_id:
        kept.append(f"your hosted zone {cluster.config.dns.hosted_zone_id}, without the cluster's records")
    return tuple(kept)
