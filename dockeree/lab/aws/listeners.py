"""Listeners of network load balancers: one a port, each forwarding to one target group that can serve its protocol."""

from __future__ import annotations

from typing import Any

from moto.elbv2.exceptions import (
    DuplicateListenerError,
    ELBClientError,
    InvalidConfigurationRequest,
    LoadBalancerNotFoundError,
    ValidationError,
)
from moto.elbv2.models import ELBv2Backend

from dockeree.lab.aws import elb_tags
from dockeree.lab.aws.core import Lab
from dockeree.lab.world import Listener

SERVED_BY = {
    "TCP": ("TCP", "TCP_UDP"),
    "TLS": ("TCP", "TLS"),
    "UDP": ("UDP", "TCP_UDP"),
    "TCP_UDP": ("TCP_UDP",),
}
"""Which target group protocols a listener's protocol can forward to."""

IDLE_TIMEOUT = "tcp.idle_timeout.seconds"
DEFAULT_IDLE_TIMEOUT_SECONDS = 350


def create(lab: Lab, original: Any, backend: Any, **request: Any) -> Any:
    """CreateListener; the very same listener again answers the existing one, another on its port is refused."""
    with lab.lock:
        balancer = backend.load_balancers.get(request["load_balancer_arn"])
        if balancer is None:
            raise LoadBalancerNotFoundError(f"Load balancer '{request['load_balancer_arn']}' not found")
        backend._validate_port_and_protocol(balancer.type, request["port"], request["protocol"])
        if not 1 <= int(request["port"]) <= 65535:
            raise ValidationError(f"Listener port '{request['port']}' must be between 1 and 65535")
        target_group = _forwarded_group(backend, request["actions"])
        _check_group(balancer, request["protocol"], target_group)
        elb_tags.check(request.get("tags"))
        existing = next(
            (other for other in balancer.listeners.values() if str(other.port) == str(request["port"])), None
        )
        if existing is not None:
            if existing.protocol == request["protocol"] and forwards_to(existing) == target_group.arn:
                return existing
            raise DuplicateListenerError("A listener already exists on this port for this load balancer")
        listener = original(backend, **request)
        listener.attributes = {IDLE_TIMEOUT: str(DEFAULT_IDLE_TIMEOUT_SECONDS)}
        refresh_associations(backend)
    lab.changed()
    return listener


def _forwarded_group(backend: Any, actions: list[dict[str, Any]]) -> Any:
    if len(actions) != 1 or actions[0].get("Type") != "forward":
        raise ELBClientError(
            "InvalidLoadBalancerAction",
            "A network load balancer's listener needs exactly one action, of type 'forward'",
        )
    arns = backend._get_target_group_arns_from(action_data=actions[0])
    if len(arns) != 1:
        raise ELBClientError("InvalidLoadBalancerAction", "Exactly one target group must be specified")
    if arns[0] not in backend.target_groups:
        raise ELBClientError("TargetGroupNotFound", f"Target group '{arns[0]}' not found")
    return backend.target_groups[arns[0]]


def _check_group(balancer: Any, protocol: str, target_group: Any) -> None:
    if target_group.protocol not in SERVED_BY.get(protocol, ()):
        raise ELBClientError(
            "IncompatibleProtocols",
            f"Listener protocol '{protocol}' and target group protocol '{target_group.protocol}' are not compatible",
        )
    if target_group.vpc_id != balancer.vpc_id:
        raise InvalidConfigurationRequest(
            f"The target group '{target_group.arn}' is in another VPC than the load balancer"
        )
    if any(arn != balancer.arn for arn in target_group.load_balancer_arns):
        raise ELBClientError(
            "TargetGroupAssociationLimit",
            f"The following target groups cannot be associated with more than one load balancer: {target_group.arn}",
        )


def forwards_to(listener: Any) -> str:
    """The ARN of the target group behind a listener."""
    data = listener.default_actions[0].data
    return str(data.get("TargetGroupArn") or data["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"])


def refresh_associations(backend: Any) -> None:
    """Let each target group name the balancers that use it now (moto only ever adds)."""
    users: dict[str, list[str]] = {}
    for balancer in backend.load_balancers.values():
        for listener in balancer.listeners.values():
            users.setdefault(forwards_to(listener), []).append(balancer.arn)
    for arn, target_group in backend.target_groups.items():
        target_group.load_balancer_arns = list(dict.fromkeys(users.get(arn, [])))


def modify(lab: Lab, original: Any, backend: Any, arn: str, *settings: Any) -> Any:
    """ModifyListener: the same refusals as at creation. `settings`: port, protocol, policy, certificates, actions."""
    port, protocol, actions = settings[0], settings[1], settings[4]
    with lab.lock:
        listener = backend.describe_listeners(None, [arn])[0]
        balancer = backend.load_balancers[listener.load_balancer_arn]
        others = [other for other in balancer.listeners.values() if other is not listener]
        if port is not None and any(str(other.port) == str(port) for other in others):
            raise DuplicateListenerError("A listener already exists on this port for this load balancer")
        target_group = _forwarded_group(backend, actions or [action.data for action in listener.default_actions])
        _check_group(balancer, protocol or listener.protocol, target_group)
        result = original(backend, arn, *settings)
        refresh_associations(backend)
    lab.changed()
    return result


def modify_attributes(lab: Lab, original: Any, backend: Any, arn: str, attributes: list[dict[str, str]]) -> Any:
    """ModifyListenerAttributes: `tcp.idle_timeout.seconds` from 60 to 6000, on TCP listeners."""
    for attribute in attributes:
        key, value = attribute["Key"], attribute.get("Value", "")
        if key != IDLE_TIMEOUT:
            raise ValidationError(f"Listener attribute key '{key}' is not recognized")
        if not value.isdigit() or not 60 <= int(value) <= 6000:
            raise ValidationError(f"'{key}' value '{value}' must be between '60-6000' inclusive")
    result = original(backend, listener_arn=arn, attrs=attributes)
    lab.changed()
    return result


def as_world(listener: Any) -> Listener:
    """A listener as the network is told of it."""
    return Listener(
        arn=listener.arn,
        port=int(listener.port),
        protocol=listener.protocol,
        target_group_arn=forwards_to(listener),
        idle_timeout_seconds=int(listener.attributes.get(IDLE_TIMEOUT, DEFAULT_IDLE_TIMEOUT_SECONDS)),
    )


def install(lab: Lab) -> None:
    """Lay the behaviours of listeners over moto."""

    @lab.extend(ELBv2Backend, "create_listener")
    def create_listener(original: Any, backend: Any, **request: Any) -> Any:
        return create(lab, original, backend, **request)

    @lab.extend(ELBv2Backend, "modify_listener")
    def modify_listener(original: Any, backend: Any, arn: str, *settings: Any) -> Any:
        return modify(lab, original, backend, arn, *settings)

    @lab.extend(ELBv2Backend, "delete_listener")
    def delete_listener(original: Any, backend: Any, listener_arn: str) -> Any:
        with lab.lock:
            listener = original(backend, listener_arn)
            refresh_associations(backend)
        lab.changed()
        return listener

    @lab.extend(ELBv2Backend, "modify_listener_attributes")
    def modify_listener_attributes(original: Any, backend: Any, listener_arn: str, attrs: Any) -> Any:
        return modify_attributes(lab, original, backend, listener_arn, attrs)
