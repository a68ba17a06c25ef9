"""Files in volumes of this node, read and written through a container that is made and never started."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from dockeree.lab.standins.program.certificates import KeyPair
from dockeree.lab.standins.program.docker_api import DockerApi
from dockeree.lab.standins.ucp.checks import PHASE2_CONTAINER
from dockeree.lab.standins.ucp.components import SLEEP
from dockeree.lab.standins.ucp.node_identity import VOLUMES


class VolumeFiles:
    """The volumes mounted into a container."""

    def __init__(self, engine: DockerApi, container: str) -> None:
        self._engine, self._container = engine, container

    def read(self, volume: str) -> dict[str, bytes]:
        """The files of a volume, by name. Raises ApiError."""
        return self._engine.get_files(self._container, f"{VOLUMES}/{volume}")

    def read_pair(self, volume: str) -> KeyPair | None:
        """cert.pem and key.pem; None when one of them is missing. Raises ApiError."""
        files = self.read(volume)
        if "cert.pem" not in files or "key.pem" not in files:
            return None
        return KeyPair(files["cert.pem"], files["key.pem"])

    def write(self, volume: str, files: Mapping[str, bytes]) -> None:
        """Write files into a volume. Raises ApiError."""
        self._engine.put_files(self._container, f"{VOLUMES}/{volume}", files)


@contextlib.contextmanager
def mounted(engine: DockerApi, image: str, volumes: Sequence[str]) -> Iterator[VolumeFiles]:
    """Mount volumes, making those that are not there. Raises ApiError."""
    engine.remove_container(PHASE2_CONTAINER)
    binds = [f"{name}:{VOLUMES}/{name}" for name in volumes]
    body = {"Image": image, "Entrypoint": list(SLEEP), "HostConfig": {"NetworkMode": "none", "Binds": binds}}
    container = engine.create_container(PHASE2_CONTAINER, body)
    try:
        yield VolumeFiles(engine, container)
    finally:
        engine.remove_container(container)
