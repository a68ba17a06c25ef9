"""The lab's process: `python -m dockeree.lab.daemon RUNTIME_DIR [WHY_SIMULATED]`, started by control.py.

    settings.json -> network (or its model) -> image registry, packages -> nodes' driver -> API -> lab.json

It ends on SIGTERM, taking everything away in the reverse order. What a `kill -9` leaves, control.clean_up takes away.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import socket
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.region import LabRegion
from dockeree.lab.aws.server import ApiServer
from dockeree.lab.parts import LabParts, machine_parts, simulated_parts
from dockeree.lab.process import Process
from dockeree.lab.settings import LabSettings

log = logging.getLogger("dockeree.lab")


def main() -> int:
    """Run the lab until SIGTERM or SIGINT."""
    runtime_dir, why_simulated = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    settings = LabSettings(**json.loads((runtime_dir / "settings.json").read_text()))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    with ExitStack() as stack:
        running = start(settings, why_simulated, stack)
        _write_whole(runtime_dir / "lab.json", running)
        log.info("lab %s answers at %s", settings.name, running["endpoint_url"])
        ended.wait()
        log.info("lab %s ends", settings.name)
    return 0


def start(settings: LabSettings, why_simulated: str, stack: ExitStack) -> dict[str, object]:
    """Start every part, each one's end pushed on `stack`. Returns what lab.json holds (control.RunningLab)."""
    parts = _parts(settings, stack)
    lab = Lab(settings, parts.driver, parts.wiring)
    stack.callback(lab.close)
    parts.meet(LabRegion(lab))
    server = ApiServer(lab, parts.operator_address)
    stack.callback(server.close)
    with socket.create_server(("127.0.0.1", settings.port), backlog=256) as loopback:
        server.start([loopback])
    if parts.node_socket is not None:
        server.serve_on(parts.node_socket)
    parts.tell_endpoint(server.endpoint_url)
    access_key_id, secret_access_key = server.operator
    return {
        "settings": dataclasses.asdict(settings),
        "process": dataclasses.asdict(Process.of(os.getpid())),
        "endpoint_url": server.endpoint_url,
        "access_key_id": access_key_id,
        "secret_access_key": secret_access_key,
        "operator_address": parts.operator_address,
        "ssh_port": parts.ssh_port,
        "why_simulated": why_simulated,
    }


def _parts(settings: LabSettings, stack: ExitStack) -> LabParts:
    if settings.nodes == "simulated":
        return simulated_parts(settings, stack)
    return machine_parts(settings, stack, lambda text: _tell(settings.runtime_dir, text))


def _tell(runtime_dir: Path, text: str) -> None:
    """Say what the start is at: in the log, and in the file that control.start shows to the waiting person."""
    log.info("%s", text)
    with (runtime_dir / "progress").open("a") as progress:
        progress.write(f"{text}\n")


def _write_whole(path: Path, content: dict[str, object]) -> None:
    """The file holds the operator's secret key: 0600, and never half there."""
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file)
    temporary.rename(path)


if __name__ == "__main__":
    sys.exit(main())
