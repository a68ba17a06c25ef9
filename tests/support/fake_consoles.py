"""UCP and DTR in memory, on the far side of a fake Remote: what their steps type, and what comes of it.

Installers are played by what the documentation says of them; a command line that it does not know fails with 127.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.fake_swarm import FakeMachines, FakeRemote

from dockeree.ssh.remote import Result

PASSWORD = "correct horse battery"
AUTHORITIES = "-----BEGIN CERTIFICATE-----\nVUNQ\n-----END CERTIFICATE-----\n"
TOKEN = "token-of-the-administrator"
CONFIG = "[scheduling_configuration]\n  enable_admin_ucp_scheduling = false\n"


@dataclass
class Node:
    """What stands on one node: containers' states by name, and files by path."""

    containers: dict[str, str] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)
    ucp_answers: tuple[int, str] = (200, "OK")
    dtr_healthy: bool = True


@dataclass
class Consoles:
    """The whole cluster's UCP and DTR. `*_outcomes`: how the next runs of an installer end; the last one for ever."""

    machines: FakeMachines
    nodes: dict[str, Node] = field(default_factory=dict)
    has_agents: bool = False
    password: str = PASSWORD
    config: str = CONFIG
    license: dict[str, str] | None = None
    storage: dict[str, Any] = field(default_factory=lambda: {"filesystem": {}})
    replicas: dict[str, str] = field(default_factory=dict)
    """Replica id -> address of its node."""
    blobs: dict[str, str] = field(default_factory=dict)
    ucp_outcomes: list[Result] = field(default_factory=lambda: [Result(0, "", "")])
    dtr_outcomes: list[Result] = field(default_factory=lambda: [Result(0, "", "")])
    push_status: int = 201
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """(node, method, URL) of every call of an API."""
    stdin_of: list[tuple[str, bytes]] = field(default_factory=list)
    """(command, standard input) of every installer."""
    while_following: Callable[[Node], None] = lambda node: None

    def node(self, address: str) -> Node:
        return self.nodes.setdefault(address, Node())

    def remote(self, name: str, address: str) -> ConsoleRemote:
        return ConsoleRemote(self.machines, name, self.machines.engine(address), self)

    def installed(self) -> None:
        """UCP stands on every machine there is."""
        self.has_agents = True
        for address in self.machines.engines:
            self.node(address).containers |= {"ucp-proxy": "running", "ucp-controller": "running"}

    def outcome(self, outcomes: list[Result]) -> Result:
        return outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]


@dataclass
class ConsoleRemote(FakeRemote):
    """A connection to one machine of a cluster with consoles."""

    consoles: Consoles

    @property
    def node(self) -> Node:
        return self.consoles.node(self.engine.address)

    def read_bytes(self, command: str, *, timeout_seconds: float = 60.0, stdin: bytes | None = None) -> bytearray:
        return bytearray(self.run(command, stdin=stdin, changes=False).stdout.encode())

    def _answer(self, words: list[str], stdin: bytes | None) -> Result:
        engine_words = " ".join(words)
        assert PASSWORD not in engine_words, "the password stands in a command's arguments"
        assert TOKEN not in engine_words, "a token stands in a command's arguments"
        match words:
            case ["curl", *_, "--config", "-", "--write-out", _]:
                return self._api((stdin or b"").decode())
            case ["cat", "|", "curl", *rest]:
                return self._verified(rest, (stdin or b"").decode())
            case ["sudo", "-n", "sh", "-c", script]:
                return self._script(script, stdin or b"")
            case ["sudo", "-n", "cat", path]:
                found = self.node.files.get(path)
                return Result(1, "", "cat: No such file") if found is None else Result(0, found, "")
            case ["sudo", "-n", "rm", "-f", path]:
                self.node.files.pop(path, None)
                return Result(0, "", "")
            case ["sudo", "-n", "docker", *rest]:
                known = self._console_docker(rest)
                return super()._answer(words, stdin) if known is None else known
        return super()._answer(words, stdin)

    def _console_docker(self, words: list[str]) -> Result | None:
        node = self.node
        match words:
            case ["ps", "--all", "--filter", name, "--format", form]:
                pattern = name.removeprefix("name=")
                found = {n: s for n, s in node.containers.items() if re.search(pattern, n)}
                if form == "{{.State}}":
                    return Result(0, "".join(f"{state}\n" for state in found.values()), "")
                rows = ({"Names": n, "State": s, "Image": "mirantis/x:3.8.12"} for n, s in found.items())
                return Result(0, "".join(json.dumps(row) + "\n" for row in rows), "")
            case ["service", "ls", "--filter", _, "--format", _]:
                return Result(0, "ucp-agent\n" if self.consoles.has_agents else "", "")
            case ["logs", "--follow", name]:
                self.consoles.while_following(node)
                node.containers.pop(name, None)
                return Result(0, "", "")
            case ["container", "rm", "--force", name]:
                return Result(0 if node.containers.pop(name, None) else 1, "", "")
            case ["image", "ls", *_]:
                return Result(0, "".join(f"{image}\n" for image in sorted(node.images)), "")
            case ["image", "pull", "--quiet", image]:
                node.images.add(image)
                return Result(0, image + "\n", "")
            case ["container", "run", "--rm", *rest]:
                return self._installer(rest, b"")
            case ["node", "update", change, label, node_id] if change in ("--label-add", "--label-rm"):
                labels = self.engine.swarm.nodes[node_id]["Spec"]["Labels"]  # type: ignore[union-attr]
                key, _, value = label.partition("=")
                if change == "--label-add":
                    labels[key] = value
                else:
                    labels.pop(key, None)
                return Result(0, node_id + "\n", "")
        return None

    def _script(self, script: str, stdin: bytes) -> Result:
        if " && exec " in script:
            words = shlex.split(script.rpartition(" && exec ")[2])
            assert words[:4] == ["docker", "container", "run", "--rm"]
            return self._installer(words[4:], stdin)
        if found := re.search(r"cat > (\S+?)(\.new)?( |$)", script):
            self.node.files[found.group(1)] = stdin.decode()
            return Result(0, "", "")
        if "docker volume create" in script:
            self.node.files["volume"] = stdin.decode(errors="replace")
            return Result(0, "", "")
        return Result(127, "", f"{script}: not known to this fake")

    def _installer(self, words: list[str], stdin: bytes) -> Result:
        place = next(i for i, word in enumerate(words) if re.fullmatch(r"mirantis/(ucp|dtr):\S+", word))
        image, command, flags = words[place], words[place + 1], words[place + 2 :]
        if command == "images":
            return Result(0, f"{image}\n{image.replace(':', '-part:')}\n", "")
        self.consoles.stdin_of.append((command, stdin))
        if "/ucp:" in image:
            return self._ucp_installer(command)
        return self._dtr_installer(command, dict(zip(flags[::2], flags[1::2], strict=True)))

    def _ucp_installer(self, command: str) -> Result:
        consoles = self.consoles
        if command == "uninstall-ucp":
            consoles.has_agents = False
            for node in consoles.nodes.values():
                node.containers = {n: s for n, s in node.containers.items() if not n.startswith("ucp-")}
            return Result(0, "INFO[0000] UCP has been removed from this cluster successfully.\n", "")
        assert not consoles.has_agents, "UCP is installed over what is there"
        result = consoles.outcome(consoles.ucp_outcomes)
        consoles.has_agents = True
        self.node.containers["ucp-proxy"] = "running"
        if result.exit_status == 0:
            consoles.installed()
        return result

    def _dtr_installer(self, command: str, flags: dict[str, str]) -> Result:
        consoles = self.consoles
        replica = flags.get("--replica-id") or flags.get("--replica-ids", "")
        if command in ("destroy", "remove"):
            consoles.replicas.pop(replica, None)
            if command == "destroy":
                for node in consoles.nodes.values():
                    node.containers = {n: s for n, s in node.containers.items() if not n.endswith(replica)}
            return Result(0, "", "")
        if command == "join":
            assert flags["--existing-replica-id"] in consoles.replicas
        address = next(e.address for e in self.machines.engines.values() if e.hostname == flags["--ucp-node"])
        node = consoles.node(address)
        assert not any(name.startswith("dtr-") for name in node.containers), "a replica is put on another one"
        result = consoles.outcome(consoles.dtr_outcomes)
        node.containers |= {f"dtr-registry-{replica}": "running", f"dtr-rethinkdb-{replica}": "running"}
        if result.exit_status == 0:
            consoles.replicas[replica] = address
        return result

    def _verified(self, words: list[str], authorities: str) -> Result:
        assert authorities == AUTHORITIES
        return Result(0, "200", "")

    def _api(self, text: str) -> Result:
        options: dict[str, list[str]] = {}
        for line in text.splitlines():
            key, _, value = line.partition(" = ")
            options.setdefault(key, []).append(json.loads(value) if value else "")
        url, method = options["url"][0], options["request"][0]
        self.consoles.requests.append((self.name, method, url))
        address, _, path = url.removeprefix("https://").partition("/")
        body = options.get("data-raw", [""])[0]
        dark = self.machines.engines.get(address.partition(":")[0])
        if dark is None or dark.is_dark:
            return Result(7, "", "curl: (7) Failed to connect")
        status, answer = (self._dtr_api if ":" in address else self._ucp_api)(method, "/" + path, body, options)
        if status == 0:
            return Result(7, "", "curl: (7) Failed to connect")
        return Result(0, f"{answer}\n{status}", "")

    def _ucp_api(self, method: str, path: str, body: str, options: dict[str, list[str]]) -> tuple[int, str]:
        consoles = self.consoles
        if "ucp-controller" not in self.node.containers:
            return 0, ""
        is_admin = f"Authorization: Bearer {TOKEN}" in options.get("header", [])
        match (method, path):
            case ("GET", "/_ping"):
                return self.node.ucp_answers
            case ("GET", "/ca"):
                return 200, AUTHORITIES
            case ("POST", "/auth/login"):
                right = json.loads(body) == {"username": "admin", "password": consoles.password}
                return (200, json.dumps({"auth_token": TOKEN})) if right else (401, '{"message": "invalid"}')
            case _ if not is_admin:
                return 401, '{"message": "unauthorized"}'
            case ("GET", "/api/ucp/config-toml"):
                return 200, consoles.config
            case ("PUT", "/api/ucp/config-toml"):
                consoles.config = body
                return 200, ""
            case ("GET", "/api/config/license"):
                return (200, json.dumps({"license_config": consoles.license})) if consoles.license else (404, "")
            case ("POST", "/api/config/license"):
                consoles.license = json.loads(body)["license_config"]
                return 202, ""
        return 404, ""

    def _dtr_api(self, method: str, path: str, body: str, options: dict[str, list[str]]) -> tuple[int, str]:
        consoles = self.consoles
        if not any(name.startswith("dtr-registry") for name in self.node.containers):
            return 0, ""
        path = path.partition("?")[0]
        match (method, path):
            case ("GET", "/_ping"):
                return (200, '{"Healthy":true}') if self.node.dtr_healthy else (503, '{"Healthy":false}')
            case ("GET", "/ca"):
                return 200, AUTHORITIES
            case ("GET", "/api/v0/meta/cluster_status"):
                return 200, json.dumps({"replica_health": dict.fromkeys(consoles.replicas, "OK")})
            case ("GET", "/api/v0/admin/settings/registry/simple"):
                return 200, json.dumps({"storage": consoles.storage})
            case ("PUT", "/api/v0/admin/settings/registry/simple"):
                consoles.storage = json.loads(body)["storage"]
                return 202, ""
            case ("POST", "/api/v0/repositories/admin"):
                return 201, ""
            case ("GET", "/auth/token"):
                return 200, json.dumps({"token": "registry-token"})
            case ("POST", "/v2/admin/dockeree-probe/blobs/uploads/"):
                location = f"https://dtr{path}u1?_state=x"
                return 202, f"HTTP/1.1 202 Accepted\r\nLocation: {location}\r\n\r\n"
            case ("PUT", _) if "/v2/" in path and consoles.push_status >= 300:
                return consoles.push_status, '{"errors": [{"message": "s3aws: NoCredentialProviders"}]}'
            case ("PUT", "/v2/admin/dockeree-probe/manifests/probe"):
                consoles.blobs["manifest"] = body
                return 201, ""
            case ("PUT", _):
                consoles.blobs["blob"] = body
                return 201, ""
            case ("GET", "/v2/admin/dockeree-probe/manifests/probe"):
                return (200, consoles.blobs["manifest"]) if "manifest" in consoles.blobs else (404, "")
            case ("GET", _) if "/blobs/" in path:
                return 200, consoles.blobs["blob"]
        return 404, ""
