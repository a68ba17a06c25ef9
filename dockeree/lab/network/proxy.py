"""A network load balancer as a TCP proxy in a namespace of its own: it accepts, chooses a target, and carries.

What differs from AWS because a proxy ends TCP twice: a client is connected before the target is, so a target that
refuses shows as a reset right after the connection; and targets see the balancer's private address even where client IP
preservation is on. What preservation is known for is kept: a connection that would come back to the instance that
opened it hangs.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

from dockeree.lab.network import namespaces
from dockeree.lab.network.health import HealthMonitor
from dockeree.lab.network.relay import Relay, reset
from dockeree.lab.network.targets import BalancerView, choose
from dockeree.lab.world import Interface, Listener, Target, TargetGroup

_CONNECT_TIMEOUT_SECONDS = 60
_OUT_OF_FILES_PAUSE_SECONDS = 0.2

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
    listener_arn: str
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
        self._doors[door] = (listener, asyncio.create_task(self._accept(door, listener)))

    def _close_door(self, door: _Door) -> None:
        listener, task = self._doors.pop(door)
        task.cancel()
        listener.close()

    def _may_go_on(self, flow: _Flow) -> bool:
        """A flow ends with its listener, and with its target's registration (that is: after the delay)."""
        if not any(listener.arn == flow.listener_arn for listener in self.view.balancer.listeners):
            return False
        if flow.target is None or not self.view.balancer.active:
            return self.view.balancer.active
        group = self.view.groups.get(flow.group_arn)
        return group is not None and any(
            (t.instance_id, t.port) == (flow.target.instance_id, flow.target.port) for t in group.targets
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

    async def _accept(self, door: _Door, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, address = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    raise
                logger.error("balancer %s: %s", self.view.balancer.name, error)
                await asyncio.sleep(_OUT_OF_FILES_PAUSE_SECONDS)
                continue
            flow = _Flow(client, door.listener_arn)
            flow.task = asyncio.create_task(self._serve(flow, door, address))
            self._flows.add(flow)

    def _listener_and_interface(self, door: _Door) -> tuple[Listener, Interface]:
        balancer = self.view.balancer
        listener = next(entry for entry in balancer.listeners if entry.arn == door.listener_arn)
        return listener, next(entry for entry in balancer.interfaces if entry.id == door.interface_id)

    async def _serve(self, flow: _Flow, door: _Door, client_address: tuple[str, int]) -> None:
        try:
            listener, interface = self._listener_and_interface(door)
            group = self.view.group_of(listener)
            if group is None:
                return
            zone = self.view.zones[interface.id]
            candidates = self.view.candidates(group, zone, self.is_healthy)
            target = choose(candidates, client_address, listener.port)
            if target is None:
                return
            flow.group_arn, flow.target = group.arn, target
            if group.preserve_client_ip and self.view.is_same_instance(target, client_address[0]):
                await _hang(flow.client)
            else:
                await self._carry(flow, listener, interface, target)
        except OSError as error:  # TimeoutError is one
            logger.debug("balancer %s: a flow ended: %r", self.view.balancer.name, error)
        finally:
            self._flows.discard(flow)
            reset(flow.client)  # A flow that ended well has closed it already.

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
