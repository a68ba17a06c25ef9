"""Container images made without an engine: a root file system, a configuration, and the registry's HTTP API.

Formats: Docker image manifest version 2, schema 2, which every engine since 1.10 pulls.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import platform
import socket
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from dockeree.lab.world import LabError

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
HTTP_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class PackedLayer:
    """A layer as the registry takes it, kept in a file: several images that share it are pulled with it once."""

    path: Path
    """The gzip-compressed tar."""
    diff_id: str
    """The digest of the tar, not compressed: sha256:…"""


@dataclass(frozen=True)
class ContainerImage:
    """An image of one layer, or of one on top of `base`.

    `root` is a folder (owners and modes as they are there) or a tar file, not compressed.
    """

    name: str
    """As `docker pull` takes it: library/busybox:latest, mirantis/ucp:3.8.0."""
    root: Path | bytes
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    """8080/tcp."""
    stop_signal: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    base: PackedLayer | None = None
    """The layer below."""

    @property
    def repository(self) -> str:
        """The name without the tag."""
        return self.name.rpartition(":")[0]

    @property
    def tag(self) -> str:
        """The tag."""
        return self.name.rpartition(":")[2]


def push(socket_path: Path, image: ContainerImage) -> str:
    """Push an image to the registry that listens on a Unix socket, and return the manifest's digest.

    Raises LabError with the registry's answer when it refuses.
    """
    tar = _tar_of(image.root)
    # mtime 0: the same content is the same digest on each day.
    layers = [gzip.compress(tar, compresslevel=6, mtime=0)]
    diff_ids = [_digest(tar)]
    if image.base is not None:
        layers.insert(0, image.base.path.read_bytes())
        diff_ids.insert(0, image.base.diff_id)
    config = json.dumps(_config(image, diff_ids), sort_keys=True).encode()
    connection = _UnixConnection(socket_path)
    try:
        for blob in (*layers, config):
            _put_blob(connection, image.repository, blob)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": CONFIG, "size": len(config), "digest": _digest(config)},
                "layers": [{"mediaType": LAYER, "size": len(layer), "digest": _digest(layer)} for layer in layers],
            }
        ).encode()
        path = f"/v2/{image.repository}/manifests/{image.tag}"
        _request(connection, "PUT", path, manifest, {"Content-Type": MANIFEST}, accepted=(201,))
        return _digest(manifest)
    except (OSError, http.client.HTTPException) as error:
        raise LabError(f"The image {image.name} could not be pushed: {error}") from error
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("registry", timeout=HTTP_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _put_blob(connection: _UnixConnection, repository: str, blob: bytes) -> None:
    digest = _digest(blob)
    status, _ = _request(connection, "HEAD", f"/v2/{repository}/blobs/{digest}", accepted=(200, 404))
    if status == 200:
        return
    _, headers = _request(connection, "POST", f"/v2/{repository}/blobs/uploads/", accepted=(202,))
    place = urlsplit(headers["location"])
    query = "&".join(filter(None, (place.query, urlencode({"digest": digest}))))
    headers_of_blob = {"Content-Type": "application/octet-stream"}
    _request(connection, "PUT", f"{place.path}?{query}", blob, headers_of_blob, accepted=(201,))


def _request(
    connection: _UnixConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    accepted: tuple[int, ...],
) -> tuple[int, dict[str, str]]:
    connection.request(method, path, body, dict(headers or {}))
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    if answer.status not in accepted:
        raise LabError(f"The registry answered {answer.status} to {method} {path}: {text[:300]}")
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def _tar_of(root: Path | bytes) -> bytes:
    if isinstance(root, bytes):
        return root
    if root.is_file():
        return root.read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(root.rglob("*")):
            tar.add(path, str(path.relative_to(root)), recursive=False)
    return buffer.getvalue()


def _config(image: ContainerImage, diff_ids: list[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            *(f"{name}={value}" for name, value in image.environment.items()),
        ],
        "Cmd": list(image.command) or None,
        "Entrypoint": list(image.entrypoint) or None,
        "ExposedPorts": {port: {} for port in image.ports},
        "Labels": dict(image.labels),
    }
    if image.stop_signal:
        settings["StopSignal"] = image.stop_signal
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "dockeree lab"} for _ in diff_ids],
    }


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
