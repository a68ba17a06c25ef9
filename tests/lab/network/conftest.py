"""A real network for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.lab_network import Net, free_slot, why_not

from dockeree.lab.network import remove_network


@pytest.fixture
def net(request: pytest.FixtureRequest) -> Iterator[Net]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    made = Net(f"test-{os.getpid()}-{request.node.name}", free_slot())
    try:
        yield made
    finally:
        made.close()
        remove_network(made.settings.tag)
