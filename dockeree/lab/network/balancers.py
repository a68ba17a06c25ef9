"""All the balancers of a lab: one proxy each, kept in step with the snapshot."""

from __future__ import annotations

from dockeree.lab.network import addresses
from dockeree.lab.network.proxy import Proxy
from dockeree.lab.network.targets import BalancerView, health_outside_checks, view_of
from dockeree.lab.world import Balancer, Snapshot, Target, TargetHealth


class Balancers:
    """The coroutines run on the loop's thread; `target_health` and `addresses_of` may be called from any."""

    def __init__(self, tag: str, time_scale: float) -> None:
        self._tag = tag
        self._time_scale = time_scale
        self._proxies: dict[str, Proxy] = {}

    async def stop_missing(self, snapshot: Snapshot) -> None:
        """Stop the balancers that are gone, before their namespaces go."""
        present = {balancer.arn for balancer in snapshot.balancers}
        for arn in [arn for arn in self._proxies if arn not in present]:
            await self._proxies.pop(arn).stop()

    async def update(self, snapshot: Snapshot) -> None:
        """Start the new ones, tell the others what changed. Their namespaces are there. Raises OSError, LabError."""
        for balancer in snapshot.balancers:
            if not balancer.interfaces:
                continue
            view = view_of(snapshot, balancer)
            proxy = self._proxies.get(balancer.arn)
            if proxy is None:
                namespace = addresses.balancer_namespace(self._tag, balancer.arn)
                proxy = self._proxies[balancer.arn] = Proxy(namespace, view, self._time_scale)
            proxy.update(view)

    async def stop(self) -> None:
        """Stop all."""
        for proxy in self._proxies.values():
            await proxy.stop()
        self._proxies.clear()

    def target_health(self, group_arn: str, target: Target) -> TargetHealth:
        """What EC2 says of a target now."""
        proxy = next((p for p in list(self._proxies.values()) if group_arn in p.view.groups), None)
        view: BalancerView | None = None if proxy is None else proxy.view
        known = health_outside_checks(view, group_arn, target)
        if known is not None or proxy is None:
            return known or TargetHealth("unused")
        return proxy.monitor.record_of(group_arn, target).health()

    def addresses_of(self, balancer: Balancer) -> tuple[str, ...]:
        """The addresses that a balancer's name has now."""
        proxy = self._proxies.get(balancer.arn)
        interfaces = balancer.interfaces
        if proxy is not None:
            interfaces = tuple(proxy.view.named_interfaces(proxy.is_healthy))
        if balancer.internet_facing:
            return tuple(entry.public_ip for entry in interfaces if entry.public_ip is not None)
        return tuple(entry.private_ip for entry in interfaces)
