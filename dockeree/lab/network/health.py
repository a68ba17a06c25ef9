"""A balancer's health checks: real connections to the targets, from the balancer's own address.

They are subject to the balancer's outbound rules and the target's inbound ones, as any packet is. One failed check more
than none does not make a target unhealthy, nor one passed check an unhealthy one healthy: the target group's thresholds
do. A new target is `initial` until its first check passes, or until as many failed as make it unhealthy.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from dockeree.lab.network import namespaces
from dockeree.lab.network.targets import BalancerView
from dockeree.lab.world import HealthCheck, LabError, Target, TargetGroup, TargetHealth

_LEAST_INTERVAL_SECONDS = 0.25
_LEAST_TIMEOUT_SECONDS = 1.0
"""However the lab's time is scaled, a real machine needs real time to answer."""


logger = logging.getLogger(__name__)

_DESCRIPTIONS = {
    "initial": ("Elb.InitialHealthChecking", "Initial health checks in progress"),
    "unhealthy": ("Target.FailedHealthChecks", "Health checks failed"),
    "healthy": ("", ""),
}


@dataclass(frozen=True)
class Record:
    """The checks of one target so far: its state, and how many of its last checks agreed against it."""

    state: str = "initial"
    passed_in_a_row: int = 0
    failed_in_a_row: int = 0

    def after(self, passed: bool, check: HealthCheck) -> Record:
        """The record after one more check."""
        if passed:
            row = self.passed_in_a_row + 1
            heals = self.state == "initial" or row >= check.healthy_threshold
            return Record("healthy" if heals else self.state, row, 0)
        row = self.failed_in_a_row + 1
        state = "unhealthy" if row >= check.unhealthy_threshold else self.state
        return Record(state, 0, row)

    def health(self) -> TargetHealth:
        """The record in EC2's words. A network load balancer knows one reason for `unhealthy`."""
        return TargetHealth(self.state, *_DESCRIPTIONS[self.state])


def is_success(status: int, success_codes: str) -> bool:
    """Whether an HTTP status is among `success_codes`: "200", "200,202", "200-399"."""
    for part in success_codes.split(","):
        first, _, last = part.strip().partition("-")
        if int(first) <= status <= int(last or first):
            return True
    return False


def _unverified_tls() -> ssl.SSLContext:
    """A balancer does not verify its targets' certificates."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True)
class Probe:
    """One way to ask one target."""

    namespace: str
    source_address: str
    address: str
    port: int
    check: HealthCheck
    host_header: str

    async def ask(self) -> bool:
        """Ask once. False for every kind of failure of the target. Raises TimeoutError as asyncio.timeout does."""
        try:
            connection = namespaces.outgoing_socket(self.namespace, self.source_address)
        except (OSError, LabError) as error:
            logger.warning("health check of %s:%d cannot start: %s", self.address, self.port, error)
            return False
        try:
            await asyncio.get_running_loop().sock_connect(connection, (self.address, self.port))
        except OSError:
            connection.close()
            return False
        except BaseException:  # cut off by the time limit
            connection.close()
            raise
        if self.check.protocol == "TCP":
            connection.close()
            return True
        return await self._ask_http(connection)

    async def _ask_http(self, connection: socket.socket) -> bool:
        """Ask over a connection, which belongs to asyncio's transport from here on: it alone may close it.

        Its descriptor would otherwise be somebody else's while the event loop still watches it for this one.
        """
        tls = _unverified_tls() if self.check.protocol == "HTTPS" else None
        try:
            reader, writer = await asyncio.open_connection(
                sock=connection, ssl=tls, server_hostname="" if tls else None
            )
        except (OSError, ssl.SSLError):
            return False
        try:
            return await self._get(reader, writer)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            return False
        finally:
            writer.transport.abort()

    async def _get(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = (
            f"GET {self.check.path or '/'} HTTP/1.1\r\nHost: {self.host_header}\r\n"
            "User-Agent: ELB-HealthChecker/2.0\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
        writer.write(request.encode())
        version, _, rest = (await reader.readuntil(b"\n")).partition(b" ")
        return version.startswith(b"HTTP/1.") and is_success(int(rest[:3]), self.check.success_codes)


class HealthMonitor:
    """All the checks of one balancer. Its methods run on the loop's thread; `record_of` may be called from any."""

    def __init__(self, namespace: str, time_scale: float, turned_unhealthy: Callable[[str, Target], None]) -> None:
        """`turned_unhealthy(group ARN, target)` is told when a target that was healthy is no more."""
        self._namespace = namespace
        self._time_scale = time_scale
        self._turned_unhealthy = turned_unhealthy
        self._tasks: dict[tuple[str, str, int], tuple[Probe, asyncio.Task[None]]] = {}
        self._records: dict[tuple[str, str, int], Record] = {}

    def record_of(self, group_arn: str, target: Target) -> Record:
        """What the checks said of a target; `initial` where they have not begun."""
        return self._records.get((group_arn, target.instance_id, target.port), Record())

    def update(self, view: BalancerView) -> None:
        """Check exactly the targets of `view` from now on. What is known of those that stay is kept."""
        wanted = dict(self._probes(view)) if view.balancer.active else {}
        for key, (probe, task) in list(self._tasks.items()):
            if wanted.get(key) != probe:
                task.cancel()
                del self._tasks[key]
        for key in [key for key in self._records if key not in wanted]:
            del self._records[key]
        for key, probe in wanted.items():
            if key not in self._tasks:
                self._tasks[key] = (probe, asyncio.create_task(self._watch(key, probe)))

    def _probes(self, view: BalancerView) -> list[tuple[tuple[str, str, int], Probe]]:
        probes = []
        for group in view.groups.values():
            for target in group.targets:
                address = view.address_of(target)
                if target.draining or address is None or not view.is_reachable(target):
                    continue
                key = (group.arn, target.instance_id, target.port)
                probes.append((key, self._probe(view, group, target, address)))
        return probes

    def _probe(self, view: BalancerView, group: TargetGroup, target: Target, address: str) -> Probe:
        """Each target is asked by the balancer's address in its own zone."""
        zone = view.instances[target.instance_id].zone
        source = next(i.private_ip for i in view.balancer.interfaces if view.zones[i.id] == zone)
        port = next(e.port for e in view.balancer.listeners if e.target_group_arn == group.arn)
        return Probe(
            namespace=self._namespace,
            source_address=source,
            address=address,
            port=group.health_check.port or target.port,
            check=group.health_check,
            host_header=f"{source}:{port}",
        )

    async def _watch(self, key: tuple[str, str, int], probe: Probe) -> None:
        loop = asyncio.get_running_loop()
        check = probe.check
        interval = max(check.interval_seconds * self._time_scale, _LEAST_INTERVAL_SECONDS)
        timeout = max(check.timeout_seconds * self._time_scale, _LEAST_TIMEOUT_SECONDS)
        while True:
            begun = loop.time()
            try:
                async with asyncio.timeout(timeout):
                    passed = await probe.ask()
            except TimeoutError:
                passed = False
            before = self._records.get(key, Record())
            self._records[key] = before.after(passed, check)
            if before.state == "healthy" and self._records[key].state == "unhealthy":
                group_arn, instance_id, port = key
                self._turned_unhealthy(group_arn, Target(instance_id, port))
            await asyncio.sleep(max(0.0, begun + interval - loop.time()))

    def stop(self) -> None:
        """End all checks."""
        for _, task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
