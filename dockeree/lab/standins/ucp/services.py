"""The swarm services: ucp-agent on every node, and for a while ucp-uninstall-agent."""

from __future__ import annotations

import base64
import json
from typing import Any

from dockeree.lab.standins.program.docker_api import SOCKET_PATH
from dockeree.lab.standins.ucp.components import ROLE_PROGRAM, labels
from dockeree.lab.standins.ucp.layout import AGENT_SERVICE, UNINSTALL_SERVICE
from dockeree.lab.standins.ucp.settings import Settings

SECOND = 10**9
"""Durations are nanoseconds in the API."""


def agent_service(settings: Settings) -> dict[str, Any]:
    """The body that creates ucp-agent."""
    return _service(AGENT_SERVICE, "agent", settings, {"Condition": "any", "Delay": 2 * SECOND})


def uninstall_service(settings: Settings) -> dict[str, Any]:
    """The body that creates ucp-uninstall-agent: each node's task runs once."""
    return _service(UNINSTALL_SERVICE, "uninstall-agent", settings, {"Condition": "none"})


def registry_headers(username: str, password: str) -> dict[str, str]:
    """With what credentials the nodes pull the image."""
    if not username:
        return {}
    credentials = json.dumps({"username": username, "password": password}).encode()
    return {"X-Registry-Auth": base64.urlsafe_b64encode(credentials).decode()}


def _service(name: str, role: str, settings: Settings, restart: dict[str, Any]) -> dict[str, Any]:
    return {
        "Name": name,
        "Labels": labels(settings),
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": settings.image,
                "Command": [ROLE_PROGRAM, role],
                "Env": settings.environment(),
                "Labels": labels(settings),
                "Mounts": [{"Type": "bind", "Source": SOCKET_PATH, "Target": SOCKET_PATH}],
            },
            "RestartPolicy": restart,
            "Placement": {"Constraints": ["node.platform.os==linux"]},
            "Networks": [{"Target": "host"}],
        },
        "Mode": {"Global": {}},
    }
