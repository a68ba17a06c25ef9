"""systemctl, journalctl, and the ways to turn a node off."""

from __future__ import annotations

import re

from dockeree.lab.nodes.simulated import systemd
from dockeree.lab.nodes.simulated.answer import Answer, refused, said
from dockeree.lab.nodes.simulated.machine import Machine, Unit
from dockeree.lab.nodes.simulated.shell.registry import Call, command

CHANGES = (
    "start",
    "stop",
    "restart",
    "try-restart",
    "reload",
    "reload-or-restart",
    "enable",
    "disable",
    "mask",
    "unmask",
    "reset-failed",
    "kill",
)
SUB_STATES = {"active": "running", "inactive": "dead", "failed": "failed", "activating": "start"}
SWITCHES = {
    "--now",
    "--no-block",
    "--quiet",
    "-q",
    "--no-pager",
    "--full",
    "-l",
    "--failed",
    "--value",
    "--plain",
    "--no-legend",
    "--no-ask-password",
    "--force",
    "-f",
    "--wait",
    "--all",
}


@command("systemctl")
def _systemctl(call: Call) -> Answer:
    words, properties, switches = list(call.words), [], set()
    rest = []
    while words:
        word = words.pop(0)
        if word in ("-p", "--property"):
            properties += words.pop(0).split(",")
        elif match := re.fullmatch(r"(?:--property=|-p)(.+)", word):
            properties += match[1].split(",")
        elif word in SWITCHES:
            switches.add(word)
        elif word.startswith("-"):
            return call.unknown(word)
        else:
            rest.append(word)
    verb, names = (rest[0] if rest else "list-units"), [systemd.full_name(name) for name in rest[1:]]
    if verb in ("poweroff", "reboot", "halt"):
        return _power(call, "reboot" if verb == "reboot" else "off")
    if verb == "daemon-reload":
        systemd.load(call.machine)
        return Answer()
    if verb == "is-system-running":
        return _is_system_running(call.machine)
    if verb in CHANGES and not call.session.is_root:
        return refused(f"Failed to {verb} {names[0] if names else ''}: Interactive authentication required.\n")
    if verb in CHANGES:
        return _change(call, verb, names, switches)
    if verb in ("is-active", "is-enabled", "is-failed", "status", "show", "cat"):
        return _tell(call, verb, names, properties, switches)
    if verb == "list-units":
        return _list(call.machine, only_failed="--failed" in switches)
    return call.unknown(verb)


def _is_system_running(machine: Machine) -> Answer:
    if any(unit.state == "failed" for unit in machine.units.values()):
        return said("degraded\n", 1)
    return said("starting\n", 1) if not machine.cloud_init_ended.is_set() else said("running\n")


def _list(machine: Machine, *, only_failed: bool) -> Answer:
    units = [unit for unit in machine.units.values() if unit.state == "failed" or not only_failed]
    lines = [f"  {unit.name} loaded {unit.state} {SUB_STATES[unit.state]} {unit.description}\n" for unit in units]
    return said("".join(lines) + f"{len(units)} loaded units listed.\n")


def _change(call: Call, verb: str, names: list[str], switches: set[str]) -> Answer:
    systemd.load(call.machine)
    for name in names:
        unit = call.machine.units.get(name)
        if unit is None:
            problem = "Unit file" if verb in ("enable", "disable", "mask") else "Unit"
            return refused(f"Failed to {verb} {name}: {problem} {name} does not exist.\n", 1 if verb == "enable" else 5)
        if not _change_one(call, verb, unit, switches):
            return refused(
                f"Job for {name} failed because the control process exited with error code.\n"
                f'See "systemctl status {name}" and "journalctl -xeu {name}" for details.\n'
            )
    return Answer()


def _change_one(call: Call, verb: str, unit: Unit, switches: set[str]) -> bool:
    def start() -> bool:
        return systemd.start(call.machine, unit, wait="--no-block" not in switches)

    if verb in ("stop", "kill") or (verb in ("disable", "mask") and "--now" in switches):
        systemd.stop(call.machine, unit)
    if verb in ("enable", "unmask"):
        unit.enabled = True
    if verb in ("disable", "mask"):
        unit.enabled = False
    if verb == "reset-failed" and unit.state == "failed":
        unit.enter("inactive")
    if verb in ("restart", "try-restart", "reload-or-restart"):
        systemd.stop(call.machine, unit)
        return start()
    return start() if verb == "start" or (verb == "enable" and "--now" in switches) else True


def _tell(call: Call, verb: str, names: list[str], properties: list[str], switches: set[str]) -> Answer:
    text, status, stderr = "", 0, ""
    for name in names:
        unit = call.machine.units.get(name)
        state = unit.state if unit else "inactive"
        if verb == "is-active":
            text += f"{state}\n"
            status = 0 if state == "active" else 3 if unit else 4
        elif verb == "is-failed":
            text += f"{state}\n"
            status = 0 if state == "failed" else 1
        elif verb == "is-enabled":
            text += f"{'enabled' if unit.enabled else 'disabled'}\n" if unit else "not-found\n"
            status = 0 if unit and unit.enabled else 1 if unit else 4
        elif verb == "show":
            text += _show(name, unit, properties, is_bare="--value" in switches)
        elif unit is None:
            stderr += f"Unit {name} could not be found.\n"
            status = 4
        else:
            text += _status(call.machine, unit)
            status = 0 if state in ("active", "activating") else 3
    is_quiet = bool({"--quiet", "-q"} & switches)
    return Answer(status, b"" if is_quiet else text.encode(), stderr.encode())


def _show(name: str, unit: Unit | None, properties: list[str], *, is_bare: bool) -> str:
    state = unit.state if unit else "inactive"
    facts = {
        "Id": name,
        "LoadState": "loaded" if unit else "not-found",
        "ActiveState": state,
        "SubState": SUB_STATES[state],
        "UnitFileState": ("enabled" if unit.enabled else "disabled") if unit else "",
        "ExecMainStatus": str(unit.exit_status) if unit else "0",
        "Result": "exit-code" if state == "failed" else "success",
        "NRestarts": "0",
    }
    wanted = {key: facts.get(key, "") for key in properties} if properties else facts
    return "".join(f"{value}\n" if is_bare else f"{key}={value}\n" for key, value in wanted.items())


def _status(machine: Machine, unit: Unit) -> str:
    lines = [
        f"● {unit.name} - {unit.description}",
        f"     Loaded: loaded (/etc/systemd/system/{unit.name}; {'enabled' if unit.enabled else 'disabled'})",
        f"     Active: {unit.state} ({SUB_STATES[unit.state]}) since {unit.since:%a %Y-%m-%d %H:%M:%S} UTC",
        "",
        *machine.journal_of(unit.name)[-10:],
    ]
    return "\n".join(lines) + "\n"


@command("journalctl")
def _journalctl(call: Call) -> Answer:
    words, units, count, output = list(call.words), [], None, "short"
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if name in ("-u", "--unit", "-n", "--lines", "-o", "--output", "--since", "-S", "-t", "-p"):
            value = value if equals else (words.pop(0) if words else "")
            if name in ("-u", "--unit"):
                units.append(systemd.full_name(value))
            elif name in ("-n", "--lines"):
                count = int(value) if value.isdigit() else None
            elif name in ("-o", "--output"):
                output = value
        elif match := re.fullmatch(r"-n(\d+)|-u(\S+)", word):
            count = int(match[1]) if match[1] else count
            units += [systemd.full_name(match[2])] if match[2] else []
        elif word not in ("--no-pager", "-b", "--boot", "-x", "-e", "-q", "--quiet", "-a", "-xe", "-xeu", "--reverse"):
            return call.unknown(word)
    lines = call.machine.journal_of(*units)
    if output == "cat":
        lines = [line.split("]: ", 1)[-1] for line in lines]
    lines = lines if count is None else lines[len(lines) - min(count, len(lines)) :]
    return said("".join(f"{line}\n" for line in lines) if lines else "-- No entries --\n")


@command("reboot", "poweroff", "halt", "shutdown")
def _shutdown(call: Call) -> Answer:
    is_reboot = call.name == "reboot" or (call.name == "shutdown" and "-r" in call.words)
    return _power(call, "reboot" if is_reboot else "off")


def _power(call: Call, action: str) -> Answer:
    if not call.session.is_root:
        return refused("Call to Reboot failed: Interactive authentication required.\n")
    call.machine.site.power(call.machine, "reboot" if action == "reboot" else "off")
    return Answer(is_dropped=True)
