"""The simulated world as plain state: a machine (its disk, engine, units, console) and the site that holds them all."""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from dockeree.lab.nodes.simulated.answer import Answer
from dockeree.lab.nodes.simulated.engine import Engine
from dockeree.lab.nodes.simulated.faults import Faults
from dockeree.lab.nodes.simulated.filesystem import FileSystem
from dockeree.lab.nodes.simulated.pace import Pace, utc_now
from dockeree.lab.nodes.simulated.reachability import Reachability
from dockeree.lab.nodes.simulated.swarm.model import SwarmState
from dockeree.lab.nodes.simulated.swarm.raft import settle
from dockeree.lab.world import NodeSpec

log = logging.getLogger("dockeree.lab.simulated")
SECRET = re.compile(r"SWMTKN-[\w-]+")
"""Join tokens, which belong into no log."""
COMMANDS_KEPT = 100_000

CloudInitStatus = Literal["not run", "running", "done", "error"]
UnitState = Literal["inactive", "activating", "active", "failed"]
Say = Callable[[str], None]


@dataclass
class Unit:
    """A systemd service. `enabled` units start at boot; `command` is empty where the model plays the program itself."""

    name: str
    description: str
    command: str = ""
    type: str = "simple"
    remain_after_exit: bool = False
    restart: str = "no"
    restart_seconds: float = 0.1
    final_statuses: tuple[int, ...] = ()
    """RestartPreventExitStatus."""
    wants: tuple[str, ...] = ()
    """Units to be started before this one (Wants= and Requires=)."""
    requires: tuple[str, ...] = ()
    to_console: bool = False
    enabled: bool = True
    state: UnitState = "inactive"
    exit_status: int = 0
    since: datetime = field(default_factory=utc_now)
    generation: int = 0
    """Raised by each start and stop: a program of an earlier one is not listened to any more."""
    start_ended: threading.Event = field(default_factory=threading.Event)
    """Set when the last start has come to a result."""

    def enter(self, state: UnitState) -> None:
        """Enter a state now."""
        self.state, self.since = state, utc_now()


@dataclass(eq=False)
class Machine:
    """One node. Everything but `console`, `journal` and what lies under /run outlives a reboot."""

    spec: NodeSpec
    site: Site
    filesystem: FileSystem = field(default_factory=FileSystem)
    engine: Engine = field(default_factory=Engine)
    packages: set[str] = field(default_factory=set)
    units: dict[str, Unit] = field(default_factory=dict)
    hostname: str = ""
    is_on: bool = False
    is_cut: bool = False
    """Its power was cut: nothing answers, nothing refuses."""
    is_booted: bool = False
    """Whether sshd answers."""
    is_first_boot: bool = True
    started_at: datetime = field(default_factory=utc_now)
    cloud_init: CloudInitStatus = "not run"
    cloud_init_errors: list[str] = field(default_factory=list)
    cloud_init_ended: threading.Event = field(default_factory=threading.Event)
    halted: threading.Event = field(default_factory=threading.Event)
    """Set when this boot ends; each boot has its own."""
    console: list[str] = field(default_factory=list)
    journal: list[tuple[str, str]] = field(default_factory=list)
    """(unit, line), in the order in which they were written."""

    @property
    def id(self) -> str:
        """The EC2 instance id."""
        return self.spec.instance_id

    def pause(self, aws_seconds: float) -> bool:
        """Let scaled time pass; False when the machine lost its power meanwhile."""
        return not self.halted.wait(self.site.pace.scaled(aws_seconds))

    def to_console(self, text: str) -> None:
        """Write lines to the serial console."""
        self.console.extend(text.splitlines())

    def to_journal(self, unit: str, text: str) -> None:
        """Write lines of a unit to the journal, each with its time, as journalctl prints them."""
        stamp = utc_now().strftime("%b %d %H:%M:%S")
        name = unit.removesuffix(".service")
        self.journal.extend((unit, f"{stamp} {self.hostname} {name}[1]: {line}") for line in text.splitlines())

    def journal_of(self, *units: str) -> list[str]:
        """The lines of these units, all of them without any named, oldest first."""
        return [line for unit, line in list(self.journal) if not units or unit in units]


class Site:
    """All machines of a lab, the network between them, and their swarms. `lock` guards the whole model."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.lock = threading.RLock()
        self.machines: dict[str, Machine] = {}
        self.reachability = Reachability()
        self.faults = Faults()
        self.swarms: list[SwarmState] = []
        self.programs: dict[str, Callable[..., Answer]] = {}
        """Programs that the model plays itself, by path: the boot script, the agent. Called with a shell's Call."""
        self.power: Callable[[Machine, Literal["off", "reboot"]], None] = lambda machine, action: None
        """What happens when a node shuts itself down or reboots; the driver sets it."""
        self.on_booted: Callable[[Machine], None] = lambda machine: None
        """Called when sshd answers from now on; the driver sets it."""
        self.retry_join: Callable[[Machine], None] = lambda machine: None
        """Tries a join once more that goes on in a node's background; the driver sets it."""
        self.run_program: Callable[[Machine, str, Say], Answer] = _no_programs
        """Runs a unit's command line as root, its output line by line; the driver sets it to the shell."""
        self.commands: deque[tuple[str, str, str]] = deque(maxlen=COMMANDS_KEPT)
        """(instance id, user, arguments) of every process on the nodes, as `ps` shows them to everybody there."""
        self.unknown_commands: list[tuple[str, str]] = []
        """(instance id, command), in the order in which they were met."""

    def engine_runs(self, instance_id: str) -> bool:
        """Whether the node has power and its engine runs."""
        machine = self.machines.get(instance_id)
        return machine is not None and machine.is_on and machine.is_booted and machine.engine.runs

    def reaches(self, source: str, destination: str, protocol: str, port: int) -> bool:
        """Whether the security groups let instance `source` open `port` of instance `destination`."""
        return source == destination or self.reachability.between(source, destination, protocol, port)

    def by_address(self, seen_from: Machine, address: str) -> Machine | None:
        """The machine at an address of `seen_from`'s VPC, or at a public address."""
        for machine in self.machines.values():
            spec = machine.spec
            if (spec.vpc_id == seen_from.spec.vpc_id and address == spec.private_ip) or address == spec.public_ip:
                return machine
        return None

    def settle(self) -> None:
        """Bring every swarm up to the present, late joins included. Swarms without members are forgotten."""
        with self.lock:
            for machine in self.machines.values():
                if machine.engine.membership is not None and machine.engine.membership.pending is not None:
                    self.retry_join(machine)
            for swarm in self.swarms:
                settle(swarm)
            self.swarms = [swarm for swarm in self.swarms if any(not m.has_left for m in swarm.members.values())]

    def change(self, action: Callable[[], None]) -> None:
        """Change the world around the swarms: what happened before is settled first, what follows after."""
        with self.lock:
            self.settle()
            action()
            self.settle()

    def note_unknown(self, machine: Machine, command: str) -> None:
        """One line in the lab's log: the model does not know this command, a real node might."""
        command = SECRET.sub("SWMTKN-***", command)
        self.unknown_commands.append((machine.id, command))
        log.warning("unknown command on %s: %s", machine.id, command)


def _no_programs(machine: Machine, line: str, _say: Say) -> Answer:
    raise RuntimeError(f"no shell to run {line} on {machine.id}")
