"""cloud-init on a simulated node: user data into files and commands, the first boot only.

Keys and commands that the model does not know make it end with an error and say so on the console, so that user data
which a real node would read otherwise never passes here.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import posixpath
import shlex
import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from dockeree.lab.nodes.simulated.answer import Answer
from dockeree.lab.nodes.simulated.filesystem import FileError
from dockeree.lab.nodes.simulated.machine import Machine
from dockeree.lab.nodes.simulated.pace import utc_now

OUTPUT_LOG = "/var/log/cloud-init-output.log"
VERSION = "25.1.4-0ubuntu0~24.04.1"
WITHOUT_EFFECT = {
    "package_update",
    "package_upgrade",
    "package_reboot_if_required",
    "timezone",
    "locale",
    "ssh_pwauth",
    "disable_root",
    "final_message",
    "manage_etc_hosts",
    "preserve_hostname",
    "output",
    "apt",
}
FILE_KEYS = {"path", "content", "permissions", "owner", "encoding", "append", "defer"}
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    **dict.fromkeys(("b64", "base64"), lambda text: base64.b64decode(text, validate=True)),
    **dict.fromkeys(
        ("gz+b64", "gzip+b64", "gz+base64", "gzip+base64"),
        lambda text: gzip.decompress(base64.b64decode(text, validate=True)),
    ),
    "text/plain": str.encode,
    "": str.encode,
}
RunLine = Callable[[Machine, str], Answer]
"""(machine, command line as root) -> how it ended."""


class UserDataError(Exception):
    """User data that cloud-init (or its model) does not understand."""


def run(machine: Machine, halted: threading.Event, run_line: RunLine) -> None:
    """Write the files and run the commands of the user data, until `halted`. What fails is noted on the machine."""
    console(machine, f"Cloud-init v. {VERSION} running 'modules:config'")
    try:
        config = parse(machine.spec.user_data)
        _check_keys(config)
        _set_hostname(machine, config)
        for entry in config.get("write_files") or []:
            _write_file(machine, entry)
        status = 0
        for command in config.get("runcmd") or []:
            status = _run_command(machine, command, run_line)
            if halted.is_set():
                return
        if status:
            raise UserDataError(
                "('scripts_user', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))"
            )
        fault = machine.site.faults.take(machine.id, "cloud_init")
        if fault is not None:
            raise UserDataError(fault.message or "('scripts_user', RuntimeError('a fault of the lab'))")
    except UserDataError as error:
        machine.cloud_init_errors.append(str(error))
        console(machine, f"[WARNING]: cloud-init: {error}")


def console(machine: Machine, text: str) -> None:
    """A line of cloud-init's, on the console and in its log."""
    machine.to_console(text)
    machine.filesystem.write(OUTPUT_LOG, f"{text}\n".encode(), append=True)


def parse(user_data: bytes) -> dict[str, Any]:
    """The cloud-config in user data, unpacked. Raises UserDataError."""
    if user_data[:2] == b"\x1f\x8b":
        try:
            user_data = gzip.decompress(user_data)
        except (OSError, EOFError, zlib.error) as error:
            raise UserDataError(f"user data looks like gzip and is not: {error}") from error
    if not user_data.strip():
        return {}
    text = user_data.decode(errors="replace")
    if text.startswith("#!"):
        raise UserDataError("user data is a script; the simulation reads cloud-config alone")
    if not text.startswith("#cloud-config"):
        raise UserDataError(f"Unhandled non-multipart (text/x-not-multipart) userdata: {text[:24]!r}...")
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserDataError(f"Failed loading yaml blob. {error}") from error
    if not isinstance(config, dict | None):
        raise UserDataError("Invalid cloud-config: expected a mapping")
    return config or {}


def _check_keys(config: Mapping[str, Any]) -> None:
    known = WITHOUT_EFFECT | {"write_files", "runcmd", "hostname", "fqdn"}
    unknown = sorted(set(config) - known)
    if unknown:
        raise UserDataError(f"cloud-config keys that the simulation does not know: {', '.join(unknown)}")


def _set_hostname(machine: Machine, config: Mapping[str, Any]) -> None:
    if config.get("hostname") and not config.get("preserve_hostname"):
        machine.hostname = str(config["hostname"])


def _write_file(machine: Machine, entry: Any) -> None:
    if not isinstance(entry, dict) or "path" not in entry or set(entry) - FILE_KEYS:
        raise UserDataError(f"write_files: an entry that the simulation does not know: {entry!r}")
    encoding = str(entry.get("encoding", ""))
    if encoding not in ENCODINGS:
        raise UserDataError(f"write_files: unknown encoding {encoding!r} of {entry['path']}")
    try:
        content = ENCODINGS[encoding](str(entry.get("content", "")))
        mode = int(str(entry.get("permissions", "0644")), 8)
        owner, _, group = str(entry.get("owner", "root:root")).partition(":")
        machine.filesystem.make_folders(posixpath.dirname(entry["path"]))
        machine.filesystem.write(entry["path"], content, mode=mode, append=bool(entry.get("append")))
        machine.filesystem.change(entry["path"], owner=owner, group=group or owner)
    except (FileError, OSError, EOFError, ValueError, binascii.Error) as error:
        raise UserDataError(f"write_files: {entry['path']}: {error}") from error


def _run_command(machine: Machine, command: Any, run_line: RunLine) -> int:
    line = shlex.join(str(word) for word in command) if isinstance(command, list) else str(command)
    answer = run_line(machine, line)
    for text in (answer.stdout + answer.stderr).decode(errors="replace").splitlines():
        console(machine, text)
    if answer.exit_status == 127:
        raise UserDataError(f"runcmd: `{line}` is no command of this node")
    return answer.exit_status


def finish(machine: Machine, *, is_first_boot: bool) -> None:
    """The last line, and the status that `cloud-init status` tells from now on."""
    seconds = (utc_now() - machine.started_at).total_seconds()
    console(
        machine,
        f"Cloud-init v. {VERSION} finished at {utc_now():%a, %d %b %Y %H:%M:%S} +0000. Datasource DataSourceEc2Local.  "
        f"Up {seconds:.2f} seconds",
    )
    if not is_first_boot:
        machine.cloud_init_errors.clear()
    machine.cloud_init = "error" if machine.cloud_init_errors else "done"
    machine.cloud_init_ended.set()
