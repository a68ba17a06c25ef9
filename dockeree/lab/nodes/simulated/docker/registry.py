"""The commands that the model of docker's client knows, with their flags; and how a command line finds one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dockeree.lab.nodes.simulated.answer import Answer, refused, said
from dockeree.lab.nodes.simulated.docker.flags import Flag, Options, UsageError, parse, specification
from dockeree.lab.nodes.simulated.engine import Membership
from dockeree.lab.nodes.simulated.machine import Machine
from dockeree.lab.nodes.simulated.swarm import errors
from dockeree.lab.nodes.simulated.swarm.errors import SwarmError
from dockeree.lab.nodes.simulated.swarm.model import SwarmState
from dockeree.lab.nodes.simulated.swarm.raft import require_leader

DAEMON = "Error response from daemon: "
NOT_RUNNING = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n"
GLOBAL_FLAGS = specification("config:text context/c:text debug/D host/H:list log-level/l:text tls tlsverify version/v")


@dataclass(frozen=True)
class Invocation:
    """One call of the client."""

    machine: Machine
    options: Options

    @property
    def membership(self) -> Membership | None:
        """The node's place in a swarm."""
        return self.machine.engine.membership

    def managed_swarm(self) -> SwarmState:
        """The swarm that this node manages. Raises SwarmError where it manages none, or none leads."""
        membership = self.membership
        if membership is None or membership.swarm is None:
            raise SwarmError(errors.NO_SWARM)
        member = membership.member
        if member is None or not member.is_manager:
            raise SwarmError(errors.NOT_A_MANAGER)
        require_leader(membership.swarm, member)
        return membership.swarm


Handler = Callable[[Invocation], Answer]


@dataclass(frozen=True)
class Command:
    """One command of the client. `is_slow`: it waits for others, so it runs without the site's lock."""

    path: tuple[str, ...]
    flags: tuple[Flag, ...]
    arguments: tuple[int, int | None]
    usage: str
    handler: Handler
    needs_engine: bool
    is_slow: bool
    interspersed: bool

    @property
    def name(self) -> str:
        """`docker node ls`."""
        return " ".join(("docker", *self.path))


COMMANDS: dict[tuple[str, ...], Command] = {}


def command(
    path: str,
    flags: str = "",
    *,
    usage: str = "[OPTIONS]",
    arguments: tuple[int, int | None] = (0, 0),
    needs_engine: bool = True,
    is_slow: bool = False,
    interspersed: bool = True,
) -> Callable[[Handler], Handler]:
    """Register a handler. `arguments` are the least and the most; None is any number."""

    def register(handler: Handler) -> Handler:
        words = tuple(path.split())
        COMMANDS[words] = Command(
            words, tuple(specification(flags)), arguments, usage, handler, needs_engine, is_slow, interspersed
        )
        return handler

    return register


def run(machine: Machine, words: Sequence[str], *, is_root: bool) -> Answer:
    """Run the client with `words` after `docker`."""
    try:
        found, rest = _find(machine, list(words))
        if found is None:
            return said(_groups())
        return _run(machine, found, rest, is_root=is_root)
    except UsageError as error:
        return refused(f"{error}\n", error.exit_status)


def _find(machine: Machine, words: list[str]) -> tuple[Command | None, list[str]]:
    options = parse(words, GLOBAL_FLAGS, interspersed=False)
    if options.is_set("version"):
        return COMMANDS[("--version",)], []
    words = options.arguments
    if not words:
        return None, []
    for length in (2, 1):
        found = COMMANDS.get(tuple(words[:length]))
        if found is not None:
            return found, words[length:]
    machine.site.note_unknown(machine, "docker " + " ".join(words))
    group = [path for path in COMMANDS if path[0] == words[0]]
    if group and len(words) > 1:
        raise UsageError(
            f"docker: unknown command: docker {words[0]} {words[1]}\n\n"
            f"Usage:  docker {words[0]} COMMAND\n\nRun 'docker {words[0]} --help' for more information",
            1,
        )
    if group:
        raise UsageError(f"Usage:  docker {words[0]} COMMAND", 1)
    raise UsageError(f"docker: unknown command: docker {words[0]}\n\nRun 'docker --help' for more information", 1)


def _run(machine: Machine, found: Command, words: list[str], *, is_root: bool) -> Answer:
    try:
        options = parse(words, found.flags, interspersed=found.interspersed)
    except UsageError as error:
        machine.site.note_unknown(machine, " ".join((found.name, *words)))
        usage = f"{error}\n\nUsage:  {found.name} {found.usage}\n\nRun '{found.name} --help' for more information"
        raise UsageError(usage, error.exit_status) from error
    _check_arguments(found, options)
    if found.needs_engine and not is_root:
        return refused(
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
            "connect: permission denied\n"
        )
    if found.needs_engine and not machine.engine.runs:
        return refused(NOT_RUNNING)
    try:
        if found.is_slow:
            return found.handler(Invocation(machine, options))
        with machine.site.lock:
            machine.site.settle()
            return found.handler(Invocation(machine, options))
    except SwarmError as error:
        return refused(f"{DAEMON}{error}\n")


def _check_arguments(found: Command, options: Options) -> None:
    least, most = found.arguments
    count = len(options.arguments)
    if count >= least and (most is None or count <= most):
        return
    if most == 0:
        wanted = "accepts no arguments"
    elif least == most:
        wanted = f"requires {least} argument{'s' if least > 1 else ''}"
    else:
        wanted = f"requires at least {least} argument{'s' if least > 1 else ''}"
    raise UsageError(
        f"docker: '{found.name}' {wanted}\n\nUsage:  {found.name} {found.usage}\n\n"
        f"See '{found.name} --help' for more information",
        1,
    )


def _groups() -> str:
    names = sorted({path[0] for path in COMMANDS if not path[0].startswith("-")})
    return "Usage:  docker [OPTIONS] COMMAND\n\nCommands:\n" + "".join(f"  {name}\n" for name in names)
