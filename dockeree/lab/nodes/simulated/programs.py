"""The programs of dockeree's own that a simulated node runs: the boot script, played; the agent, for real."""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from dockeree.agent import join as agent
from dockeree.lab.nodes.simulated import systemd
from dockeree.lab.nodes.simulated.answer import Answer, said
from dockeree.lab.nodes.simulated.docker import api
from dockeree.lab.nodes.simulated.engine import VERSION
from dockeree.lab.nodes.simulated.filesystem import FileError
from dockeree.lab.nodes.simulated.machine import Machine
from dockeree.lab.nodes.simulated.pace import INSTALL_SECONDS
from dockeree.lab.nodes.simulated.shell.registry import Call
from dockeree.lab.world import Region
from dockeree.node.boot import FOLDER

BOOT_SCRIPT = f"{FOLDER}/boot.sh"
AGENT = f"{FOLDER}/agent.py"
ENGINE_FOLDERS = ("/etc/docker", "/var/lib/docker")
ENGINE_PACKAGES = {"docker.io", "containerd", "runc"}


def install_engine(machine: Machine) -> None:
    """What the engine's packages leave on a node."""
    machine.packages |= ENGINE_PACKAGES
    machine.engine.is_installed = True
    for folder in ENGINE_FOLDERS:
        machine.filesystem.make_folders(folder)
    systemd.add_engine_units(machine)


def run_boot_script(call: Call) -> Answer:
    """What boot.sh does: configure, install, start the engine. Exit 1 with its own words when it cannot."""
    machine = call.machine
    try:
        settings = _shell_settings(machine.filesystem.read(f"{FOLDER}/boot.conf").decode())
        has_changed = _configure_engine(machine)
    except (FileError, ValueError) as error:
        return said(f"dockeree-boot: FAILED: {error}\n", 1)
    missing = _missing_packages(machine, settings)
    if missing and not machine.engine.is_installed and settings.get("ENGINE_SOURCE") == "preinstalled":
        return said("dockeree-boot: FAILED: engine.source is preinstalled, but this image has no docker\n", 1)
    lines = ""
    if missing:
        lines = f"dockeree-boot: installing {' '.join(missing)}\n"
        if not machine.pause(INSTALL_SECONDS):
            return Answer(is_dropped=True)
        machine.packages |= set(missing)
        install_engine(machine)
    unit = machine.units["docker.service"]
    if has_changed and unit.state == "active":
        systemd.stop(machine, unit)
    unit.enabled = True
    if not systemd.start(machine, unit):
        return said(f"{lines}dockeree-boot: FAILED: docker.service does not start: journalctl -u docker\n", 1)
    return said(f"{lines}dockeree-boot: the engine answers: {VERSION}\n")


def _shell_settings(text: str) -> dict[str, str]:
    pairs = [line.partition("=") for line in text.splitlines() if "=" in line]
    return {name: " ".join(shlex.split(value)) for name, _, value in pairs}


def _missing_packages(machine: Machine, settings: dict[str, str]) -> list[str]:
    missing = [] if machine.engine.is_installed else settings.get("ENGINE_PACKAGES", "").split() or ["docker.io"]
    if settings.get("ROLE") == "worker" and "python3-boto3" not in machine.packages:
        missing.append("python3-boto3")
    return missing


def _configure_engine(machine: Machine) -> bool:
    """Lay our settings over the image's. True when that changed the file. Raises FileError, ValueError."""
    files = machine.filesystem
    files.make_folders("/etc/docker")
    before: dict[str, Any] = json.loads(files.read(systemd.DAEMON_FILE)) if files.exists(systemd.DAEMON_FILE) else {}
    after = {**before, **json.loads(files.read(f"{FOLDER}/daemon.json"))}
    after.pop("live-restore", None)
    if after == before:
        return False
    files.write(systemd.DAEMON_FILE, (json.dumps(after, indent=2, sort_keys=True) + "\n").encode())
    return True


class Agents:
    """Runs the real agent with a node's model in place of the engine's socket and the metadata service.

    The parameter is read from the lab's own API with the credentials of the node's own role, so that a missing
    permission shows as it would on AWS.
    """

    def __init__(self, where: Callable[[], tuple[Region | None, str]]) -> None:
        """`where` gives the region and the API's endpoint, which a lab knows only after its nodes' driver."""
        self._where = where
        self._session = botocore.session.get_session()
        self._lock = threading.Lock()

    def run(self, call: Call) -> Answer:
        """The agent's main program, as `python3 agent.py` on the node."""
        machine = call.machine
        try:
            settings = json.loads(machine.filesystem.read(f"{FOLDER}/agent.json"))
        except (FileError, ValueError) as error:
            return said(f"{FOLDER}/agent.json: {error}\n", 1)
        lines: list[str] = []
        say = call.session.say or lines.append
        time_of = NodeTime(machine)
        try:
            status = agent.main(
                engine=lambda method, path, body: _ask_engine(machine, method, path, body),
                read_parameter=lambda: self._read(machine, settings["join_parameter"], settings["region"]),
                private_ip=lambda: machine.spec.private_ip,
                is_reachable=lambda address: _is_reachable(machine, address),
                log=lambda line: say(f"dockeree-agent: {line}"),
                sleep=time_of.sleep,
                now=time_of.now,
            )
        except PowerLost:
            return Answer(is_dropped=True)
        return said("".join(f"{line}\n" for line in lines), status)

    def _read(self, machine: Machine, name: str, region: str) -> str:
        if "python3-boto3" not in machine.packages:
            raise ModuleNotFoundError("No module named 'boto3'")
        api_side, endpoint_url = self._where()
        credentials = api_side.role_credentials(machine.id) if api_side else None
        if credentials is None:
            raise LookupError("Unable to locate credentials")
        with self._lock:
            # Making a client is not safe in several threads at once; using one is.
            client: Any = self._session.create_client(
                "ssm",
                region_name=region,
                endpoint_url=endpoint_url,
                aws_access_key_id=credentials.access_key_id,
                aws_secret_access_key=credentials.secret_access_key,
                aws_session_token=credentials.session_token,
            )
        try:
            return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
        except (BotoCoreError, ClientError) as error:
            raise LookupError(str(error)) from error
        finally:
            client.close()


class PowerLost(Exception):
    """The node went off while a program ran on it."""


class NodeTime:
    """A node's time for a program: its sleeps are scaled and end with the power."""

    SHORTEST_SLEEP_SECONDS = 0.05
    """Of real time: at scale 0 a program that polls would otherwise spin."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._halted = machine.halted
        self._slept = 0.0
        self._began = time.monotonic()

    def now(self) -> float:
        """Monotonic seconds as the program counts them."""
        return self._slept + time.monotonic() - self._began

    def sleep(self, seconds: float) -> None:
        """Let `seconds` of the node's time pass. Raises PowerLost."""
        self._slept += seconds
        real = max(self._machine.site.pace.scaled(seconds), self.SHORTEST_SLEEP_SECONDS)
        if self._halted.wait(real):
            raise PowerLost


def _ask_engine(machine: Machine, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
    if not machine.is_on:
        raise PowerLost
    if not machine.engine.runs:
        raise ConnectionRefusedError("[Errno 111] Connection refused")
    status, text = api.answer(machine, method, path, json.dumps(body).encode() if body is not None else b"")
    try:
        return status, json.loads(text) if text else {}
    except ValueError:
        return status, text.strip()


def _is_reachable(machine: Machine, address: str) -> bool:
    host, _, port = address.rpartition(":")
    site = machine.site
    with site.lock:
        other = site.by_address(machine, host)
        if other is None or not other.is_on or not site.reaches(machine.id, other.id, "tcp", int(port)):
            return False
        member = other.engine.membership.member if other.engine.membership else None
        return site.engine_runs(other.id) and member is not None and member.is_manager
