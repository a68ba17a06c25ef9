"""Run by test_ssh.py: `dockeree ssh` with nodes, key and host keys that stand in for the account's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dockeree.commands.ssh as command
import dockeree.steps.access as access
from dockeree.aws.instances import Instance
from dockeree.commands.main import main
from dockeree.state import make_private_folder, write_private_file

MANAGER_A = Instance(
    id="i-0000000000000000a",
    role="manager-a",
    state="running",
    zone="us-east-1a",
    private_ip="10.32.0.5",
    public_ip="198.51.100.7",
    subnet_id="subnet-1",
    image_id="ami-1",
    instance_type="m5.large",
    launched_at="2026-11-24 03:00:00",
)
MANAGER_B = replace(MANAGER_A, id="i-0000000000000000b", role="manager-b", state="stopped", public_ip=None)


def recover_key_file(cluster: Any) -> bool:
    """The account's copy of the key."""
    path: Path = cluster.state.ssh_key_path
    make_private_folder(path.parent)
    write_private_file(path, b"the key from the account")
    return True


access.recover_key_file = recover_key_file
command.find_nodes = lambda cluster: [MANAGER_A, MANAGER_B]
command.pin_host_key = lambda cluster, instance: None
main()
