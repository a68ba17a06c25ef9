"""A node's systemd: units read from their files, started, stopped, restarted as they ask."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import threading

from dockeree.lab.nodes.simulated.machine import Machine, Unit

UNIT_FOLDERS = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")
DOCKER_UNITS = ("containerd.service", "docker.service", "docker.socket")
DAEMON_FILE = "/etc/docker/daemon.json"


def image_units() -> dict[str, Unit]:
    """What Ubuntu's image comes with."""
    descriptions = {
        "ssh.service": "OpenBSD Secure Shell server",
        "cron.service": "Regular background program processing daemon",
        "systemd-journald.service": "Journal Service",
        "systemd-networkd.service": "Network Configuration",
        "systemd-resolved.service": "Network Name Resolution",
        "unattended-upgrades.service": "Unattended Upgrades Shutdown",
        "apt-daily.timer": "Daily apt download activities",
        "apt-daily-upgrade.timer": "Daily apt upgrade and clean activities",
        "cloud-init.service": "Cloud-init: Network Stage",
        "cloud-final.service": "Cloud-init: Final Stage",
    }
    return {name: Unit(name, description) for name, description in descriptions.items()}


def add_engine_units(machine: Machine) -> None:
    """What the engine's package brings."""
    for name, description in zip(
        DOCKER_UNITS,
        ("containerd container runtime", "Docker Application Container Engine", "Docker Socket for the API"),
        strict=True,
    ):
        machine.units.setdefault(name, Unit(name, description))


def full_name(name: str) -> str:
    """`docker` is `docker.service`."""
    return name if re.search(r"\.(service|socket|timer|target|path|mount|slice)$", name) else f"{name}.service"


def load(machine: Machine) -> None:
    """`systemctl daemon-reload`: read every unit file, keeping what runs."""
    for folder in UNIT_FOLDERS:
        for name in machine.filesystem.children(folder):
            if not name.endswith(".service") or name in DOCKER_UNITS:
                continue
            text = machine.filesystem.read(posixpath.join(folder, name)).decode(errors="replace")
            _read(machine, name, text)


def _read(machine: Machine, name: str, text: str) -> None:
    settings: dict[str, list[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith(("#", ";")):
            settings.setdefault(key.strip(), []).append(value.strip())

    def last(key: str, default: str = "") -> str:
        return settings.get(key, [default])[-1]

    unit = machine.units.setdefault(name, Unit(name, "", enabled=False))
    unit.description = last("Description", name)
    commands = [line.lstrip("-@+!:") for key in ("ExecStartPre", "ExecStart") for line in settings.get(key, [])]
    environment = [shlex.quote(word) for line in settings.get("Environment", []) for word in shlex.split(line)]
    prefix = f"env {' '.join(environment)} " if environment else ""
    unit.command = " && ".join(prefix + command for command in commands)
    unit.type = last("Type", "simple")
    unit.remain_after_exit = last("RemainAfterExit", "no").lower() in ("yes", "true", "1")
    unit.restart = last("Restart", "no")
    unit.restart_seconds = _seconds(last("RestartSec", "0.1"))
    unit.final_statuses = tuple(int(word) for word in last("RestartPreventExitStatus").split() if word.isdigit())
    unit.wants = tuple(name for line in settings.get("Wants", []) for name in line.split())
    unit.requires = tuple(name for line in settings.get("Requires", []) for name in line.split())
    unit.to_console = "console" in last("StandardOutput")


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)\s*(ms|s|sec|min|m|h)?", text)
    if match is None:
        return 0.1
    return float(match[1]) * {"ms": 0.001, "min": 60, "m": 60, "h": 3600}.get(match[2] or "s", 1.0)


def start(machine: Machine, unit: Unit, *, wait: bool = True) -> bool:
    """Start a unit, after the units that it wants. False when it failed; True without `wait`.

    A oneshot has started when its program has ended; one that is being started already is waited for.
    """
    with machine.site.lock:
        if unit.state == "active":
            return True
        if unit.state != "activating":
            unit.generation += 1
            unit.start_ended.clear()
            unit.enter("activating")
            threading.Thread(
                target=_start, args=(machine, unit, unit.generation), name=f"{machine.id}-{unit.name}", daemon=True
            ).start()
    if not wait:
        return True
    while not unit.start_ended.wait(0.2):
        if machine.halted.is_set():
            return False
    return unit.state in ("active", "inactive")


def _start(machine: Machine, unit: Unit, generation: int) -> None:
    for name in (*unit.wants, *unit.requires):
        other = machine.units.get(name)
        is_up = other is not None and start(machine, other)
        if not is_up and name in unit.requires:
            machine.to_journal(unit.name, f"Dependency failed for {unit.name} - {unit.description}.")
            unit.enter("failed")
            unit.start_ended.set()
            return
    if machine.halted.is_set() or unit.generation != generation:
        return
    if unit.name == "docker.service":
        start_engine(machine)
    elif not unit.command:
        unit.enter("active")
    else:
        _run_with_restarts(machine, unit, generation)
    unit.start_ended.set()


def _run_with_restarts(machine: Machine, unit: Unit, generation: int) -> None:
    halted = machine.halted
    while True:
        machine.to_journal(unit.name, f"Starting {unit.name} - {unit.description}...")
        if unit.type != "oneshot":
            unit.enter("active")
            unit.start_ended.set()
        answer = machine.site.run_program(machine, unit.command, lambda line: _say(machine, unit, line))
        if halted.is_set() or unit.generation != generation:
            return
        unit.exit_status = answer.exit_status
        _end(machine, unit)
        unit.start_ended.set()
        again = unit.restart == "always" or (unit.restart == "on-failure" and answer.exit_status)
        if not again or answer.exit_status in unit.final_statuses:
            return
        if halted.wait(machine.site.pace.scaled(unit.restart_seconds)) or unit.generation != generation:
            return
        unit.start_ended.clear()
        unit.enter("activating")


def _end(machine: Machine, unit: Unit) -> None:
    if unit.exit_status:
        unit.enter("failed")
        _say(machine, unit, f"{unit.name}: Main process exited, code=exited, status={unit.exit_status}")
        return
    stays = unit.type == "oneshot" and unit.remain_after_exit
    unit.enter("active" if stays else "inactive")
    machine.to_journal(unit.name, f"{'Finished' if stays else 'Deactivated'} {unit.name} - {unit.description}.")


def _say(machine: Machine, unit: Unit, line: str) -> None:
    machine.to_journal(unit.name, line)
    if unit.to_console:
        machine.to_console(line)


def stop(machine: Machine, unit: Unit) -> None:
    """Stop a unit. What its thread still runs ends unseen."""
    with machine.site.lock:
        unit.generation += 1
        unit.enter("inactive")
        unit.start_ended.set()
    if unit.name == "docker.service":
        stop_engine(machine)


def start_engine(machine: Machine) -> bool:
    """Start docker.service. False, with the reason in its journal, when its configuration is wrong."""
    reason = _configuration_error(machine)
    unit = machine.units["docker.service"]
    if reason:
        machine.to_journal("docker.service", f"unable to configure the Docker daemon with file {DAEMON_FILE}: {reason}")
        unit.enter("failed")
        return False

    def run() -> None:
        machine.engine.runs = True

    machine.site.change(run)
    for name in DOCKER_UNITS:
        machine.units[name].enter("active")
    machine.to_journal("docker.service", 'level=info msg="Daemon has completed initialization"')
    return True


def _configuration_error(machine: Machine) -> str:
    if not machine.filesystem.exists(DAEMON_FILE):
        return ""
    try:
        settings = json.loads(machine.filesystem.read(DAEMON_FILE))
    except ValueError as error:
        return f"invalid JSON: {error}"
    if not isinstance(settings, dict):
        return "invalid JSON: not an object"
    if settings.get("live-restore") and machine.engine.membership is not None:
        return "--live-restore daemon configuration is incompatible with swarm mode"
    return ""


def stop_engine(machine: Machine) -> None:
    """Stop docker.service."""

    def halt() -> None:
        machine.engine.runs = False

    machine.site.change(halt)
    for name in ("docker.service", "docker.socket"):
        machine.units[name].enter("inactive")


def boot(machine: Machine) -> None:
    """Start what is enabled, without waiting for it."""
    load(machine)
    for unit in list(machine.units.values()):
        if unit.enabled:
            start(machine, unit, wait=False)


def halt(machine: Machine) -> None:
    """The power is gone: nothing runs any more."""
    for unit in machine.units.values():
        unit.generation += 1
        unit.enter("inactive")
        unit.start_ended.set()
    machine.engine.runs = False
