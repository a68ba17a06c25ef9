"""`dockeree scale-workers N`: more or fewer workers, and no trace of those that went.

    Drain    the workers that go: those that a killed run has marked already, then chosen ones; their tasks move
    Size     terminate those very instances, the group one smaller with each, so that nobody replaces them; or
             let the group launch more, which join by themselves
    Arrive   exactly N are Ready, and the swarm has forgotten the rest

Auto Scaling's own scale-in knows nothing of tasks, so the group is never just told a smaller number. Its AZRebalance,
which would terminate workers by itself, is suspended from the group's creation on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from dockeree.aws import auto_scaling, instances
from dockeree.aws.clusters import find_claim
from dockeree.aws.lock import cluster_lock
from dockeree.aws.tags import Owner
from dockeree.context import Cluster
from dockeree.errors import DockereeError, UsageError
from dockeree.ssh.remote import Remote
from dockeree.steps.found import waits_of
from dockeree.steps.reaching import find_swarm_manager
from dockeree.steps.worker_arrivals import Worker, await_workers, see_workers
from dockeree.steps.worker_departures import (
    DRAIN_SECONDS,
    await_tasks_gone,
    choose,
    forget_the_gone,
    retire,
    terminate,
)

DRAIN, SIZE, ARRIVE = "workers/Drain", "workers/Size", "workers/Arrive"
TERMINATE_SECONDS = 1200.0
"""The group first takes a worker off its target groups and waits for their deregistration delay (300 s by default)."""


@dataclass(frozen=True)
class ScaleSummary:
    """What was done. `before` and `after` are the group's desired capacity; workers are named by instance id."""

    before: int
    after: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    elapsed_seconds: float

    @property
    def changed(self) -> bool:
        """Whether there was anything to do."""
        return bool(self.added or self.removed) or self.before != self.after


def scale_workers(
    cluster: Cluster, count: int, *, drain_seconds: float = DRAIN_SECONDS, leave_tasks: bool = False
) -> ScaleSummary:
    """Bring the workers to `count`, and return when exactly so many are Ready and no other is left in the swarm.

    Tasks of workers that go have `drain_seconds` to end. When some are still there then, `leave_tasks` decides:
    terminate all the same, or raise TimedOut that names them (the workers stay drained; run it again).

    Safe to repeat after a kill at any moment. Raises UsageError when `count` is outside of the group's limits,
    StateLocked, and DockereeError with every missing worker's last words when they do not arrive.
    """
    began = time.monotonic()
    owner = _owner(cluster)
    _check_limits(cluster, owner, count)
    with cluster_lock(
        cluster.aws, cluster.name, f"dockeree scale-workers {count}", on_lost=lambda why: _stop(cluster, why)
    ):
        return _Scaling(cluster, owner, count, drain_seconds, leave_tasks).run(began)


class _Scaling:
    """One run, with the lock held: three parts, each of which may find that there is nothing to do."""

    def __init__(self, cluster: Cluster, owner: Owner, count: int, drain_seconds: float, leave_tasks: bool) -> None:
        self.cluster = cluster
        self.owner = owner
        self.count = count
        self.drain_seconds = drain_seconds
        self.leave_tasks = leave_tasks
        self.orders = _orders(cluster, owner)
        self.before = _group(cluster, owner)
        self.going: list[Worker] = []

    def run(self, began: float) -> ScaleSummary:
        self.cluster.report.plan(
            [
                (DRAIN, "Drain the workers that go", ()),
                (SIZE, f"Set the group to {self.count}", (DRAIN,)),
                (ARRIVE, f"Wait until {self.count} workers are Ready", (SIZE,)),
            ]
        )
        _stage(self.cluster, DRAIN, self._drain)
        _stage(self.cluster, SIZE, self._set_size)
        _stage(self.cluster, ARRIVE, self._await)
        known = {member.instance_id for member in self.before.members}
        after = _group(self.cluster, self.owner)
        return ScaleSummary(
            before=self.before.desired,
            after=after.desired,
            added=tuple(member.instance_id for member in after.members if member.instance_id not in known),
            removed=tuple(worker.instance_id for worker in self.going),
            elapsed_seconds=time.monotonic() - began,
        )

    def _drain(self, cluster: Cluster) -> bool:
        group, workers, _ = see_workers(cluster, self.owner, self.orders)
        there = sum(not worker.is_leaving for worker in workers)
        if group.desired > max(self.count, there):
            # What the group has not launched yet (AWS may have no machine left) costs no worker that is there.
            auto_scaling.set_desired(cluster.aws, self.owner, max(self.count, there))
            _, workers, _ = see_workers(cluster, self.owner, self.orders)
            there = sum(not worker.is_leaving for worker in workers)
        self.going = choose(workers, surplus=there - self.count)
        retire(self.orders, self.going)
        await_tasks_gone(
            cluster, self.orders, self.going, timeout_seconds=self.drain_seconds, leave_tasks=self.leave_tasks
        )
        return bool(self.going)

    def _set_size(self, cluster: Cluster) -> bool:
        terminate(cluster, self.going)
        desired = _group(cluster, self.owner).desired
        if desired < self.count:
            auto_scaling.set_desired(cluster.aws, self.owner, self.count)
        return bool(self.going) or desired < self.count

    def _await(self, cluster: Cluster) -> bool:
        leaving = [worker.instance_id for worker in self.going]
        leaving += [item.instance_id for item in self.before.members if item.lifecycle.startswith("Terminat")]
        instances.wait_for_terminated(cluster.aws, leaving, waits_of(cluster), timeout_seconds=TERMINATE_SECONDS)
        await_workers(cluster, self.owner, self.orders)
        return bool(forget_the_gone(cluster, self.owner, self.orders))


def _owner(cluster: Cluster) -> Owner:
    """Whose the group is: by the claim in the account, as the state may be lost."""
    claim = find_claim(cluster.aws, cluster.name)
    if claim is None:
        raise DockereeError(f"there is no cluster {cluster.name} in {cluster.aws.region}", "Create it: dockeree up")
    return Owner(cluster.name, claim.id)


def _group(cluster: Cluster, owner: Owner) -> auto_scaling.Group:
    group = auto_scaling.find_group(cluster.aws, owner)
    if group is None or group.is_being_deleted:
        raise DockereeError(f"{cluster.name} has no group of workers", "`dockeree up` makes it.")
    return group


def _check_limits(cluster: Cluster, owner: Owner, count: int) -> None:
    group = _group(cluster, owner)
    if not group.minimum <= count <= group.maximum:
        raise UsageError(
            f"{count} is outside of the limits of the workers' group: {group.minimum} to {group.maximum}",
            "Change workers.min or workers.max in the configuration and run `dockeree up` first.",
        )


def _orders(cluster: Cluster, owner: Owner) -> Remote:
    managers = [manager for _, manager in sorted(instances.find_managers(cluster.aws, owner).items())]
    remote, _ = find_swarm_manager(cluster, managers)
    return remote


def _stop(cluster: Cluster, why: str) -> None:
    cluster.report.warn(why)
    cluster.interrupted.set()


def _stage(cluster: Cluster, key: str, work: Callable[[Cluster], bool]) -> None:
    """Do a part of the work, and tell the report when it begins and how it ends."""
    cluster.check_interrupted()
    cluster.between_steps(f"before:{key}")
    began = time.monotonic()
    cluster.report.started(key)
    try:
        changed = work(cluster.for_step(key))
    except BaseException as error:
        cluster.report.failed(key, time.monotonic() - began, error)
        raise
    cluster.report.finished(key, time.monotonic() - began, changed)
    cluster.between_steps(f"after:{key}")
