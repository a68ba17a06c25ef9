"""The images that the simulated registry holds, and what they answer on their ports.

A reference outside this list is refused as Docker Hub refuses it, so that a mistyped name shows.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal

Scheme = Literal["http", "https", "tcp"]

KNOWN = (
    r"(library/)?(alpine|busybox|debian|ubuntu|hello-world|httpd|nginx|python|redis|registry|traefik)",
    r"(traefik/whoami|nginxdemos/hello|containous/whoami|dockeree/.+)",
    r"(docker|mirantis)/(ucp|dtr)(-.+)?",
)
SERVED: dict[str, dict[int, Scheme]] = {
    "nginx": {80: "http"},
    "httpd": {80: "http"},
    "redis": {6379: "tcp"},
    "registry": {5000: "http"},
    "traefik": {80: "http", 443: "https"},
    "traefik/whoami": {80: "http"},
    "containous/whoami": {80: "http"},
    "nginxdemos/hello": {80: "http"},
}
REFERENCE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._/:-]*?)(:(?P<tag>[\w][\w.-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def parse(reference: str) -> tuple[str, str] | None:
    """(name, tag) of an image reference, None where it is no reference at all."""
    match = REFERENCE.fullmatch(reference)
    if match is None:
        return None
    name = match["name"].removeprefix("docker.io/").removeprefix("library/")
    return name, match["tag"] or "latest"


def exists(name: str) -> bool:
    """Whether the registry has an image of this name."""
    return any(re.fullmatch(pattern, name) for pattern in KNOWN)


def image_id(reference: str) -> str:
    """The id of an image: the same on every node."""
    return "sha256:" + hashlib.sha256(reference.encode()).hexdigest()


def serves(image: str, port: int) -> Scheme | None:
    """What a container of `image` answers on `port` of its own, None for nothing.

    An image that this catalogue does not describe answers HTTP on whatever port was published for it.
    """
    parsed = parse(image)
    if parsed is None:
        return None
    ports = SERVED.get(parsed[0])
    return "http" if ports is None else ports.get(port)
