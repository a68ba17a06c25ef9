"""What the whole cluster shares, in swarm configs: NAME-1, NAME-2, … of which the highest number counts.

Configs cannot be changed, so a change is a new one; two writers at once want the same name, and one of them is refused
and reads again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from dockeree.lab.standins.program.docker_api import ApiError, DockerApi

KEPT_VERSIONS = 2
ATTEMPTS = 20
NAME_TAKEN = 409


class SwarmStore:
    """Documents by name, through the engine of a manager."""

    def __init__(self, engine: DockerApi) -> None:
        self._engine = engine

    def read(self, name: str) -> bytes | None:
        """The latest; None when there is none. Raises ApiError."""
        versions = self._versions(name)
        return versions[max(versions)] if versions else None

    def write(self, name: str, content: bytes, labels: dict[str, str] | None = None) -> None:
        """Make `content` the latest. Raises ApiError."""
        self.change(name, lambda _there: content, labels)

    def change(
        self, name: str, change: Callable[[bytes | None], bytes | None], labels: dict[str, str] | None = None
    ) -> bytes | None:
        """Make what `change` returns for the latest the next one, and return it; None changes nothing.

        `change` may be called more than once, and what it raises is passed on. Raises ApiError.
        """
        for attempt in range(ATTEMPTS):
            versions = self._versions(name)
            number = max(versions, default=0)
            content = change(versions.get(number))
            if content is None or content == versions.get(number):
                return content
            body = {
                "Name": f"{name}-{number + 1}",
                "Data": base64.b64encode(content).decode(),
                "Labels": labels or {},
            }
            try:
                self._engine.call("POST", "/configs/create", body)
            except ApiError as error:
                if error.status != NAME_TAKEN or attempt == ATTEMPTS - 1:
                    raise
                continue
            self._remove_before(name, number + 2 - KEPT_VERSIONS)
            return content
        raise AssertionError("the last attempt returns or raises")

    def remove(self, name: str) -> None:
        """Every version."""
        self._remove_before(name, None)

    def _versions(self, name: str) -> dict[int, bytes]:
        found = {}
        for config in self._list(name):
            number = config["Spec"]["Name"].removeprefix(f"{name}-")
            if number.isdigit():
                found[int(number)] = base64.b64decode(config["Spec"].get("Data") or "")
        return found

    def _remove_before(self, name: str, number: int | None) -> None:
        for config in self._list(name):
            word = config["Spec"]["Name"].removeprefix(f"{name}-")
            if word.isdigit() and (number is None or int(word) < number):
                with self._engine.ignoring_absence():
                    self._engine.call("DELETE", f"/configs/{config['ID']}")

    def _list(self, name: str) -> list[Any]:
        listed: list[Any] = self._engine.call("GET", "/configs", query={"filters": {"name": [f"{name}-"]}})
        return listed
