"""What `ucp-role ROLE …` does: the program of every container but the bootstrapper."""

from __future__ import annotations

import os
import signal
import sys

from dockeree.lab.standins.program.docker_api import ApiError
from dockeree.lab.standins.program.log import Fatal, Log


def main() -> int:
    """Run one role; the exit code."""
    role, *words = sys.argv[1:]
    log = Log()
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
    try:
        _run(role, words, log)
    except (Fatal, ApiError, OSError) as error:
        log.fatal(f"{type(error).__name__}: {error}" if isinstance(error, OSError) else str(error))
        return 1
    return 0


def _run(role: str, words: list[str], log: Log) -> None:
    """Each role loads only its own modules: a proxy starts in a tenth of a second and takes little memory."""
    # ruff: noqa: PLC0415
    if role != "host-check":
        log.info(f"stand-in: the role {role} of dockeree's stand-in for UCP")
    if role == "agent":
        from dockeree.lab.standins.ucp import agent

        agent.run(log)
    elif role == "reconcile":
        from dockeree.lab.standins.ucp import reconcile

        reconcile.run(log)
    elif role == "proxy":
        from dockeree.lab.standins.ucp import proxy

        proxy.run(log)
    elif role == "root-ca":
        from dockeree.lab.standins.ucp import root_ca

        root_ca.run(log, words[0], int(words[1]))
    elif role == "controller":
        from dockeree.lab.standins.ucp.controller import serving

        serving.run(log)
    elif role == "host-check":
        from dockeree.lab.standins.ucp import host_check

        host_check.run(map(int, words))
    elif role == "uninstall-agent":
        from dockeree.lab.standins.ucp import uninstall

        uninstall.run_agent(log)
    else:
        raise Fatal(f"no such role: {role}")
