"""UCP's configuration in TOML, kept as the text that was put: the default, and what this stand-in goes by."""

from __future__ import annotations

import tomllib
from typing import Any

from dockeree.lab.standins.program.command_line import Values

DEFAULT = """\
[auth]
  backend = "managed"
  default_new_user_role = "restrictedcontrol"

[scheduling_configuration]
  enable_admin_ucp_scheduling = false
  default_node_orchestrator = "{orchestrator}"

[tracking_configuration]
  disable_usageinfo = {disable_usage}
  disable_tracking = {disable_tracking}

[cluster_config]
  controller_port = {controller_port}
  kube_apiserver_port = {kube_port}
  swarm_port = {swarm_port}
  pod_cidr = "{pod_cidr}"
  service_cluster_ip_range = "{service_range}"
  nodeport_range = "{nodeport_range}"
  unmanaged_cni = {unmanaged_cni}
  swarm_only = false
"""


def default_of(values: Values) -> str:
    """The configuration that `install` begins with."""
    known = values.is_known("default-node-orchestrator")
    return DEFAULT.format(
        orchestrator=(values.text("default-node-orchestrator") if known else "") or "swarm",
        disable_usage=_written(values.switch("disable-usage")),
        disable_tracking=_written(values.switch("disable-tracking")),
        controller_port=values.number("controller-port"),
        kube_port=values.number("kube-apiserver-port"),
        swarm_port=values.number("swarm-port"),
        pod_cidr=values.text("pod-cidr"),
        service_range=values.text("service-cluster-ip-range"),
        nodeport_range=values.text("nodeport-range"),
        unmanaged_cni=_written(values.switch("unmanaged-cni")),
    )


class ConfigurationError(Exception):
    """Not a configuration of UCP's."""


def parse(text: str) -> dict[str, Any]:
    """The document. Raises ConfigurationError for what is not TOML or has the wrong type where this stand-in looks."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"Unable to parse the TOML configuration: {error}") from error
    admins_schedule(document)
    return document


def admins_schedule(document: dict[str, Any]) -> bool:
    """Whether administrators may start containers on managers and DTR's nodes. Raises ConfigurationError."""
    section = document.get("scheduling_configuration", {})
    value = section.get("enable_admin_ucp_scheduling", False) if isinstance(section, dict) else None
    if not isinstance(value, bool):
        raise ConfigurationError("scheduling_configuration.enable_admin_ucp_scheduling is not true or false")
    return value


def _written(value: bool) -> str:
    return "true" if value else "false"
