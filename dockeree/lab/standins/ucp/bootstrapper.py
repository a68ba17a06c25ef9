"""What `ucp-tool COMMAND …` does, which is what `docker run … mirantis/ucp:TAG COMMAND …` runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from dockeree.lab.standins.program.command_line import UsageError, Values, parse
from dockeree.lab.standins.program.docker_api import ApiError, DockerApi, local_engine
from dockeree.lab.standins.program.log import Fatal, Log
from dockeree.lab.standins.program.release import Release
from dockeree.lab.standins.ucp import checks, small_commands
from dockeree.lab.standins.ucp.command_table import commands_of
from dockeree.lab.standins.ucp.install import Installation
from dockeree.lab.standins.ucp.settings import IMAGE_VARIABLE
from dockeree.lab.standins.ucp.uninstall import uninstall

Command = Callable[[DockerApi, str, Values, Log], None]

WITHOUT_ENGINE = ("example-config", "port-check-server")
NOT_HERE = ("backup", "restore", "ca", "upgrade", "support")
COMMANDS: dict[str, Command] = {
    "install": lambda engine, image, values, log: Installation(engine, image, values, log).run(),
    "uninstall-ucp": uninstall,
    "id": small_commands.show_id,
    "images": small_commands.images,
    "dump-certs": small_commands.dump_certs,
    "example-config": small_commands.example_config,
    "port-check-server": small_commands.port_check_server,
}


def main(words: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Run one command; the exit code."""
    words = sys.argv[1:] if words is None else words
    # As process 1 a program without a handler is deaf to these signals.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: os._exit(128 + caught))
    image = environment[IMAGE_VARIABLE]
    log = Log()
    tables = commands_of(Release(image))
    if not words or words[0] in ("help", "-h", "--help"):
        print(usage(Release(image)))  # noqa: T201 - this is the answer
        return 0
    name = words[0]
    if name not in tables:
        log.fatal(f"No help topic for '{name}': this release has the commands {', '.join(sorted(tables))}")
        return 1
    try:
        values = parse(tables[name], words[1:], environment)
    except UsageError as error:
        print(f"Incorrect Usage: {error}\n", file=sys.stderr)  # noqa: T201
        log.fatal(str(error))
        return 1
    if values.is_known("debug"):
        log.shows_debug, log.as_json = values.switch("debug"), values.switch("jsonlog")
    return _run(name, image, values, log)


def _run(name: str, image: str, values: Values, log: Log) -> int:
    log.info(f"stand-in: this is dockeree's stand-in for {image}, not Docker's or Mirantis' own software")
    try:
        engine = local_engine()
        if name not in WITHOUT_ENGINE:
            checks.check_socket(engine)
            checks.check_name(engine, Release(image))
        if name in NOT_HERE:
            raise Fatal(f"the command {name} is not in this stand-in")
        COMMANDS[name](engine, image, values, log)
    except (Fatal, ApiError) as error:
        log.fatal(str(error))
        return 1
    return 0


def usage(release: Release) -> str:
    """What --help shows."""
    lines = [f"Usage: docker run … {release.image} COMMAND [flags]", "", "Commands and flags:"]
    for name, flags in sorted(commands_of(release).items()):
        lines.append(f"  {name}  {' '.join(f'--{flag.name}' for flag in flags)}")
    return "\n".join(lines)
