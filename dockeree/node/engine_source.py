"""Where Docker Engine comes from: the packages, and for a repository its key and its lines, as its makers document."""

from __future__ import annotations

from dataclasses import dataclass

from dockeree import config

MIRANTIS_CHANNEL = "stable-25.0.14"
DOCKER_CHANNEL = "stable"
KEYRINGS = "/etc/apt/keyrings"
SOURCES = "/etc/apt/sources.list.d"


@dataclass(frozen=True)
class EngineSource:
    """What apt needs to install an engine. Without a repository of its own, `key_url` and `sources` are empty.

    `sources` is a file in apt's deb822 format; the node fills in its own @CODENAME@ and @ARCHITECTURE@.
    """

    packages: tuple[str, ...]
    key_url: str = ""
    key_file: str = ""
    sources_file: str = ""
    sources: str = ""


def engine_source(engine: config.Engine) -> EngineSource:
    """The source that the configuration names."""
    if engine.source == "mirantis":
        return _repository(
            "mirantis",
            "https://repos.mirantis.com/ubuntu",
            engine.channel or MIRANTIS_CHANNEL,
            ("docker-ee", "docker-ee-cli", "containerd.io"),
        )
    if engine.source == "docker":
        return _repository(
            "docker",
            "https://download.docker.com/linux/ubuntu",
            engine.channel or DOCKER_CHANNEL,
            ("docker-ce", "docker-ce-cli", "containerd.io"),
        )
    return EngineSource(("docker.io",) if engine.source == "ubuntu" else ())


def _repository(name: str, url: str, channel: str, packages: tuple[str, ...]) -> EngineSource:
    key_file = f"{KEYRINGS}/{name}.asc"
    sources = (
        "Types: deb\n"
        f"URIs: {url}\n"
        "Suites: @CODENAME@\n"
        f"Components: {channel}\n"
        "Architectures: @ARCHITECTURE@\n"
        f"Signed-By: {key_file}\n"
    )
    return EngineSource(packages, f"{url}/gpg", key_file, f"{SOURCES}/{name}.sources", sources)
