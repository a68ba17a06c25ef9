"""What holds for every test: real machines are skipped with their reason, or required where CI requires them."""

from __future__ import annotations

import os

import pytest

REQUIRED = "DOCKEREE_REQUIRE_MACHINES"

# botocore would ask 169.254.169.254 for credentials where a test has none.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    on_machines = [item for item in items if item.get_closest_marker("machines")]
    if not on_machines:
        return
    from dockeree.lab.nodes.machines import why_not

    reason = why_not()
    if reason is None:
        return
    if os.environ.get(REQUIRED):
        raise pytest.UsageError(f"{REQUIRED} is set, and real machines cannot run here: {reason}")
    for item in on_machines:
        item.add_marker(pytest.mark.skip(reason=f"no real machines: {reason}"))
