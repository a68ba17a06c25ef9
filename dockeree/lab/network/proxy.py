"""A network load balancer as a TCP proxy in a namespace of its own: it accepts, chooses a target, and carries.

What differs from AWS because a proxy ends TCP twice: a client is connected before the target is, so a target that
refuses shows as a reset right after the connection; and targets see the balancer's private address even where client IP
preservation is on. What preservation is known for is kept: a connection that would come back to the instance that
opened it hangs.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

from dockeree.lab.network import namespaces
from dockeree.lab.network.accepting import accept_forever
from dockeree.lab.network.health import HealthMonitor
from dockeree.lab.network.relay import Relay, reset
from dockeree.lab.network.targets import BalancerView, choose
from dockeree.lab.world import Interface, Listener, Target, TargetGroup

_CONNECT_TIMEOUT_SECONDS = 60

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Door:
    """One listener on one interface."""

    listener_arn: str
    interface_id: str
    address: str
    port: int


@dataclass(eq=False)
class _Flow:
    """One connection of a client, and the target it goes to once that is chosen."""

    client: socket.socket
    door: _Door
    group_arn: str = ""
    target: Target | None = None
    task: asyncio.Task[None] | None = None


class Proxy:
    """One balancer at work. All methods run on the loop's thread; `monitor.record_of` may be asked from any."""

    def __init__(self, namespace: str, view: BalancerView, time_scale: float) -> None:
        self._namespace = namespace
        self.view = view
        self.monitor = HealthMonitor(namespace, time_scale, self._target_turned_unhealthy)
        self._doors: dict[_Door, tuple[socket.socket, asyncio.Task[None]]] = {}
        self._flows: set[_Flow] = set()

    def is_healthy(self, group: TargetGroup, target: Target) -> bool:
        """What the checks say."""
        return self.monitor.record_of(group.arn, target).state == "healthy"

    def update(self, view: BalancerView) -> None:
        """Work by `view` from now on: open and close listeners, start and stop checks, cut what must be cut.

        Raises OSError, LabError when a listener cannot be opened.
        """
        self.view = view
        self.monitor.update(view)
        wanted = self._wanted_doors()
        for door in [door for door in self._doors if door not in wanted]:
            self._close_door(door)
        self._cut(lambda flow: not self._may_go_on(flow))
        for door in wanted:
            if door not in self._doors:
                self._open_door(door)

    def _wanted_doors(self) -> list[_Door]:
        balancer = self.view.balancer
        if not balancer.active:
            return []
        return [
            _Door(listener.arn, interface.id, interface.private_ip, listener.port)
            for listener in balancer.listeners
            if listener.protocol == "TCP"
            for interface in balancer.interfaces
        ]

    def _open_door(self, door: _Door) -> None:
        listener = namespaces.listening_socket(self._namespace, door.address, door.port)
        listener.setblocking(False)
        self._doors[door] = (
            listener,
            asyncio.create_task(
                accept_forever(listener, f"balancer {self.view.balancer.name}", functools.partial(self._begin, door))
            ),
        )

    def _close_door(self, door: _Door) -> None:
        listener, task = self._doors.pop(door)
        task.cancel()
        listener.close()

    def _may_go_on(self, flow: _Flow) -> bool:
        """A flow ends with its door, and with its target's registration (that is: after the delay)."""
        if flow.door not in self._doors:
            return False
        group = self.view.groups.get(flow.group_arn)
        return flow.target is None or (
            group is not None
            and any((t.instance_id, t.port) == (flow.target.instance_id, flow.target.port) for t in group.targets)
        )

    def _target_turned_unhealthy(self, group_arn: str, target: Target) -> None:
        """Flows to an unhealthy target are reset, unless the balancer fails open."""
        group = self.view.groups.get(group_arn)
        if group is None or not any(self.is_healthy(group, other) for other in group.targets):
            return
        self._cut(
            lambda flow: (
                flow.group_arn == group_arn
                and flow.target is not None
                and (flow.target.instance_id, flow.target.port) == (target.instance_id, target.port)
            )
        )

    def _cut(self, condition: Callable[[_Flow], bool]) -> None:
        for flow in [flow for flow in self._flows if condition(flow)]:
            if flow.task is not None:
                flow.task.cancel()

    def _begin(self, door: _Door, client: socket.socket, peer: tuple[str, int]) -> None:
        flow = _Flow(client, door)
        flow.task = asyncio.create_task(self._serve(flow, peer))
        flow.task.add_done_callback(functools.partial(self._end, flow))
        self._flows.add(flow)

    def _end(self, flow: _Flow, task: asyncio.Task[None]) -> None:
        """However a flow ends, even cut before it began: nothing of it stays."""
        self._flows.discard(flow)
        reset(flow.client)  # A flow that ended well has closed it already.
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("balancer %s: a flow failed", self.view.balancer.name, exc_info=error)

    async def _serve(self, flow: _Flow, peer: tuple[str, int]) -> None:
        view = self.view  # Has the door: what closes a door cuts its flows, also those that have not begun.
        listener = next(entry for entry in view.balancer.listeners if entry.arn == flow.door.listener_arn)
        interface = next(entry for entry in view.balancer.interfaces if entry.id == flow.door.interface_id)
        group = view.group_of(listener)
        if group is None:
            return
        candidates = view.candidates(group, view.zones[interface.id], self.is_healthy)
        target = choose(candidates, peer, listener.port)
        if target is None:
            return
        flow.group_arn, flow.target = group.arn, target
        try:
            if group.preserve_client_ip and view.is_same_instance(target, peer[0]):
                await _hang(flow.client)
            else:
                await self._carry(flow, listener, interface, target)
        except OSError as error:  # TimeoutError is one.
            logger.debug("balancer %s: a flow ended: %r", view.balancer.name, error)

    async def _carry(self, flow: _Flow, listener: Listener, interface: Interface, target: Target) -> None:
        address = self.view.address_of(target)
        if address is None:
            return
        upstream = namespaces.outgoing_socket(self._namespace, interface.private_ip)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_SECONDS):
                await asyncio.get_running_loop().sock_connect(upstream, (address, target.port))
            for connection in (flow.client, upstream):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await Relay(flow.client, upstream, listener.idle_timeout_seconds).run()
            flow.client.close()
            upstream.close()
        finally:
            reset(upstream)

    async def stop(self) -> None:
        """Close every listener, flow and check."""
        self.monitor.stop()
        for door in list(self._doors):
            self._close_door(door)
        tasks = [flow.task for flow in self._flows if flow.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _hang(client: socket.socket) -> None:
    """Never answer; come back when the client has given up."""
    loop = asyncio.get_running_loop()
    while await loop.sock_recv(client, 4096):
        continue
