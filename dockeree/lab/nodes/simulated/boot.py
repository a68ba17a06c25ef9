"""From power on to `cloud-init status: done`: what a node does by itself."""

from __future__ import annotations

import asyncssh

from dockeree.lab.nodes.simulated import cloud_init, systemd
from dockeree.lab.nodes.simulated.machine import Machine, log
from dockeree.lab.nodes.simulated.pace import BOOT_SECONDS
from dockeree.lab.nodes.simulated.programs import install_engine
from dockeree.lab.nodes.simulated.shell import run_as

FOLDERS = (
    "/etc/systemd/system",
    "/etc/ssh",
    "/etc/apt/sources.list.d",
    "/usr/bin",
    "/opt",
    "/root",
    "/srv",
    "/var/log",
    "/var/lib/cloud",
)
KEY_TYPES = ("ecdsa-sha2-nistp256", "ssh-ed25519")
"""Of the types that Ubuntu makes; RSA is left out, as it takes a hundred times as long to make."""


def prepare_disk(machine: Machine) -> list[asyncssh.SSHKey]:
    """Write the image to a new disk, and make the host keys that cloud-init makes at the first boot."""
    files, spec = machine.filesystem, machine.spec
    machine.hostname = spec.hostname
    for folder in FOLDERS:
        files.make_folders(folder)
    files.make_folders("/home/ubuntu")
    files.change("/home/ubuntu", mode=0o750, owner="ubuntu", group="ubuntu")
    files.write("/etc/os-release", b'NAME="Ubuntu"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\n')
    files.write("/etc/hostname", f"{spec.hostname}\n".encode())
    machine.units |= systemd.image_units()
    if spec.image_variant == "baked":
        machine.packages.add("python3-boto3")
        install_engine(machine)
    keys = [asyncssh.generate_private_key(key_type, comment=f"root@{spec.hostname}") for key_type in KEY_TYPES]
    for key in keys:
        path = f"/etc/ssh/ssh_host_{_key_name(key)}_key"
        files.write(path, key.export_private_key(), mode=0o600)
        files.write(f"{path}.pub", key.export_public_key())
    files.make_folders("/home/ubuntu/.ssh", mode=0o700)
    files.change("/home/ubuntu/.ssh", owner="ubuntu", group="ubuntu")
    files.write("/home/ubuntu/.ssh/authorized_keys", f"{spec.authorized_key or ''}\n".encode(), mode=0o600)
    files.change("/home/ubuntu/.ssh/authorized_keys", owner="ubuntu", group="ubuntu")
    return keys


def boot(machine: Machine, host_keys: list[asyncssh.SSHKey]) -> None:
    """Boot, in a thread of the boot's own. Ends early, without a trace, when the power goes."""
    halted, fault = machine.halted, machine.site.faults.take(machine.id, "slow_boot")
    machine.to_console(
        "[    0.000000] Linux version 6.8.0-1029-aws (buildd@lcy02) #31-Ubuntu SMP\nWelcome to Ubuntu 24.04.2 LTS!"
    )
    if not machine.pause(BOOT_SECONDS + (fault.seconds if fault else 0.0)):
        return
    machine.filesystem.clear_volatile()
    for folder in ("/run", "/tmp"):
        machine.filesystem.make_folders(folder)
    machine.filesystem.change("/tmp", mode=0o1777)
    machine.cloud_init = "running"

    def go() -> None:
        machine.is_booted = not halted.is_set()

    machine.site.change(go)
    if halted.is_set():
        return
    machine.site.on_booted(machine)
    systemd.boot(machine)
    is_first = machine.is_first_boot
    if is_first:
        machine.is_first_boot = False
        _show_host_keys(machine, host_keys)
        cloud_init.run(machine, halted, lambda node, line: run_as(node, "root", line))
    if halted.is_set():
        return
    cloud_init.finish(machine, is_first_boot=is_first)
    machine.to_console(f"\nUbuntu 24.04.2 LTS {machine.hostname} ttyS0\n\n{machine.hostname} login: ")
    log.info("%s booted", machine.id)


def _key_name(key: asyncssh.SSHKey) -> str:
    return "ed25519" if "ed25519" in key.get_algorithm() else "ecdsa"


def _show_host_keys(machine: Machine, keys: list[asyncssh.SSHKey]) -> None:
    """What cloud-init's keys_to_console prints, once in an instance's life: how an operator pins the keys."""
    prefix = "<14>" + machine.started_at.strftime("%b %d %H:%M:%S") + " cloud-init: "
    frame = prefix + "#" * 61
    fingerprints = [f"256 {key.get_fingerprint()} root@{machine.hostname} ({_key_name(key).upper()})" for key in keys]
    lines = [
        frame,
        f"{prefix}-----BEGIN SSH HOST KEY FINGERPRINTS-----",
        *[prefix + line for line in fingerprints],
        f"{prefix}-----END SSH HOST KEY FINGERPRINTS-----",
        frame,
        "-----BEGIN SSH HOST KEY KEYS-----",
        *[key.export_public_key().decode().strip() for key in keys],
        "-----END SSH HOST KEY KEYS-----",
    ]
    machine.to_console("\n".join(lines))
