"""What the lab runs on the host: one helper for commands, and what the host's own apt knows of the Internet."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from dockeree.lab.world import LabError

LAST_LINES_SHOWN = 5


def run(
    command: Sequence[str],
    *,
    what: str,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
) -> str:
    """Run a command and return its standard output and standard error, mixed as they came.

    Raises LabError with `what` and the last lines of the output when it ends with another code than 0, cannot be
    started or takes longer than `timeout_seconds`.
    """
    try:
        finished = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(environment or {})},
            timeout=timeout_seconds,
            check=False,
        )
    except OSError as error:
        raise LabError(f"{what}: {command[0]} could not be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{what}: {command[0]} did not end within {timeout_seconds:.0f} s") from error
    if finished.returncode != 0:
        last_lines = " / ".join(finished.stdout.strip().splitlines()[-LAST_LINES_SHOWN:])
        raise LabError(f"{what}: {command[0]} ended with {finished.returncode}: {last_lines or '(no output)'}")
    return finished.stdout


def debian_mirror(suite: str) -> str | None:
    """The mirror of Debian's `suite` that this host's apt is configured with.

    None on a host without one (Ubuntu, or apt behind another transport than HTTP): debootstrap then knows its own.
    """
    try:
        targets = run(
            ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"],
            what="apt's sources",
        )
    except LabError:
        return None
    for line in targets.splitlines():
        release, _, rest = line.partition(" ")
        component, _, uri = rest.partition(" ")
        if (release, component) == (suite, "main") and uri.startswith(("http://", "https://")):
            return uri
    return None


def proxy_environment() -> dict[str, str]:
    """The proxy that this host's apt goes through, as the variables that wget (debootstrap) and apt read."""
    shell = ["apt-config", "shell", "http_proxy", "Acquire::http::Proxy", "https_proxy", "Acquire::https::Proxy"]
    try:
        answer = run(shell, what="apt's configuration")
    except LabError:
        return {}
    settings = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    return {name: value.strip("'") for name, value in settings.items() if value.strip("'") not in ("", "DIRECT")}
