"""The network of simulated nodes: nothing is made, everything is asked of the model.

The snapshot's security groups decide who reaches whom, and a thread makes the balancers' health checks. There are no
proxies: a balancer's address answers nobody here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from dockeree.lab.nodes.simulated.health import INITIAL, Checks, failure
from dockeree.lab.nodes.simulated.machine import Site, log
from dockeree.lab.nodes.simulated.pace import Pace
from dockeree.lab.settings import LabSettings
from dockeree.lab.world import Balancer, Snapshot, Target, TargetGroup, TargetHealth

SHORTEST_INTERVAL_SECONDS = 0.05
Key = tuple[str, str, int]
"""Target group, instance, port."""


class SimulatedWiring:
    """Keeps the snapshot and checks targets (world.Wiring). Makes the `Site` that the driver puts its nodes into."""

    def __init__(self, settings: LabSettings) -> None:
        self.site = Site(Pace(settings.time_scale))
        self.on_change: Callable[[], None] = lambda: None
        """Called after each snapshot; the driver opens and closes its nodes' doors then."""
        self._snapshot = Snapshot()
        self._checks: dict[Key, Checks] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._check_for_ever, name="simulated-health", daemon=True)
        self._thread.start()

    def apply(self, snapshot: Snapshot) -> None:
        """Believe `snapshot` from now on."""

        def believe() -> None:
            self._snapshot = snapshot
            self.site.reachability.apply(snapshot)
            wanted = {(group.arn, target.instance_id, target.port) for group, target in _targets(snapshot)}
            self._checks = {key: checks for key, checks in self._checks.items() if key in wanted}

        self.site.change(believe)
        self.on_change()

    def target_health(self, target_group_arn: str, target: Target) -> TargetHealth:
        """What the balancers' checks last said of a target."""
        with self.site.lock:
            if not _balancers_of(self._snapshot, target_group_arn):
                return TargetHealth("unused", "Target.NotInUse", "Target group is not configured to receive traffic")
            if target.draining:
                return TargetHealth(
                    "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"
                )
            checks = self._checks.get((target_group_arn, target.instance_id, target.port))
            return checks.health() if checks is not None else INITIAL

    def close(self) -> None:
        """End the health checks."""
        self._closing.set()
        self._thread.join()

    def _check_for_ever(self) -> None:
        while not self._closing.wait(SHORTEST_INTERVAL_SECONDS):
            try:
                self._check_due()
            except Exception:  # noqa: BLE001 - one odd target must not end the checks of all others
                log.exception("health checks failed in the simulation itself")

    def _check_due(self) -> None:
        with self.site.lock:
            now = self.site.pace.now()
            due = [(group, target) for group, target in _targets(self._snapshot) if self._is_due(group, target, now)]
            if due:
                self.site.settle()
            for group, target in due:
                self._check(group, target, now)

    def _is_due(self, group: TargetGroup, target: Target, now: float) -> bool:
        checks = self._checks.get((group.arn, target.instance_id, target.port))
        return checks is None or now >= checks.due_at

    def _check(self, group: TargetGroup, target: Target, now: float) -> None:
        balancers = _balancers_of(self._snapshot, group.arn)
        interfaces = tuple(interface for balancer in balancers if balancer.active for interface in balancer.interfaces)
        if not interfaces:
            return
        checks = self._checks.setdefault((group.arn, target.instance_id, target.port), Checks())
        checks.note(failure(self.site, interfaces, target, group.health_check), group.health_check)
        interval = self.site.pace.scaled(group.health_check.interval_seconds)
        checks.due_at = now + max(interval, SHORTEST_INTERVAL_SECONDS)


def _targets(snapshot: Snapshot) -> list[tuple[TargetGroup, Target]]:
    return [(group, target) for group in snapshot.target_groups for target in group.targets]


def _balancers_of(snapshot: Snapshot, arn: str) -> list[Balancer]:
    return [
        balancer
        for balancer in snapshot.balancers
        if any(listener.target_group_arn == arn for listener in balancer.listeners)
    ]
