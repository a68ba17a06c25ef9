"""The lab's image registry: what the engines' mirror setting points at, since nodes do not reach the Internet.

Debian's docker-registry, twice over one storage in the user's cache: read-only in the lab's network, where it listens
for the engines; and for a moment on a Unix socket when an image is added from the host, which needs no engine.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml
from filelock import FileLock

from dockeree.lab.nodes.machines.cgroups import Cgroup
from dockeree.lab.nodes.machines.container_image import ContainerImage, push
from dockeree.lab.nodes.machines.leftovers import lab_cgroup
from dockeree.lab.nodes.machines.service import NamespaceService
from dockeree.lab.settings import LabSettings, cache_dir
from dockeree.lab.world import LabError

PORT = 5000
START_TIMEOUT_SECONDS = 20.0


def storage_dir() -> Path:
    """Where the images of all labs are kept."""
    return cache_dir() / "registry"


class Registry:
    """The registry of one lab, inside a namespace."""

    def __init__(self, settings: LabSettings, *, namespace: str, address: str, port: int = PORT) -> None:
        self.url = f"http://{address}:{port}"
        """For Surroundings.registry_url."""
        self._configuration = settings.runtime_dir / "registry.yml"
        self._listen = f"{address}:{port}"
        self._service = NamespaceService(
            name="The image registry",
            command=["docker-registry", "serve", str(self._configuration)],
            namespace=namespace,
            port=port,
            cgroup=Cgroup(f"{lab_cgroup(settings).name}/registry"),
            log=settings.runtime_dir / "registry.log",
        )

    def start(self) -> None:
        """Serve the storage's images, read-only; returns when it listens. Raises LabError."""
        storage_dir().mkdir(parents=True, exist_ok=True)
        self._configuration.parent.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(_configuration({"addr": self._listen}, read_only=True))
        self._service.start()

    def close(self) -> None:
        """Stop serving. The images stay in the cache."""
        self._service.close()


def add_image(image: ContainerImage) -> str:
    """Add an image, or replace the one of that name; a running lab serves it at once. Returns its digest.

    Raises LabError.
    """
    storage_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(storage_dir().with_suffix(".lock")), _writable_registry() as socket_path:
        return push(socket_path, image)


@contextlib.contextmanager
def _writable_registry() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dockeree-registry-") as folder:
        socket_path, log_path = Path(folder, "socket"), Path(folder, "log")
        configuration = Path(folder, "config.yml")
        configuration.write_text(_configuration({"net": "unix", "addr": str(socket_path)}, read_only=False))
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                ["docker-registry", "serve", str(configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            deadline = time.monotonic() + START_TIMEOUT_SECONDS
            while not socket_path.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise LabError(f"The image registry did not start: {log_path.read_text(errors='replace')[-500:]}")
                time.sleep(0.02)
            yield socket_path
        finally:
            process.terminate()
            process.wait()


def _configuration(http: dict[str, str], *, read_only: bool) -> str:
    return yaml.safe_dump(
        {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(storage_dir())},
                "maintenance": {"readonly": {"enabled": read_only}, "uploadpurging": {"enabled": False}},
            },
            "http": http,
        }
    )
