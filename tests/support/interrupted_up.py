"""Run by test_interruption.py: `up` and `status` with workflows that wait; argument 1 says how `up` takes Ctrl-C."""

from __future__ import annotations

import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dockeree.commands.main import run
from dockeree.waiting import wait_until

manner = sys.argv[1]


def up(cluster: Any) -> None:
    """One step done, one under way; `polite` stops when asked to, `deaf` goes on."""
    cluster.report.plan([("network/A", "Create the VPC", ()), ("managers/B", "Launch", ("network/A",))])
    cluster.report.started("network/A")
    cluster.report.finished("network/A", 0.1, True)
    cluster.state.put("vpc", "vpc-1")
    cluster.report.started("managers/B")
    cluster.report.say("READY")
    wait_until(
        lambda: (None, "not yet"),
        awaited="the end",
        timeout_seconds=60,
        interval_seconds=0.02,
        cancelled=cluster.check_interrupted if manner == "polite" else lambda: None,
    )


def gather(cluster: Any) -> None:
    """Wait in a thread, as for an answer of AWS that does not come."""
    cluster.report.say("READY")
    with ThreadPoolExecutor() as pool:
        pool.submit(threading.Event().wait, 600.0).result()


for name, function in (("up", up), ("status", gather)):
    fake = types.ModuleType(f"dockeree.workflows.{name}")
    vars(fake)[function.__name__] = function
    sys.modules[fake.__name__] = fake
sys.exit(run(sys.argv[2:]))
