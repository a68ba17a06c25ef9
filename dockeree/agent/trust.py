#!/usr/bin/env python3
"""Has a worker's engine trust the cluster's registry, at every boot, before the worker joins.

A worker gets tasks as soon as it has joined, and their images may lie in the registry. What its certificate is verified
against stands in the parameter store, where it is written once the registry is installed; a worker that boots before
that is told by `dockeree up` itself. The engine reads /etc/docker/certs.d/HOST/ca.crt at each pull: nothing restarts.

This one file is all there is on the node: it needs Python 3.10, its standard library and boto3. That it failed must
not keep the worker from joining: its unit goes on (ExecStartPre=-).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable

SETTINGS = "/opt/dockeree/agent.json"
FOLDER = "/etc/docker/certs.d"
FORMAT_VERSION = 1
DEADLINE_SECONDS = 60.0
INTERVAL_SECONDS = 3.0

DONE, NOT_DONE = 0, 1
"""Exit statuses."""


class Unusable(Exception):
    """The parameter says nothing that this program understands; trying again will not change that."""


def main(
    *,
    read_parameter: Callable[[], str | None],
    log: Callable[[str], None],
    folder: str = FOLDER,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> int:
    """Write what the registry is trusted by, and return the exit status.

    read_parameter  gives the parameter's value, None when there is none; any exception says why it cannot be read
    log             takes one line, for the journal and the console
    folder          where the engine looks, a folder for each registry
    sleep, now      time, in seconds
    """
    deadline = now() + deadline_seconds
    while True:
        try:
            text = read_parameter()
        except Exception as error:  # noqa: BLE001 - whatever keeps it away, it is said and tried again
            if now() + INTERVAL_SECONDS > deadline:
                log(f"FAILED: the registry's authorities cannot be read: {error}")
                return NOT_DONE
            sleep(INTERVAL_SECONDS)
            continue
        if text is None:
            log("there is no registry to trust yet")
            return DONE
        try:
            log(_write(folder, *_parse(text)))
        except (Unusable, OSError) as error:
            log(f"FAILED: {error}")
            return NOT_DONE
        return DONE


def _parse(text: str) -> tuple[str, str]:
    """The registry's name and its authorities (PEM)."""
    try:
        values = json.loads(text)
        version, host, authorities = values["format_version"], values["host"], values["ca"]
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(f"the parameter is damaged: {type(error).__name__}") from error
    if version > FORMAT_VERSION:
        raise Unusable(f"the parameter has format {version}; this program reads up to {FORMAT_VERSION}")
    # The name becomes a folder's, written to by root.
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?", host) or ".." in host:
        raise Unusable(f"{host!r} is no registry's name")
    return host, authorities


def _write(folder: str, host: str, authorities: str) -> str:
    """Write them where they are not, whole or not at all; says what was done."""
    path = os.path.join(folder, host, "ca.crt")
    try:
        with open(path, encoding="ascii") as file:
            if file.read() == authorities:
                return f"{host} is trusted already"
    except FileNotFoundError:
        pass
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(authorities)
    os.replace(path + ".new", path)
    return f"{host} is trusted from now on"


def parameter_of(name: str, region: str) -> Callable[[], str | None]:
    """A reader of a parameter, with the instance's role."""

    def read() -> str | None:
        import boto3

        client = boto3.client("ssm", region_name=region)
        try:
            return str(client.get_parameter(Name=name)["Parameter"]["Value"])
        except client.exceptions.ParameterNotFound:
            return None

    return read


def _run() -> int:
    with open(SETTINGS, encoding="utf-8") as file:
        settings = json.load(file)
    return main(
        read_parameter=parameter_of(settings["trust_parameter"], settings["region"]),
        log=lambda line: print(f"dockeree-agent: {line}", flush=True),
    )


if __name__ == "__main__":
    sys.exit(_run())
