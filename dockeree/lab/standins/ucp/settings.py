"""What an installation was told and each of its parts must know: handed on in its containers' environment."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass

from dockeree.lab.standins.program.docker_api import DockerApi
from dockeree.lab.standins.program.release import Release
from dockeree.lab.standins.ucp.layout import SANS_LABEL

IMAGE_VARIABLE = "UCP_STAND_IN_IMAGE"
"""In every image: its own name."""
PREFIX = "UCP_STAND_IN_"


@dataclass(frozen=True)
class Settings:
    """One installation."""

    image: str
    instance_id: str
    controller_port: int = 443
    kube_port: int = 6443
    external_server_cert: bool = False

    @property
    def release(self) -> Release:
        """What the image's name says."""
        return Release(self.image)

    def environment(self) -> list[str]:
        """For a container's Env."""
        values = dataclasses.asdict(self)
        return [f"{PREFIX}{name.upper()}={int(v) if isinstance(v, bool) else v}" for name, v in values.items()]

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
        """What `environment` made of it."""
        values = {field.name: environment[PREFIX + field.name.upper()] for field in dataclasses.fields(Settings)}
        return Settings(
            image=values["image"],
            instance_id=values["instance_id"],
            controller_port=int(values["controller_port"]),
            kube_port=int(values["kube_port"]),
            external_server_cert=values["external_server_cert"] == "1",
        )


@dataclass(frozen=True)
class ThisNode:
    """What the engine says of the node it runs on."""

    node_id: str
    hostname: str
    address: str
    is_manager: bool
    docker_root: str
    sans: tuple[str, ...]
    """The label com.docker.ucp.SANs; empty on workers, which cannot read it."""

    @staticmethod
    def of(engine: DockerApi) -> ThisNode:
        """Ask. Raises ApiError."""
        info = engine.call("GET", "/info")
        swarm = info["Swarm"]
        is_manager, node_id = bool(swarm.get("ControlAvailable")), swarm.get("NodeID", "")
        sans: tuple[str, ...] = ()
        if is_manager:
            labels = engine.call("GET", f"/nodes/{node_id}")["Spec"].get("Labels") or {}
            sans = split_sans(labels.get(SANS_LABEL, ""))
        return ThisNode(node_id, info["Name"], swarm.get("NodeAddr", ""), is_manager, info["DockerRootDir"], sans)


def split_sans(text: str) -> tuple[str, ...]:
    """The names of a label: a,b."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
