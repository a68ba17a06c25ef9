"""Target groups of network load balancers: what may be set, and what AWS sets where nothing is said."""

from __future__ import annotations

from typing import Any

from moto.elbv2.exceptions import (
    DuplicateTargetGroupName,
    ELBClientError,
    InvalidConfigurationRequest,
    TargetGroupNotFoundError,
    ValidationError,
)
from moto.elbv2.models import ELBv2Backend

from dockeree.lab.aws import elb_tags
from dockeree.lab.aws.core import Lab
from dockeree.lab.world import HealthCheck

DELAY = "deregistration_delay.timeout_seconds"
PRESERVE_CLIENT_IP = "preserve_client_ip.enabled"

DEFAULT_ATTRIBUTES = {
    DELAY: "300",
    "deregistration_delay.connection_termination.enabled": "false",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    PRESERVE_CLIENT_IP: "true",
    "proxy_protocol_v2.enabled": "false",
    "stickiness.enabled": "false",
    "stickiness.type": "source_ip",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
    "target_health_state.unhealthy.connection_termination.enabled": "true",
    "target_health_state.unhealthy.draining_interval_seconds": "0",
}

HEALTH_FIELDS = {
    "healthcheck_protocol": "health_check_protocol",
    "healthcheck_port": "health_check_port",
    "healthcheck_path": "health_check_path",
    "healthcheck_interval_seconds": "health_check_interval_seconds",
    "healthcheck_timeout_seconds": "health_check_timeout_seconds",
    "healthy_threshold_count": "healthy_threshold_count",
    "unhealthy_threshold_count": "unhealthy_threshold_count",
}
"""moto's names of a health check's settings: in the request, and on the model."""


def create(lab: Lab, original: Any, backend: Any, name: str, **request: Any) -> Any:
    """CreateTargetGroup: idempotent for the same settings, strict about health checks."""
    if request.get("target_type", "instance") != "instance":
        raise ValidationError("The lab runs target groups of target type 'instance' only")
    if request.get("protocol") not in ("TCP", "UDP", "TCP_UDP", "TLS"):
        raise ValidationError("The lab runs target groups of network load balancers only (TCP, UDP, TCP_UDP, TLS)")
    _complete_health_check(request)
    with lab.lock:
        elb_tags.check(request.get("tags"))
        existing = next((group for group in backend.target_groups.values() if group.name == name), None)
        if existing is not None:
            if _same(existing, request):
                return existing
            raise DuplicateTargetGroupName(
                f"A target group with the same name '{name}' exists, but with different settings"
            )
        group = original(backend, name, **request)
        group.attributes = dict(DEFAULT_ATTRIBUTES)
        group.draining = {}
        _set_matcher(group, (request.get("matcher") or {}).get("HttpCode"))
    lab.changed()
    return group


def _complete_health_check(request: dict[str, Any]) -> None:
    protocol = request.get("healthcheck_protocol") or "TCP"
    path = request.get("healthcheck_path")
    if protocol not in ("TCP", "HTTP", "HTTPS"):
        raise ValidationError(f"Health check protocol '{protocol}' must be one of 'TCP', 'HTTP', 'HTTPS'")
    if protocol == "TCP" and (path or request.get("matcher")):
        raise InvalidConfigurationRequest(
            "Health check path and matcher are not supported for health checks with protocol TCP"
        )
    if path is not None and not (path.startswith("/") and len(path) <= 1024):
        raise ValidationError(f"Health check path '{path}' must begin with a '/' character and have 1024 at most")
    request["healthcheck_protocol"] = protocol
    request["healthcheck_path"] = None if protocol == "TCP" else path or "/"
    request["healthcheck_interval_seconds"] = request.get("healthcheck_interval_seconds") or 30
    request["healthcheck_timeout_seconds"] = request.get("healthcheck_timeout_seconds") or (
        6 if protocol == "HTTP" else 10
    )
    _within(request["healthcheck_interval_seconds"], 5, 300, "Health check interval")
    _within(request["healthcheck_timeout_seconds"], 2, 120, "Health check timeout")
    request["healthy_threshold_count"] = request.get("healthy_threshold_count") or 5
    request["unhealthy_threshold_count"] = request.get("unhealthy_threshold_count") or 2
    _within(request["healthy_threshold_count"], 2, 10, "Healthy threshold count")
    _within(request["unhealthy_threshold_count"], 2, 10, "Unhealthy threshold count")


def _within(value: Any, lowest: int, highest: int, what: str) -> None:
    if not lowest <= int(value) <= highest:
        raise ValidationError(f"{what} '{value}' must be between '{lowest}' and '{highest}' inclusive")


def _same(group: Any, request: dict[str, Any]) -> bool:
    health_same = all(
        str(getattr(group, field) or "")
        == str(request.get(name) or ("traffic-port" if name == "healthcheck_port" else ""))
        for name, field in HEALTH_FIELDS.items()
    )
    return bool(
        health_same
        and group.vpc_id == request["vpc_id"]
        and group.protocol == request["protocol"]
        and str(group.port) == str(request["port"])
    )


def _set_matcher(group: Any, codes: str | None) -> None:
    if group.health_check_protocol in ("HTTP", "HTTPS"):
        group.matcher = {"HttpCode": codes or getattr(group, "matcher", {}).get("HttpCode") or "200-399"}
        if codes is None and group.matcher == {"HttpCode": "200"}:
            # moto's default is the application load balancer's
            group.matcher = {"HttpCode": "200-399"}
    else:
        group.matcher = None


def modify(lab: Lab, original: Any, backend: Any, arn: str, *settings: Any, **more: Any) -> Any:
    """ModifyTargetGroup: the health check's settings, within AWS's bounds. `settings` in moto's own order."""
    names = (*list(HEALTH_FIELDS), "http_codes")
    given = dict(zip(names, settings, strict=False))
    for name, lowest, highest in (
        ("healthcheck_interval_seconds", 5, 300),
        ("healthcheck_timeout_seconds", 2, 120),
        ("healthy_threshold_count", 2, 10),
        ("unhealthy_threshold_count", 2, 10),
    ):
        if given.get(name) is not None:
            _within(given[name], lowest, highest, name)
    with lab.lock:
        group = original(backend, arn, *settings, **more)
        if group.health_check_protocol in ("HTTP", "HTTPS"):
            group.health_check_path = group.health_check_path or "/"
        _set_matcher(group, given.get("http_codes") or (getattr(group, "matcher", None) or {}).get("HttpCode"))
    lab.changed()
    return group


def modify_attributes(lab: Lab, backend: Any, arn: str, attributes: dict[str, str]) -> None:
    """ModifyTargetGroupAttributes: the keys of network load balancers' groups."""
    group = find(backend, arn)
    for key, value in attributes.items():
        if key not in DEFAULT_ATTRIBUTES:
            raise ValidationError(f"Target group attribute key '{key}' is not recognized")
        if key == DELAY and not (value.isdigit() and 0 <= int(value) <= 3600):
            raise ValidationError(f"'{DELAY}' value '{value}' must be between '0-3600' inclusive")
        if key == PRESERVE_CLIENT_IP and value == "false" and group.protocol in ("UDP", "TCP_UDP"):
            raise InvalidConfigurationRequest("Client IP preservation cannot be disabled for UDP target groups")
    group.attributes.update(attributes)
    lab.changed()


def find(backend: Any, arn: str) -> Any:
    """The target group of an ARN. Raises TargetGroupNotFound."""
    group = backend.target_groups.get(arn)
    if group is None:
        raise TargetGroupNotFoundError()
    return group


def delete(lab: Lab, backend: Any, arn: str) -> Any:
    """DeleteTargetGroup: refused while a listener forwards to it."""
    with lab.lock:
        group = backend.target_groups.get(arn)
        if group is None:
            return None  # AWS: deleting what is not there succeeds
        if group.load_balancer_arns:
            raise ELBClientError("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
        del backend.target_groups[arn]
        backend.tagging_service.delete_all_tags_for_resource(arn)
    lab.changed()
    return group


def health_check(group: Any) -> HealthCheck:
    """How the network is to ask the targets of a group."""
    port = group.health_check_port
    return HealthCheck(
        protocol=group.health_check_protocol,
        port=None if port in (None, "traffic-port") else int(port),
        path=group.health_check_path or "/",
        interval_seconds=int(group.health_check_interval_seconds),
        timeout_seconds=int(group.health_check_timeout_seconds),
        healthy_threshold=int(group.healthy_threshold_count),
        unhealthy_threshold=int(group.unhealthy_threshold_count),
        success_codes=(group.matcher or {}).get("HttpCode", "200-399"),
    )


def install(lab: Lab) -> None:
    """Lay the behaviours of target groups over moto."""

    @lab.extend(ELBv2Backend, "create_target_group")
    def create_target_group(original: Any, backend: Any, name: str, **request: Any) -> Any:
        return create(lab, original, backend, name, **request)

    @lab.extend(ELBv2Backend, "modify_target_group")
    def modify_target_group(original: Any, backend: Any, arn: str, *settings: Any, **more: Any) -> Any:
        return modify(lab, original, backend, arn, *settings, **more)

    @lab.extend(ELBv2Backend, "modify_target_group_attributes")
    def modify_target_group_attributes(_original: Any, backend: Any, arn: str, attributes: Any) -> None:
        modify_attributes(lab, backend, arn, attributes)

    @lab.extend(ELBv2Backend, "delete_target_group")
    def delete_target_group(_original: Any, backend: Any, target_group_arn: str) -> Any:
        return delete(lab, backend, target_group_arn)
