"""An engine's swarm configs in memory, as far as the stand-ins ask for them, and whatever else a test puts in."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from dockeree.lab.standins.program.docker_api import ApiError, DockerApi

Answer = Callable[[Any], Any]


class FakeDockerApi(DockerApi):
    """`answers` maps "GET /info" to what it answers, or to a function of the body that does."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        super().__init__(lambda _timeout_seconds: None)  # type: ignore[arg-type, return-value]
        self.answers = dict(answers or {})
        self.configs: dict[str, dict[str, Any]] = {}
        self.before_create: Callable[[], None] = lambda: None
        self._numbers = itertools.count(1)

    def call(self, method: str, path: str, body: Any = None, query: Any = None, *args: Any, **more: Any) -> Any:
        if path.startswith("/configs"):
            return self._configs(method, path, body, query)
        key = f"{method} {path.partition('?')[0]}"
        if key not in self.answers:
            raise ApiError(404, f"{key} is not in this fake")
        answer = self.answers[key]
        return answer(body) if callable(answer) else json.loads(json.dumps(answer))

    def request(self, method: str, path: str, *args: Any, **more: Any) -> Any:
        if path == "/_ping":
            return 200, {"Api-Version": "1.41", "Ostype": "linux", "Server": "Docker"}, b"OK"
        raise ApiError(404, path)

    def _configs(self, method: str, path: str, body: Any, query: Any) -> Any:
        if method == "GET":
            (prefix,) = query["filters"]["name"]
            return [each for name, each in self.configs.items() if name.startswith(prefix)]
        if method == "POST":
            hook, self.before_create = self.before_create, lambda: None
            hook()
            if body["Name"] in self.configs:
                raise ApiError(409, f"config {body['Name']} already exists")
            self.configs[body["Name"]] = {"ID": f"c{next(self._numbers)}", "Spec": body}
            return None
        name = next(name for name, each in self.configs.items() if each["ID"] == path.rpartition("/")[2])
        del self.configs[name]
        return None
