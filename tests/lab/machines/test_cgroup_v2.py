"""The same machines on a host with cgroup v2 alone, whatever this host has.

The process and all it starts get a mount namespace where /sys/fs/cgroup is the v2 hierarchy, as on hosts of today. (A
controller that this host has given to v1 is missing there; limits are then ignored.)
"""

import subprocess
import sys
from pathlib import Path

import pytest

from dockeree.lab.nodes.machines.cgroups import hierarchies
from dockeree.lab.nodes.machines.requirements import why_not

reason = why_not()
pytestmark = [pytest.mark.machines, pytest.mark.skipif(reason is not None, reason=str(reason))]

TESTS = "boots_as_an_ec2_instance or pulls_through_the_mirror or from_inside or power_cut or kill_9"


def test_machines_on_cgroup_v2() -> None:
    if {kind for _, kind in hierarchies()} == {"cgroup2"}:
        pytest.skip("this host has nothing but cgroup v2: test_machines.py has shown it")
    enter = 'umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
    tests = [str(Path(__file__).with_name("test_machines.py")), "-k", TESTS]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", enter, "sh", *command],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
